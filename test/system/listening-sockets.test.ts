/** Who listens on a socket file, as the kernel tells it. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isListenedOn } from '../../src/system/listening-sockets.ts';
import { native } from '../../src/system/native.ts';
import { AF_UNIX, SOCK_STREAM, unixAddress } from '../../src/system/unix-address.ts';
import { makeTemporaryDirectory } from '../interop/harness.ts';

test('a socket is listened on from listening to closing, and is told from the same inode elsewhere', (t) => {
  const path = join(makeTemporaryDirectory(t), 'a');
  const socket = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  assert.equal(native.bindSocket(socket, unixAddress(path)), 0);
  const { dev, ino } = statSync(path);
  assert.equal(isListenedOn({ dev, ino }), false, 'bound');
  assert.equal(native.listen(socket, 1), 0);
  assert.equal(isListenedOn({ dev, ino }), true, 'listening');
  assert.equal(isListenedOn({ dev: dev + 1, ino }), false, 'on another device');
  assert.equal(isListenedOn({ dev, ino: ino + 1 }), false, 'another file');
  native.closeDescriptor(socket);
  assert.equal(isListenedOn({ dev, ino }), false, 'closed');
});
