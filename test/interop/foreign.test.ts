/**
 * Kinds of networks that only the originals' library knows. Its own plugins under other names stand for such: `foo` is
 * its hub, `bar` its client of a switch.
 */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { batchOf, openPlug, type Plug } from '../../src/index.ts';
import { testFrame, testFrames } from '../conformance/test-frames.ts';
import { foreignProcesses } from '../fixtures/foreign-processes.ts';
import {
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from './harness.ts';
import { startSwitch } from './original-switch.ts';
import { startStreamClient } from './stream-client.ts';

/** Where Debian has the library, and its plugins below. */
const LIBRARIES = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib'];
const libraries = LIBRARIES.find((folder) => existsSync(join(folder, 'vdeplug', 'libvdeplug_hub.so')));

/** Makes the plugins, for this process and what it starts; false, and the test is skipped, when there is no library. */
function havePlugins(t: TestContext): boolean {
  if (libraries === undefined) {
    t.skip('not installed: libvdeplug2');
    return false;
  }
  const folder = makeTemporaryDirectory(t);
  for (const [from, to] of [
    ['hub', 'foo'],
    ['vde', 'bar'],
    ['vde', 'vde'],
  ])
    copyFileSync(join(libraries, 'vdeplug', `libvdeplug_${from}.so`), join(folder, `libvdeplug_${to}.so`));
  process.env['VDEPLUGIN_PATH'] = folder;
  t.after(() => {
    delete process.env['VDEPLUGIN_PATH'];
  });
  return true;
}

interface Ear {
  readonly said: string[];
  frames: number;
}

function listen(plug: Plug): Ear {
  const ear: Ear = { said: [], frames: 0 };
  const receive = ({ count }: { readonly count: number }): void => {
    ear.frames += count;
  };
  plug.start(receive, {
    down: (reason) => ear.said.push(`down: ${reason}`),
    up: () => ear.said.push('up'),
    trouble: (error) => ear.said.push(`trouble: ${error.message}`),
  });
  return ear;
}

test('frames go both ways through a plugin of the library', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'vde_plug') || !havePlugins(t)) return;
  const path = join(makeTemporaryDirectory(t), 'lan');
  const plug = await openPlug(`foo://${path}`);
  t.after(() => plug.close());
  const ear = listen(plug);
  const client = await startStreamClient(t, [original('vde_plug')!, path]);
  await waitFor(
    () => {
      client.send([testFrame(1, 100)]);
      return ear.frames > 0;
    },
    10_000,
    `a frame from the client: ${client.errors()}`,
  );
  const frames = testFrames(10, 30);
  for (const frame of frames) plug.send(batchOf([frame]));
  const got: Uint8Array[] = [];
  const all = (): boolean => {
    got.push(...client.take());
    return got.length >= frames.length;
  };
  await waitFor(all, 5000, 'the frames');
  assert.deepEqual(got, frames);
  assert.equal(foreignProcesses(`foo://${path}`).length, 1);
  await plug.close();
  assert.equal(foreignProcesses(`foo://${path}`).length, 0);
  assert.equal(existsSync(path), false, 'the plugin tidied up');
});

test('a plugin that crashes, and a network that ends, are said in words, and heal', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'vde_switch') || !havePlugins(t)) return;
  const lan = await startSwitch(t);
  const network = `bar://${lan.path}`;
  const plug = await openPlug(network);
  t.after(() => plug.close());
  const { said } = listen(plug);
  process.kill(foreignProcesses(network)[0]!, 'SIGSEGV');
  await waitFor(() => said.at(-1) === 'up', 15_000, `its return: ${said}`);
  assert.deepEqual(said, ['down: its plugin crashed (SIGSEGV)', 'up']);
  await lan.kill('SIGKILL');
  await waitFor(() => said.length >= 3, 10_000, 'the end of the switch');
  assert.equal(said[2], 'down: the network ended: the other side closed the connection');
  await lan.restart();
  await waitFor(() => said.at(-1) === 'up', 20_000, `its return: ${said}`);
});

