/**
 * Runs the C parts under AddressSanitizer and UndefinedBehaviorSanitizer: `npm run sanitize`, after a build.
 *
 * First the pure byte work with random batches (native/test), then the tests that use the addon and the
 * helper, both built with the sanitizers into build/sanitize; VDENS_NATIVE_DIR says so to the loader. Prints one
 * line per step and stops at the first that fails. LD_PRELOAD is inherited by what the tests start: a process
 * that loads the sanitized addon needs it.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const out = join(root, 'build', 'sanitize');
const compiler = process.env.CC ?? 'cc';
const flags = ['-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', '-fno-omit-frame-pointer'];
flags.push('-fsanitize=address,undefined', '-fno-sanitize-recover=all');

/** The parts of native/io that need nothing but memory. */
const pureParts = ['checksum.c', 'packet.c', 'segment.c', 'join.c'];
/** Folders all of whose tests run with the sanitized parts, and the files elsewhere that get furthest into them. */
const testFolders = ['dist/test/unit/frames', 'dist/test/conformance'];
const testFiles = ['cable', 'plugs-host-tap', 'plugs-vde-refusals', 'reactor', 'rtnetlink', 'vdens-addresses']
  .concat(['vdens-exit-status', 'vdens-leftovers', 'vdens-resolv-conf', 'vdens-signals'])
  .map((name) => `dist/test/system/${name}.test.js`);
const testsAtATime = 2;
const testSeconds = 90;
/** What is running now, to be ended when a step fails. */
const children = new Set();

mkdirSync(out, { recursive: true });
const harness = join(out, 'frames_test');
const nodeHeaders = createRequire(import.meta.url)('node-api-headers').include_dir;
const pureSources = pureParts.map((file) => join(root, 'native', 'io', file));
await step('compiled the random batches', compiler, [...flags, ...sourcesIn('test'), ...pureSources, '-o', harness]);
await step('segmented, joined and summed random batches', harness, []);
await step('compiled the helper', compiler, [...flags, ...sourcesIn('launch'), '-o', join(out, 'launch')]);
const addon = ['-shared', '-fPIC', '-pthread', '-fvisibility=hidden', `-I${nodeHeaders}`, ...sourcesIn('io')];
await step('compiled the addon', compiler, [...flags, ...addon, '-o', join(out, 'io.node')]);
await runTests(findTests(), await environmentOfTests());

function sourcesIn(folder) {
  const path = join(root, 'native', folder);
  const files = readdirSync(path).filter((file) => file.endsWith('.c'));
  return files.map((file) => join(path, file));
}

function findTests() {
  const files = testFolders.flatMap((folder) => {
    if (!existsSync(join(root, folder))) return [];
    const names = readdirSync(join(root, folder)).filter((name) => name.endsWith('.test.js'));
    return names.map((name) => join(folder, name));
  });
  const missing = testFiles.find((file) => !existsSync(join(root, file)));
  if (files.length === 0 || missing !== undefined) {
    fail(`found no compiled test ${missing ?? `in ${testFolders.join(', ')}`}`, 'Build first: npm run build\n');
  }
  return [...files, ...testFiles];
}

/** The addon's sanitizer has to be in the process before node itself is. */
async function environmentOfTests() {
  const { output } = await run(compiler, ['-print-file-name=libasan.so']);
  const environment = {
    ...process.env,
    LD_PRELOAD: output.trim(),
    // Node.js does not free everything at its end, and neither do the programs that tests start.
    ASAN_OPTIONS: 'detect_leaks=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
    VDENS_NATIVE_DIR: out,
  };
  // Set when a test started this script: the tests below would report to that runner.
  delete environment.NODE_TEST_CONTEXT;
  return environment;
}

/** Runs the files, a few at a time, in the order given. */
async function runTests(files, environment) {
  const waiting = [...files];
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      await step(`passed ${file}`, process.execPath, [join(root, file)], environment);
    }
  };
  await Promise.all(Array.from({ length: testsAtATime }, worker));
}

/** Runs a command; says in one line that it did what `done` says, or shows its output and ends everything. */
async function step(done, command, args, environment = process.env) {
  const start = performance.now();
  const { status, output } = await run(command, args, environment);
  if (status !== 0) fail(`not ${done}: ${command} ended with ${status}`, output);
  console.log(`sanitize: ${done} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
}

/** Answers the status (a number, or what ended the command) and everything that was printed. */
function run(command, args, environment = process.env) {
  return new Promise((resolve) => {
    const options = { cwd: root, env: environment, timeout: testSeconds * 1000, killSignal: 'SIGKILL' };
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    children.add(child);
    child.once('close', () => children.delete(child));
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      output += chunk;
    });
    child.once('error', (error) => resolve({ status: error.message, output }));
    child.once('close', (code, signal) => resolve({ status: code ?? signal, output }));
  });
}

function fail(message, output) {
  for (const child of children) child.kill('SIGKILL');
  console.error(`${output}sanitize: ${message}`);
  process.exit(1);
}
