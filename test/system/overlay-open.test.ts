/**
 * Networks over UDP while they are opened: what they are given may be slow, odd or of one link only. On test hosts.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Lab } from '../fixtures/lab.ts';
import { makeTemporaryDirectory, ours, requireCommands } from '../interop/harness.ts';

const LIMIT = { timeout: 60_000 };
/** How soon a start that is refused, or given up, is over: Node.js has to start, too. */
const SOON_MS = 4000;

test('A list of peers that would never end, or never come, is refused at once', LIMIT, async (t) => {
  if (!requireCommands(t, 'ip', 'mkfifo', 'truncate')) return;
  const lab = await Lab.start(t, { hosts: 1 });
  const folder = makeTemporaryDirectory(t);
  const [pipe, huge] = [join(folder, 'pipe'), join(folder, 'huge')];
  await lab.host(1).must(`mkfifo ${pipe}; truncate -s 3G ${huge}`);
  for (const [path, why] of [
    [pipe, 'it is not a regular file'],
    ['/dev/zero', 'it is not a regular file'],
    [huge, 'it has more than 1048576 bytes'],
  ] as const) {
    const network = `vxvde:///peers='${path}'`;
    const result = await lab.host(1).run([ours('vdens'), network, 'true'], { timeoutMs: SOON_MS });
    assert.equal(result.isTimedOut, false, path);
    assert.equal(result.stderr, `vdens: ${network}: cannot read the list of peers ${path}: ${why}\n`);
    assert.equal(result.status, 125);
  }
});
