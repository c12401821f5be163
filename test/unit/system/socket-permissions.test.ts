/** Permissions of sockets: nothing but a socket of ours gets any. */
import assert from 'node:assert/strict';
import { lstatSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { native } from '../../../src/system/native.ts';
import { setSocketPermissions } from '../../../src/system/socket-permissions.ts';
import { AF_UNIX, SOCK_STREAM, unixAddress } from '../../../src/system/unix-address.ts';
import { makeTemporaryDirectory } from '../../interop/harness.ts';

test('a socket gets its permissions; a link to it, and what is no socket, is left alone', (t) => {
  const folder = makeTemporaryDirectory(t);
  const [path, link, file] = ['socket', 'link', 'file'].map((name) => join(folder, name)) as [string, string, string];
  const modeOf = (name: string): number => lstatSync(name).mode & 0o777;
  const socket = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  t.after(() => native.closeDescriptor(socket));
  assert.equal(native.bindSocket(socket, unixAddress(path)), 0);
  setSocketPermissions(path, { mode: 0o606 });
  assert.equal(modeOf(path), 0o606);
  symlinkSync(path, link);
  writeFileSync(file, '', { mode: 0o600 });
  for (const other of [link, file]) {
    assert.throws(() => setSocketPermissions(other, { mode: 0o666 }), { code: 'EEXIST', syscall: 'bind' });
  }
  assert.deepEqual([modeOf(path), modeOf(file)], [0o606, 0o600]);
});
