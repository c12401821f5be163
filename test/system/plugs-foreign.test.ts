/** Networks of others that do what none should: through a library of the test's own. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { openPlug } from '../../src/index.ts';
import { FRAMES_BEFORE_STUCK, useFakeLibrary } from '../fixtures/fake-library.ts';
import { waitFor } from '../interop/harness.ts';

/** The process that the library runs in for us. */
function helper(network: string): string {
  const isIt = (pid: string): boolean => {
    try {
      const [program = '', first] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return program.endsWith('/foreign') && first === network;
    } catch {
      return false; // It has just ended.
    }
  };
  const found = readdirSync('/proc').find((name) => /^\d+$/.test(name) && isIt(name));
  assert.ok(found !== undefined);
  return found;
}

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
  assert.match(written.at(-1)!, /^fake:\/\/noisy: \(\d+ more lines are not shown\)\n$/);
  assert.ok(written.every((line) => line.length < 600));
});

test('a plugin that says that frames wait, and has none, keeps no processor busy', { timeout: 60_000 }, async (t) => {
  useFakeLibrary(t);
  const plug = await openPlug('fake://idle');
  t.after(() => plug.close());
  plug.start(() => undefined);
  const status = `/proc/${helper('fake://idle')}/status`;
  const pauses = (): number => Number(/^voluntary_ctxt_switches:\t(\d+)$/m.exec(readFileSync(status, 'utf8'))?.[1]);
  const before = pauses();
  await waitFor(() => pauses() > before + 50, 20_000, 'pauses');
});