test('it ends with us, however we end', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'vde_switch') || !havePlugins(t)) return;
  const lan = await startSwitch(t);
  const network = `bar://${lan.path}`;
  const running = await spawnBackground(t, [ours('vde_plug'), network, 'null://']);
  await waitFor(() => foreignProcesses(network).length === 1, 15_000, `its process: ${running.output()}`);
  running.kill('SIGKILL');
  await waitFor(() => foreignProcesses(network).length === 0, 10_000, 'its end');
});

test('a namespace on such a network, and what the plugin prints', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'vde_switch', 'ip', 'ping') || !havePlugins(t)) return;
  const lan = await startSwitch(t);
  const peer = [ours('vdens'), '--address', '10.66.0.1/24', lan.path, 'sh', '-c', 'echo ready; sleep 60'];
  await (await spawnBackground(t, peer)).waitForOutput(/ready/);
  const word = `bar://${lan.path}[wrong=1]`;
  const refused = await runCommand([ours('vdens'), word, 'true']);
  assert.match(refused.stderr, /^bar:.*: unkn\w+ key: wrong$/m);
  assert.match(refused.stderr, /the originals' library cannot open it \(EINVAL: /);
  const argv = [
    ours('vdens'),
    '--address',
    '10.66.0.2/24',
    `bar://${lan.path}`,
    'ping',
    '-c',
    '1',
    '-W',
    '5',
    '10.66.0.1',
  ];
  const { status, stdout, stderr } = await runCommand(argv);
  assert.equal(status, 0, `${stdout}${stderr}`);
});

test('what nobody knows is said so, with what may be meant', async (t) => {
  if (!havePlugins(t)) return;
  await assert.rejects(
    openPlug('swich:///tmp/lan'),
    /there is no kind of network called "swich", nor has the library .* plugin of that name\. Did you mean switch:\/\/\?/,
  );
  await assert.rejects(openPlug('bar:///nowhere/at/all'), /library cannot open it \(ENOENT: no such file/);
  await assert.rejects(openPlug('../foo://x'), /there is no kind of network called "\.\.\/foo"/);
  for (const inside of [
    '{../foo://x}',
    '{a}b/../foo://}',
    '{vde://x{a}/../foo://}',
    '%7b../foo://%7d',
    '\\{../foo://x}',
  ])
    await assert.rejects(openPlug(`foo://x${inside}`), /"[^"]*\.\.\/foo" cannot be a kind of network/, inside);
  const closed = AbortSignal.abort(new Error('no more'));
  await assert.rejects(openPlug('foo:///tmp/x', { signal: closed }), /no more/);
});

test('without the library that is what is said', async (t) => {
  if (!requireCommands(t, 'unshare', 'mount') || !havePlugins(t)) return;
  const library = realpathSync(join(libraries!, 'libvdeplug.so.2'));
  const script = 'mount --bind /dev/null "$1" && exec "$2" bar:///tmp/x null://';
  const argv = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', library, ours('vde_plug')];
  const { status, stderr } = await runCommand(argv);
  assert.equal(status, 1);
  assert.match(
    stderr,
    /no kind of network called "bar", the library .* is not installed \(libvdeplug\.so\.2; Debian: /,
  );
});

test('VDENS_ORIGINAL leaves a kind of network of ours to the originals', async (t) => {
  if (!havePlugins(t)) return;
  delete process.env['VDEPLUGIN_PATH'];
  process.env['VDENS_ORIGINAL'] = 'agno,hub';
  t.after(() => {
    delete process.env['VDENS_ORIGINAL'];
  });
  const network = `hub://${join(makeTemporaryDirectory(t), 'lan')}`;
  const plug = await openPlug(network);
  assert.equal(foreignProcesses(network).length, 1);
  await plug.close();
});
