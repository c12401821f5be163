/**
 * Runs the C parts under AddressSanitizer and UndefinedBehaviorSanitizer: `npm run sanitize`, after a build.
 *
 * First the pure byte work with random batches (native/test), then the tests that get furthest into the addon and
 * the helper, both built with the sanitizers into build/sanitize; VDENS_NATIVE_DIR says so to the loader. Prints one
 * line per step, stops at the first that fails, and ends whatever a step leaves running.
 *
 * LD_PRELOAD is inherited by what the tests start: a process that loads the sanitized addon needs it. Programs on
 * libvdeplug cannot run with it (RTLD_DEEPBIND), so tests that need vde_plug are not among these.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { endProcessesOf } from './testing/leftovers.mjs';

const root = join(import.meta.dirname, '..');
const out = join(root, 'build', 'sanitize');
const compiler = process.env.CC ?? 'cc';
const flags = ['-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', '-fno-omit-frame-pointer'];
flags.push('-fsanitize=address,undefined', '-fno-sanitize-recover=all');

/** The parts of native/io that need nothing but memory; what tunnel.c needs besides is made up by native/test. */
const pureParts = [
  'capture.c',
  'capture_ring.c',
  'checksum.c',
  'far_copy.c',
  'packet.c',
  'segment.c',
  'join.c',
  'forwarding_table.c',
  'endpoint_table.c',
  'tunnel.c',
  'unfinished.c',
  'vlan.c',
];
/** The same of native/gateway. */
const pureGatewayParts = [
  'guest_packet.c',
  'icmp_error.c',
  'reassembly.c',
  'forward_peers.c',
  'timer_wheel.c',
  'siphash.c',
  'flow_table.c',
  'tcp_ahead.c',
];
/** A folder all of whose tests run with the sanitized parts. */
const testFolder = 'dist/test/unit/frames';
/** Other files, the longest first; some with the names of those of their tests that are worth the time. */
const testFiles = [
  { file: 'dist/test/system/vdens-exit-status.test.js', names: '12[5678]' },
  { file: 'dist/test/system/gateway-udp.test.js', names: 'fragments|5,000' },
  { file: 'dist/test/system/gateway-loss.test.js', names: '10 of 1000' },
  { file: 'dist/test/system/vdens-resolv-conf.test.js' },
  { file: 'dist/test/system/cable.test.js' },
  { file: 'dist/test/system/switch-model.test.js' },
  { file: 'dist/test/system/switch.test.js' },
  { file: 'dist/test/conformance/switch.test.js', names: 'socket|third|length' },
  { file: 'dist/test/conformance/tap.test.js' },
  { file: 'dist/test/conformance/wire.test.js' },
  { file: 'dist/test/conformance/command.test.js' },
  { file: 'dist/test/system/tunnel-fuzz.test.js' },
  { file: 'dist/test/conformance/tunnel.test.js' },
  { file: 'dist/test/conformance/stream.test.js' },
  { file: 'dist/test/conformance/memory.test.js' },
  { file: 'dist/test/system/plugs-vde-refusals.test.js' },
  { file: 'dist/test/system/rtnetlink.test.js' },
  { file: 'dist/test/interop/cado-suite.test.js', names: 'of uid 0' },
  { file: 'dist/test/interop/dpipe.test.js', names: '-n becomes' },
  { file: 'dist/test/system/vde-capture.test.js', names: 'recorder' },
];
const testsAtATime = 2;
const stepSeconds = 90;
/** What a finished test has just ended may take this long to go. */
const graceMs = 3000;

