/** The C parts under AddressSanitizer and UndefinedBehaviorSanitizer, when the compiler has them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const checkout = join(import.meta.dirname, '..', '..', '..');

for (const [what, ...words] of [
  ['random batches, packets and flows', '--build'],
  ['a third of the tests that get far into them', '--tests', '1/3'],
  ['another third', '--tests', '2/3'],
  ['the last third', '--tests', '3/3'],
] as const) {
  test(`the C parts pass under the address and undefined-behaviour sanitizers: ${what}`, { timeout: 170_000 }, (t) => {
    const obstacle = findObstacle();
    if (obstacle !== undefined) return t.skip(obstacle);
    const run = spawnSync(process.execPath, [join(checkout, 'scripts', 'sanitize.mjs'), ...words], {
      cwd: checkout,
      encoding: 'utf8',
      timeout: 160_000,
    });
    assert.equal(run.status, 0, `${run.error?.message ?? ''}\n${run.stdout}\n${run.stderr}`);
  });
}

/** Why this compiler cannot build with the sanitizers, or undefined. */
function findObstacle(): string | undefined {
  const compiler = process.env['CC'] ?? 'cc';
  const folder = mkdtempSync(join(tmpdir(), 'vdens-test-'));
  try {
    const program = join(folder, 'empty.c');
    writeFileSync(program, 'int main(void) { return 0; }\n');
    const args = ['-fsanitize=address,undefined', program, '-o', join(folder, 'empty')];
    const { status, error } = spawnSync(compiler, args, { stdio: 'ignore' });
    if (error !== undefined) return `there is no C compiler (${compiler})`;
    return status === 0 ? undefined : `${compiler} cannot build with -fsanitize=address,undefined (libasan is missing)`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
