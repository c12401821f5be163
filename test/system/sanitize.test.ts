/** The C parts under AddressSanitizer and UndefinedBehaviorSanitizer, when the compiler has them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../interop/harness.ts';

const checkout = join(import.meta.dirname, '..', '..', '..');

for (const [what, ...words] of [
  ['random batches, packets and flows', '--build'],
  ['a third of the tests that get far into them', '--tests', '1/3'],
  ['another third', '--tests', '2/3'],
  ['the last third', '--tests', '3/3'],
] as const) {
  test(`the C parts pass under the address and undefined-behaviour sanitizers: ${what}`, {
    timeout: 170_000,
  }, async (t) => {
    const obstacle = findObstacle();
    if (obstacle !== undefined) return t.skip(obstacle);
    // Not spawnSync: until this file waits for something, nobody hears that a test of it has ended.
    const argv = [process.execPath, join(checkout, 'scripts', 'sanitize.mjs'), ...words];
    const { status, stdout, stderr } = await runCommand(argv, { cwd: checkout, timeoutMs: 160_000 });
    assert.equal(status, 0, `${stdout}\n${stderr}`);
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