/** The environment variable by which the processes of a step are found. */
const variable = 'VDENS_SANITIZE_STEP';
/** The steps that run now: `{ marker, session, variable }`. */
const steps = new Set();
let stepCount = 0;
/** For temporary files. Its name is short, because the path of a socket may have 107 bytes only. */
const scratch = mkdtempSync(join(tmpdir(), 's-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => fail(`stopped by ${signal}`, ''));
}

mkdirSync(out, { recursive: true });
const harness = join(out, 'frames_test');
const nodeHeaders = createRequire(import.meta.url)('node-api-headers').include_dir;
const pureSources = [
  ...pureParts.map((file) => join(root, 'native', 'io', file)),
  ...pureGatewayParts.map((file) => join(root, 'native', 'gateway', file)),
];
flags.push(...['io', 'gateway'].map((folder) => `-I${join(root, 'native', folder)}`));
const addonSources = [...sourcesIn('io'), ...sourcesIn('gateway')];
const addon = ['-shared', '-fPIC', '-pthread', '-fvisibility=hidden', `-I${nodeHeaders}`, ...addonSources];
/** `--build` compiles, and tries what is pure; `--tests 1/2` runs the first half of the tests with that. All without. */
const { values: options } = parseArgs({ options: { build: { type: 'boolean' }, tests: { type: 'string' } } });
if (options.tests === undefined) await build();
if (options.build !== true) await runTests(partOf(await findTests(), options.tests), environmentOfTests());

async function build() {
  await Promise.all([
    step('compiled the addon', compiler, [...flags, ...addon, '-o', join(out, 'io.node')]),
    step('compiled the random batches', compiler, [...flags, ...sourcesIn('test'), ...pureSources, '-o', harness])
      .then(() => step('segmented, joined and summed random batches', harness, []))
      .then(() => step('compiled the helper', compiler, [...flags, ...sourcesIn('launch'), '-o', join(out, 'launch')])),
  ]);
}

/** Every other file, or each third, so that no part gets all the long ones. */
function partOf(files, part = '1/1') {
  const [number, count] = part.split('/').map(Number);
  return files.filter((_, index) => index % count === number - 1);
}

function sourcesIn(folder) {
  const path = join(root, 'native', folder);
  const files = readdirSync(path).filter((file) => file.endsWith('.c'));
  return files.map((file) => join(path, file));
}

async function findTests() {
  const folder = join(root, testFolder);
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.test.js')) : [];
  const files = [...testFiles, ...names.map((name) => ({ file: join(testFolder, name) }))];
  const missing = names.length === 0 ? testFolder : files.find(({ file }) => !existsSync(join(root, file)))?.file;
  if (missing !== undefined) await fail(`found no compiled ${missing}`, 'Build first: npm run build\n');
  return files;
}

/** The addon's sanitizer has to be in the process before node itself is. */
function environmentOfTests() {
  const library = spawnSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout.trim();
  const environment = {
    ...process.env,
    LD_PRELOAD: library,
    // Node.js does not free everything at its end, and neither do the programs that tests start.
    ASAN_OPTIONS: 'detect_leaks=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
    VDENS_NATIVE_DIR: out,
    // The switch and its model: as many steps as the time allows here.
    VDENS_TEST_STEPS: '3000',
  };
  // Set when a test started this script: the tests below would report to that runner.
  delete environment.NODE_TEST_CONTEXT;
  return environment;
}

/** Runs the files, a few at a time, in the order given. */
async function runTests(files, environment) {
  const waiting = files.values();
  const worker = async () => {
    for (const { file, names } of waiting) {
      const only = names === undefined ? [] : [`--test-name-pattern=${names}`];
      await step(`passed ${file}`, process.execPath, [...only, join(root, file)], environment);
    }
  };
  await Promise.all(Array.from({ length: testsAtATime }, worker));
}

/** Runs a command; says in one line that it did what `done` says, or shows its output and ends everything. */
async function step(done, command, args, environment = process.env) {
  const start = performance.now();
  const marker = `${process.pid}:${done}`;
  // A folder of its own for each: a test may look whether files stay behind.
  stepCount += 1;
  const folder = join(scratch, `${stepCount}`);
  mkdirSync(folder);
  const env = { ...environment, TMPDIR: folder, [variable]: marker };
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const running = { marker, session: child.pid ?? -1, variable };
  steps.add(running);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      output += chunk;
    });
  }
  const end = await endOf(child);
  await new Promise((resolve) => setTimeout(resolve, 10)); // The last of the output may still be in the pipe.
  if (end !== 0) await fail(`not ${done}: ${command} ended with ${end}`, output);
  const left = await endProcessesOf(running, graceMs);
  if (left.length > 0) await fail(`${done}, but left behind:\n${left.join('\n')}`, output);
  steps.delete(running);
  for (const stream of [child.stdout, child.stderr]) stream.destroy();
  console.log(`sanitize: ${done} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
}

/** The exit status, or what ended the command. Output that a stray process holds open is not waited for. */
function endOf(child) {
  return new Promise((resolve) => {
    const clock = setTimeout(() => resolve(`nothing within ${stepSeconds} s`), stepSeconds * 1000);
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(code ?? signal));
    for (const event of ['error', 'exit']) child.once(event, () => clearTimeout(clock));
  });
}

/** Ends all steps that run, and then this script. */
async function fail(message, output) {
  console.error(`${output}sanitize: ${message}`);
  await Promise.all([...steps].map((running) => endProcessesOf(running, 0)));
  process.exit(1);
}
