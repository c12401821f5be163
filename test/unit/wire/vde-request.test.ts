/** Requests at a switch's control socket: what is read is what was sent, and everything else is refused early. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  emitVdeRequest,
  MAX_VDE_REQUEST_BYTES,
  parseVdeRequest,
  type VdeRequest,
} from '../../../src/wire/vde-request.ts';

const V3_BYTES = 122;
const V1_BYTES = 124;
const MAGIC = 0xfeedface;

function addressOf(path: string): Uint8Array {
  const address = new Uint8Array(110);
  new Uint16Array(address.buffer, 0, 1)[0] = 1;
  address.set(Buffer.from(path), 2);
  return address;
}

const ADDRESS = addressOf('/tmp/sw/.01234-00000');

/** A request of version 3 with these words; of the description, these bytes. */
function version3(type = 0, description: Uint8Array | string = '', version = 3, magic = MAGIC): Uint8Array {
  const words = new Uint32Array([magic, version, type]);
  return Buffer.concat([new Uint8Array(words.buffer), ADDRESS, Buffer.from(description)]);
}

function version1(type = 0, description = ''): Uint8Array {
  const words = new Uint32Array([MAGIC, type]);
  return Buffer.concat([new Uint8Array(words.buffer), new Uint8Array(6), ADDRESS, Buffer.from(description)]);
}

function requestIn(bytes: Uint8Array): VdeRequest {
  const parsed = parseVdeRequest(bytes);
  assert.equal(parsed.kind, 'request', JSON.stringify(parsed));
  return (parsed as { request: VdeRequest }).request;
}

test('a request of version 3 is complete with 122 bytes', () => {
  const { port, address, description } = requestIn(version3());
  assert.equal(port, undefined);
  assert.deepEqual(Uint8Array.from(address), ADDRESS);
  assert.equal(description, '');
  assert.equal(parseVdeRequest(version3().subarray(0, V3_BYTES - 1)).kind, 'incomplete');
});

test('a request of version 1 is complete with 124 bytes', () => {
  const { port, address, description } = requestIn(version1(0, 'old'));
  assert.deepEqual([port, description], [undefined, 'old']);
  assert.deepEqual(Uint8Array.from(address), ADDRESS);
  assert.equal(parseVdeRequest(version1().subarray(0, V1_BYTES - 1)).kind, 'incomplete');
  assert.equal(requestIn(version1(1)).port, 0);
});

test('ports are those that were asked for; port 0 has a type of its own', () => {
  assert.equal(requestIn(version3(7 << 8)).port, 7);
  assert.equal(requestIn(version3(0xffffff00)).port, 0xffffff);
  assert.equal(requestIn(version3(1)).port, 0);
});

for (const { name, bytes, decidedAt } of [
  { name: 'other magic', bytes: version3(0, '', 3, 0x12345678), decidedAt: 4 },
  { name: 'version 2', bytes: version3(0, '', 2), decidedAt: 8 },
  { name: 'version 4', bytes: version3(0, '', 4), decidedAt: 8 },
  { name: 'type 2', bytes: version3(2), decidedAt: 12 },
  { name: 'type 255 of a port', bytes: version3(0x1ff), decidedAt: 12 },
  { name: 'an address without family', bytes: version3().fill(0, 12, 14), decidedAt: 14 },
  { name: 'an address of version 1 without family', bytes: version1().fill(0, 14, 16), decidedAt: 16 },
]) {
  test(`${name} is refused as soon as it is seen, after ${decidedAt} bytes`, () => {
    assert.equal(parseVdeRequest(bytes.subarray(0, decidedAt - 1)).kind, 'incomplete');
    for (let length = decidedAt; length <= bytes.length; length++) {
      assert.equal(parseVdeRequest(bytes.subarray(0, length)).kind, 'invalid', `${length} bytes`);
    }
  });
}

test('a description is safe to print, whatever its bytes', () => {
  const texts: readonly (readonly [string | Uint8Array, string])[] = [
    ['vdens user=me pid=1', 'vdens user=me pid=1'],
    ['caf\u00e9', 'caf\u00e9'],
    ['\x1b[2Jgone\n', '?[2Jgone?'],
    ['\u202edetrevni', '?detrevni'],
    ['line\u2028line', 'line?line'],
    ['ended\0\0', 'ended'],
    [Uint8Array.of(0xff, 0x41), '?A'],
    ['x'.repeat(200), 'x'.repeat(127)],
  ];
  for (const [sent, shown] of texts) assert.equal(requestIn(version3(0, sent)).description, shown);
});

test('two bytes behind the address, as User-Mode Linux sends them, are a description', () => {
  assert.equal(requestIn(version3(0, Uint8Array.of(0x80, 0x07))).description, '??');
});

test('what is emitted is read again', () => {
  const text = fc.stringMatching(/^[ -~]{0,127}$/);
  const port = fc.option(fc.integer({ min: 0, max: 0xffffff }), { nil: undefined });
  const path = fc.uint8Array({ minLength: 108, maxLength: 108 });
  fc.assert(
    fc.property(text, port, path, (description, wanted, name) => {
      const address = addressOf('');
      address.set(name, 2);
      const read = requestIn(emitVdeRequest({ port: wanted, address, description }));
      assert.deepEqual({ ...read, address: Uint8Array.from(read.address) }, { port: wanted, address, description });
    }),
  );
});

test('any bytes have one verdict, and more of them never turn a refusal around', () => {
  const start = fc.constantFrom(version3(), version3(7 << 8, 'me'), version1(), new Uint8Array());
  const edits = fc.array(fc.tuple(fc.nat(MAX_VDE_REQUEST_BYTES), fc.nat(255)), { maxLength: 4 });
  fc.assert(
    fc.property(start, edits, fc.uint8Array({ maxLength: 300 }), (request, changes, tail) => {
      const bytes = Uint8Array.from(Buffer.concat([request, tail]));
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      let before = 'incomplete';
      for (let length = 0; length <= bytes.length; length++) {
        const { kind } = parseVdeRequest(bytes.subarray(0, length));
        if (before !== 'incomplete') assert.equal(kind, before, `after ${length} bytes`);
        before = kind;
      }
      const parsed = parseVdeRequest(bytes);
      if (parsed.kind !== 'request') return;
      assert.ok(Buffer.byteLength(parsed.request.description) <= 127);
      assert.doesNotMatch(parsed.request.description, /[\p{C}\p{Zl}\p{Zp}]/u);
    }),
  );
});
