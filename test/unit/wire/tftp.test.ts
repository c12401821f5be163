/** TFTP packets: by hand, and whatever is written is read back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { emitTftp, parseTftp, type TftpPacket } from '../../../src/wire/tftp.ts';

const text = fc.string({ unit: fc.constantFrom(...'abc019./-_ é'), maxLength: 30 });
const lower = fc.constantFrom('octet', 'netascii', 'blksize', 'tsize', 'x');
const options = fc.array(fc.tuple(lower, text), { maxLength: 4 }).map((entries) => new Map(entries));
const plain = { noNullPrototype: true } as const;
const block = fc.integer({ min: 0, max: 0xffff });
const packet: fc.Arbitrary<TftpPacket> = fc.oneof(
  fc.record({ kind: fc.constantFrom('read' as const, 'write' as const), name: text, mode: lower, options }, plain),
  fc.record({ kind: fc.constant('data' as const), block, data: fc.uint8Array({ maxLength: 600 }) }, plain),
  fc.record({ kind: fc.constant('acknowledgement' as const), block }, plain),
  fc.record({ kind: fc.constant('error' as const), code: block, message: text }, plain),
  fc.record({ kind: fc.constant('options' as const), options }, plain),
);

test('a request with options is read as clients write it', () => {
  assert.deepEqual(parseTftp(Buffer.from('\0\x01pxelinux.0\0OCTET\0TSIZE\x000\0blksize\x001428\0', 'latin1')), {
    kind: 'read',
    name: 'pxelinux.0',
    mode: 'octet',
    options: new Map([
      ['tsize', '0'],
      ['blksize', '1428'],
    ]),
  });
});

test('packets are written as on the wire', () => {
  const written = (sent: TftpPacket): string => Buffer.from(emitTftp(sent)).toString('latin1');
  assert.equal(written({ kind: 'data', block: 258, data: Buffer.from('ab') }), '\0\x03\x01\x02ab');
  assert.equal(written({ kind: 'acknowledgement', block: 1 }), '\0\x04\0\x01');
  assert.equal(written({ kind: 'error', code: 1, message: 'no' }), '\0\x05\0\x01no\0');
  assert.equal(written({ kind: 'options', options: new Map([['tsize', '7']]) }), '\0\x06tsize\x007\0');
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(packet, (sent) => assert.deepEqual(parseTftp(emitTftp(sent)), sent)),
    { numRuns: 300 },
  );
});

test('what is cut, too long, or has half an option, is not read', () => {
  for (const wrong of [
    '',
    '\0',
    '\0\x01',
    '\0\x01a\0',
    '\0\x01a\0octet',
    '\0\x01a\0octet\0tsize\0',
    '\0\x03\0',
    '\0\x07ab',
  ]) {
    assert.equal(parseTftp(Buffer.from(wrong, 'latin1')), undefined, JSON.stringify(wrong));
  }
  assert.equal(parseTftp(Buffer.from(`\0\x01${'a'.repeat(505)}\0octet\0`, 'latin1')), undefined);
  assert.deepEqual(parseTftp(Buffer.from('\0\x05\0\0bye', 'latin1')), { kind: 'error', code: 0, message: 'bye' });
});

test('garbage never throws', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 7 }), fc.uint8Array({ maxLength: 100 }), (operation, garbage) => {
      const read = parseTftp(Buffer.concat([Uint8Array.of(0, operation), garbage]));
      if (read !== undefined) emitTftp(read);
    }),
    { numRuns: 500 },
  );
});
