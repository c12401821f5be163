/** The house keeps its shape: who may import whom, what files must say the same, and the linter's opinion. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

const checkout = join(import.meta.dirname, '..', '..', '..');
const source = join(checkout, 'src');

/**
 * The folders of src/ from the top of the house down. A folder may import from itself and from every storey below,
 * not from one beside it. `errors.ts` is allowed everywhere; `index.ts` is above the library and below the commands.
 */
const storeys: readonly (readonly string[])[] = [
  ['commands', 'doctor'],
  ['index.ts'],
  ['inventory'],
  ['namespace', 'locator'],
  ['switch', 'gateway', 'overlay'],
  ['impairment', 'capture'],
  ['control', 'console'],
  ['plugs'],
  ['system'],
  ['frames', 'wire', 'net'],
];

/** `commands` may start the doctor; `namespace` opens what the locator names; headers have addresses in them. */
const sideways: readonly string[] = ['commands → doctor', 'namespace → locator', 'wire → net'];

function storeyOf(name: string): number {
  return storeys.findIndex((storey) => storey.includes(name));
}

function isAllowed(from: string, to: string): boolean {
  if (from === to || to === 'errors.ts') return true;
  return storeyOf(from) < storeyOf(to) || sideways.includes(`${from} → ${to}`);
}

/** First component of a path below src/: the folder, or the file's own name at the top. */
function folderOf(path: string): string {
  return relative(source, path).split('/')[0] ?? '';
}

/** Every relative import, type or value, static or dynamic, of a file: the absolute path it names. */
function importsOf(path: string): string[] {
  const text = readFileSync(path, 'utf8');
  const found = text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g);
  return Array.from(found, ([, target]) => join(dirname(path), target ?? ''));
}

const files: readonly string[] = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join(source, name));

test('imports point one way, from the commands down to frames, wire and net', () => {
  const wrong = files.flatMap((file) =>
    importsOf(file)
      .filter((target) => !isAllowed(folderOf(file), folderOf(target)))
      .map((target) => `${relative(checkout, file)} imports ${relative(checkout, target)}`),
  );
  assert.deepEqual(wrong, []);
});

/** What is loaded with a file, itself among it: by imports that are neither of types alone nor dynamic. */
function loadedWith(path: string, loaded = new Set<string>()): ReadonlySet<string> {
  if (loaded.has(path)) return loaded;
  loaded.add(path);
  const found = readFileSync(path, 'utf8').matchAll(/^(?:import|export) (?!type )(?:[^;]*? from )?'(\.[^']+)'/gm);
  for (const [, target = ''] of found) loadedWith(join(dirname(path), target), loaded);
  return loaded;
}

test('a start with a network does not load what is needed when somebody asks', () => {
  const loaded = loadedWith(join(source, 'commands', 'run-networks.ts'));
  const names = Array.from(loaded, (path) => relative(source, path));
  assert.ok(names.includes('plugs/tap.ts'), 'the search finds imports');
  const late = /^(?:impairment|inventory|control|console|capture|switch|gateway|overlay)\//;
  const early = ['impairment/impaired-plug.ts', 'inventory/serve-control.ts'];
  assert.deepEqual(names.filter((name) => late.test(name)).toSorted(), early);
});

test('every folder of src has its storey in the house', () => {
  const unknown = files.map(folderOf).filter((name) => name !== 'errors.ts' && storeyOf(name) === -1);
  assert.deepEqual([...new Set(unknown)], []);
});

test('the check of imports sees static, type, dynamic and re-exporting imports', () => {
  const forms = ["import { a } from '../x.ts'", "import type { A } from '../x.ts'", "await import('../x.ts')"];
  for (const form of [...forms, "export * from '../x.ts'", "import '../x.ts'"]) {
    assert.match(form, /(?:\bfrom|\bimport)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/, form);
  }
});

test('the check of imports refuses an import upwards or to the side', () => {
  assert.equal(isAllowed('plugs', 'switch'), false);
  assert.equal(isAllowed('frames', 'wire'), false);
  assert.equal(isAllowed('wire', 'errors.ts'), true);
  assert.equal(isAllowed('commands', 'wire'), true);
});

test('the README names the test command that continuous integration runs', () => {
  const command = 'npm ci && npm test';
  for (const file of ['README.md', '.ci/run']) {
    const lines = readFileSync(join(checkout, file), 'utf8').split('\n');
    assert.ok(lines.includes(command), `${file} has no line that is exactly: ${command}`);
  }
});

test('the linter and the formatter have nothing to say', (t) => {
  const biome = join(checkout, 'node_modules', '.bin', 'biome');
  if (!existsSync(biome)) return t.skip('biome is not installed (npm ci)');
  const run = spawnSync(biome, ['check', '--diagnostic-level=warn', '.'], { cwd: checkout, encoding: 'utf8' });
  assert.equal(run.status, 0, `${run.error?.message ?? ''}${run.stdout}${run.stderr}`);
});
