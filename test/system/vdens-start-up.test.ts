/** What `vdens` loads at its start: time and memory go into modules, so what is not needed is not loaded. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { checkout, makeTemporaryDirectory, ours, runCommand } from '../interop/harness.ts';

/** Our modules that a command line loads, relative to the checkout; and everything else, such as `node:net`. */
async function modulesOf(t: TestContext, ...args: readonly string[]): Promise<{ own: string[]; others: string[] }> {
  const log = join(makeTemporaryDirectory(t), 'modules');
  const hook = pathToFileURL(join(import.meta.dirname, '..', 'fixtures', 'module-log.js')).href;
  const env = { NODE_OPTIONS: `--import=${hook}`, VDENS_TEST_MODULE_LOG: log };
  const { status, stderr } = await runCommand([ours('vdens'), ...args], { env });
  assert.deepEqual([status, stderr], [0, '']);
  const urls = readFileSync(log, 'utf8').trim().split('\n');
  const root = pathToFileURL(`${checkout}/`).href;
  const isOwn = (url: string): boolean => url.startsWith(root);
  return {
    own: urls.filter(isOwn).map((url) => url.slice(root.length)),
    others: urls.filter((url) => !isOwn(url)),
  };
}

test('vdens no true starts no Node.js at all', async () => {
  // It would fail there, with the message of Node.js and the status 9.
  const { status, stderr } = await runCommand([ours('vdens'), 'no', 'true'], { env: { NODE_OPTIONS: '--no-such' } });
  assert.deepEqual([status, stderr], [0, '']);
});

test('with an option it loads at most 13 modules of ours, and nothing that starts processes or speaks to a network', async (t) => {
  const { own, others } = await modulesOf(t, '--sysadm', 'no', 'true');
  assert.ok(own.length <= 13, `${own.length}:\n${own.join('\n')}`);
  assert.ok(own.includes('dist/src/commands/vdens.js'), own.join('\n'));
  for (const heavy of ['node:child_process', 'node:net', 'node:dns', 'node:http']) {
    assert.equal(others.includes(heavy), false, heavy);
  }
});

test('what prints help and version does not load the native part', async (t) => {
  for (const option of ['--help', '--version']) {
    const { own } = await modulesOf(t, option);
    assert.equal(own.includes('dist/src/system/native.js'), false, own.join('\n'));
  }
});

test('vdens on one network loads no code of other kinds of network, and none of the diagnosis', async (t) => {
  const { own } = await modulesOf(t, 'null://', 'true');
  for (const part of ['plugs/vde', 'plugs/stream', 'plugs/command', 'doctor/', 'manual']) {
    assert.deepEqual(
      own.filter((path) => path.includes(part)),
      [],
    );
  }
});
