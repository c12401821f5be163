/** Options and names of sockets, as the addon has them: results, errors, wrong arguments. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { type TestContext, test } from 'node:test';
import { native } from '../../../src/system/native.ts';
import { AF_UNIX, SOCK_DGRAM, unixAddress } from '../../../src/system/unix-address.ts';

const SOL_SOCKET = 1;
const SO_TYPE = 3;
const SO_RCVBUF = 8;
const { EBADF, EINVAL, ENOPROTOOPT } = constants.errno;

function socket(t: TestContext): number {
  const fd = native.openSocket(AF_UNIX, SOCK_DGRAM, 0);
  t.after(() => native.closeDescriptor(fd));
  return fd;
}

test('an option that is set is read back', (t) => {
  const fd = socket(t);
  const value = new Uint8Array(4);
  assert.equal(native.setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, new Uint8Array(Uint32Array.of(65536).buffer)), 0);
  assert.equal(native.getSocketOption(fd, SOL_SOCKET, SO_RCVBUF, value), 4);
  assert.equal(new Uint32Array(value.buffer)[0], 2 * 65536);
});

test('no more is written than the buffer holds', (t) => {
  const fd = socket(t);
  const around = new Uint8Array(8).fill(0xee);
  assert.equal(native.getSocketOption(fd, SOL_SOCKET, SO_TYPE, around.subarray(2, 4)), 2);
  assert.deepEqual([...around.subarray(0, 2), ...around.subarray(4)], new Array(6).fill(0xee));
  assert.equal(native.bindSocket(fd, unixAddress('').subarray(0, 2)), 0);
  around.fill(0xee);
  const length = native.socketName(fd, around.subarray(2, 4));
  assert.ok(length > 4, `the whole name has ${length} bytes`);
  assert.deepEqual([...around.subarray(0, 2), ...around.subarray(4)], new Array(6).fill(0xee));
});

test('what the kernel refuses is a negative number', (t) => {
  const fd = socket(t);
  assert.equal(native.setSocketOption(-1, SOL_SOCKET, SO_RCVBUF, new Uint8Array(4)), -EBADF);
  assert.equal(native.getSocketOption(-1, SOL_SOCKET, SO_RCVBUF, new Uint8Array(4)), -EBADF);
  assert.equal(native.socketName(-1, new Uint8Array(4)), -EBADF);
  assert.equal(native.setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, new Uint8Array(1)), -EINVAL);
  assert.equal(native.getSocketOption(fd, SOL_SOCKET, 9999, new Uint8Array(4)), -ENOPROTOOPT);
});

test('wrong arguments are type errors', (t) => {
  const fd = socket(t);
  const { setSocketOption, getSocketOption, socketName } = native as unknown as Record<
    string,
    (...all: unknown[]) => number
  >;
  const wrong: readonly (() => number)[] = [
    () => setSocketOption!(fd, SOL_SOCKET, SO_RCVBUF),
    () => setSocketOption!(fd, SOL_SOCKET, SO_RCVBUF, 1),
    () => setSocketOption!(fd, 'level', SO_RCVBUF, new Uint8Array(4)),
    () => getSocketOption!(fd, SOL_SOCKET, SO_RCVBUF, new Uint16Array(4)),
    () => getSocketOption!(fd, SOL_SOCKET),
    () => socketName!(fd),
    () => socketName!('fd', new Uint8Array(4)),
  ];
  for (const attempt of wrong) assert.throws(attempt, TypeError);
});
