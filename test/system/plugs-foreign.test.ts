/** Networks of others that do what none should: through a library of the test's own. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { openPlug } from '../../src/index.ts';
import { FRAMES_BEFORE_STUCK, useFakeLibrary } from '../fixtures/fake-library.ts';
import { foreignProcesses } from '../fixtures/foreign-processes.ts';
import { runCommand, waitFor } from '../interop/harness.ts';

test('a plugin that hangs after much traffic is ended', { timeout: 60_000 }, async (t) => {
  useFakeLibrary(t);
  const plug = await openPlug('fake://stuck', { reconnect: false });
  t.after(() => plug.close());
  let frames = 0;
  const said: string[] = [];
  const receive = ({ count }: { readonly count: number }): void => {
    frames += count;
  };
  plug.start(receive, { down: (reason) => said.push(reason) });
  await waitFor(() => said.length > 0, 40_000, 'the news');
  assert.deepEqual(said, ['its plugin did nothing for 10 s, and was ended']);
  assert.equal(frames, FRAMES_BEFORE_STUCK);
});

test('a plugin that prints without end fills neither memory nor terminal', { timeout: 60_000 }, async (t) => {
  useFakeLibrary(t);
  const written: string[] = [];
  const write = t.mock.method(process.stderr, 'write', (text: string | Uint8Array) => written.push(String(text)) > 0);
  const plug = await openPlug('fake://noisy', { reconnect: false });
  t.after(() => plug.close());
  const said: string[] = [];
  plug.start(() => undefined, { down: (reason) => said.push(reason) });
  await waitFor(() => said.length > 0, 20_000, 'its end');
  write.mock.restore();
  assert.match(said[0]!, /^the network ended: Input\/output error$/);
  assert.equal(written[0], 'fake://noisy: line 0\n');
  assert.ok(written.length < 500, `${written.length} lines`);
  // The last of all is a long line, which a slow machine has in a period of its own.
  assert.ok(written.some((line) => /^fake:\/\/noisy: \(\d+ more lines are not shown\)\n$/.test(line)));
  assert.ok(written.every((line) => line.length < 600));
});

test('a plugin that says that frames wait, and has none, keeps no processor busy', { timeout: 60_000 }, async (t) => {
  useFakeLibrary(t);
  const plug = await openPlug('fake://idle');
  t.after(() => plug.close());
  plug.start(() => undefined);
  const status = `/proc/${foreignProcesses('fake://idle')[0]}/status`;
  const pauses = (): number => Number(/^voluntary_ctxt_switches:\t(\d+)$/m.exec(readFileSync(status, 'utf8'))?.[1]);
  const before = pauses();
  await waitFor(() => pauses() > before + 50, 20_000, 'pauses');
});

/** Opens the network with ever more descriptors left, and prints how many it did not get back, and what came of it. */
const SCARCE = `
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPlug } from '${new URL('../../src/index.js', import.meta.url).href}';

const open = () => openPlug('fake://idle', { reconnect: false }).then((plug) => plug.close());
await open();
const taken = [];
const fill = () => {
  try {
    for (;;) taken.push(openSync('/dev/null'));
  } catch {}
};
fill();
for (let left = 1; left <= 8; left++) {
  const all = taken.length;
  for (const fd of taken.splice(all - left)) closeSync(fd);
  const result = await open().then(() => 'opened', (error) => error.code + ' ' + error.message);
  for (let tries = 0; tries < 10 && taken.length < all; tries++) {
    await sleep(10);
    fill();
  }
  console.log(all - taken.length, result);
}
`;

test('without descriptors that is what is said', { timeout: 60_000 }, async (t) => {
  useFakeLibrary(t);
  const argv = ['sh', '-c', 'ulimit -n 256; exec "$0" --input-type=module -e "$1"', process.execPath, SCARCE];
  const { stdout, stderr } = await runCommand(argv, { timeoutMs: 50_000 });
  const lines = stdout.trim().split('\n');
  assert.equal(lines.length, 8, stdout + stderr);
  // Node.js itself does not close the pipe of a program for which there was no descriptor left.
  for (const line of lines) assert.match(line, /^[01] (opened|ERR_\w+ .*EMFILE.*: ulimit -n)$/);
  assert.match(stdout, / ERR_NATIVE cannot run the helper /);
});
