/** `tap://`: interfaces of the namespace that we run in, tried where an ordinary user may make some. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openPlug } from '../../src/locator/open-plug.ts';
import { ours, requireCommands, runCommand } from '../interop/harness.ts';

const fixture = join(import.meta.dirname, '..', 'fixtures', 'host-tap.js');

test('tap:// makes an interface, moves frames both ways, and takes it away', { timeout: 60_000 }, async (t) => {
  if (!requireCommands(t, 'ip')) return;
  const run = await runCommand([ours('vdens'), 'no', process.execPath, fixture]);
  if (run.stdout === 'no bridges\n') t.skip('this kernel has no bridges');
  else assert.equal(run.stdout, 'ok\n', run.stderr);
});

test('tap:// without the right to says what to do', {
  skip: process.geteuid?.() === 0 && 'root may do everything',
}, async () => {
  await assert.rejects(
    openPlug('tap://tap77'),
    /cannot attach to the interface \(TUNSETIFF: EPERM\).*ip tuntap add tap77/,
  );
});

test('tap:// with a name that no interface can have names it', async () => {
  await assert.rejects(
    openPlug('tap://a-name-that-is-too-long'),
    /"a-name-that-is-too-long" is no name for an interface/,
  );
  await assert.rejects(openPlug('tap://a/b'), /is no name/);
});
