/**
 * Builds everything: the C parts into build/native, then the TypeScript into dist.
 *
 * The addon is compiled by the C compiler alone, against the headers of the node-api-headers package:
 * no node-gyp, no Python, no download. CC and CFLAGS are honoured.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const out = join(root, 'build', 'native');
const compiler = process.env.CC ?? 'cc';
const warnings = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-Wconversion', '-Wshadow', '-Wstrict-prototypes'];
const flags = ['-O2', '-g1', ...warnings, ...(process.env.CFLAGS ?? '').split(' ').filter(Boolean)];

mkdirSync(out, { recursive: true });
const nodeHeaders = createRequire(import.meta.url)('node-api-headers').include_dir;
compile('launch', ['launch'], []);
compile('foreign', ['foreign'], ['-ldl']);
// The thread of the lines outlives the last environment that uses the addon: it must never be unloaded.
compile(
  'io.node',
  ['io', 'gateway'],
  ['-shared', '-fPIC', '-fno-plt', '-pthread', '-Wl,-z,nodelete', '-fvisibility=hidden', `-I${nodeHeaders}`],
);
run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', root]);

/** Compiles every C file of the folders into one object, unless it is newer than all of them. */
function compile(name, folders, extra) {
  const sources = folders.flatMap((folder) =>
    readdirSync(join(root, 'native', folder)).map((file) => join(root, 'native', folder, file)),
  );
  const target = join(out, name);
  const newest = Math.max(...[...sources, import.meta.filename].map((file) => statSync(file).mtimeMs));
  if ((statSync(target, { throwIfNoEntry: false })?.mtimeMs ?? 0) > newest) return;
  const units = sources.filter((file) => file.endsWith('.c'));
  const includes = folders.map((folder) => `-I${join(root, 'native', folder)}`);
  run(compiler, [...flags, ...includes, ...extra, ...units, '-o', `${target}.new`]);
  renameSync(`${target}.new`, target);
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', cwd: root });
  if (error !== undefined) {
    const remedy =
      command === compiler ? '. Install a C compiler (Debian: apt-get install gcc libc6-dev) or set CC' : '';
    console.error(`build: cannot run ${command}: ${error.message}${remedy}`);
    process.exit(1);
  }
  if (status !== 0) process.exit(status ?? 1);
}
