/** What two processes say when one hands its TAP over: what is read is what was sent, and nothing else is read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { emitHandover, type HandoverMessage, MAX_HANDOVER_BYTES, parseHandover } from '../../../src/wire/handover.ts';

const HEADER_BYTES = 8;
const ADDRESS_BYTES = 110;
const VERSION_OFFSET = 4;
const KIND_OFFSET = 5;

const address = Uint8Array.from({ length: ADDRESS_BYTES }, (_, i) => i);
const offer: HandoverMessage = { kind: 'offer', takesSuperFrames: true, address };
const MESSAGES: readonly HandoverMessage[] = [
  offer,
  { kind: 'offer', takesSuperFrames: false, address: new Uint8Array(ADDRESS_BYTES) },
  { kind: 'answer', errno: 0 },
  { kind: 'answer', errno: 16 },
  { kind: 'answer', errno: 0xffff },
  { kind: 'take-back' },
  { kind: 'given-back' },
  { kind: 'invite' },
  { kind: 'capture', number: 0, index: 511, snap: 262144, receivedIsOutbound: true },
  { kind: 'capture', number: 0xffffffff, index: 0, snap: 96, receivedIsOutbound: false },
  { kind: 'end-capture', number: 7 },
  { kind: 'refuse-capture', number: 0xffffffff, errno: 16 },
];

/** Of messages that are more than a header. */
const LENGTHS: Partial<Record<HandoverMessage['kind'], number>> = {
  offer: MAX_HANDOVER_BYTES,
  capture: HEADER_BYTES + 12,
  'end-capture': HEADER_BYTES + 4,
  'refuse-capture': HEADER_BYTES + 4,
};

/** The bytes of a message with some of them changed. */
function changed(message: HandoverMessage, at: number, value: number): Uint8Array {
  const bytes = emitHandover(message);
  bytes[at] = value;
  return bytes;
}

for (const message of MESSAGES) {
  test(`${JSON.stringify({ ...message, address: undefined })} is read as it was sent`, () => {
    const bytes = emitHandover(message);
    assert.equal(bytes.length, LENGTHS[message.kind] ?? HEADER_BYTES);
    assert.deepEqual(parseHandover(bytes), message);
  });

  test(`${JSON.stringify({ ...message, address: undefined })} is not read when it is cut short`, () => {
    const bytes = emitHandover(message);
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(parseHandover(bytes.subarray(0, length)), undefined, `${length} bytes`);
    }
  });
}

test('the layout is the documented one', () => {
  const bytes = emitHandover(offer);
  assert.deepEqual([...bytes.subarray(0, HEADER_BYTES)], [...Buffer.from('VTAP'), 2, 1, 1, 0]);
  assert.deepEqual(bytes.subarray(HEADER_BYTES), address);
  assert.equal(MAX_HANDOVER_BYTES, HEADER_BYTES + ADDRESS_BYTES);
});

test('an offer that is too long is none', () => {
  assert.equal(parseHandover(Buffer.concat([emitHandover(offer), Buffer.of(0)])), undefined);
});

test('another magic, version, or kind is not read', () => {
  for (const message of MESSAGES) {
    for (let at = 0; at < VERSION_OFFSET; at++) assert.equal(parseHandover(changed(message, at, 0x20)), undefined);
    for (const version of [0, 1, 3, 255]) {
      assert.equal(parseHandover(changed(message, VERSION_OFFSET, version)), undefined, `version ${version}`);
    }
    for (const kind of [0, 9, 255]) {
      assert.equal(parseHandover(changed(message, KIND_OFFSET, kind)), undefined, `kind ${kind}`);
    }
  }
});

test('the address of an offer is a copy: the buffer it was received in is used again', () => {
  const bytes = emitHandover(offer);
  const parsed = parseHandover(bytes);
  bytes.fill(0xff);
  assert.deepEqual(parsed, offer);
});

test('a message somewhere in a larger buffer is read there', () => {
  const buffer = new Uint8Array(512).fill(0xee);
  buffer.set(emitHandover(offer), 33);
  assert.deepEqual(parseHandover(buffer.subarray(33, 33 + MAX_HANDOVER_BYTES)), offer);
});

test('garbage is never read as a message, and never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      fc.pre(!Buffer.from(bytes).subarray(0, VERSION_OFFSET).equals(Buffer.from('VTAP')));
      assert.equal(parseHandover(bytes), undefined);
    }),
    { numRuns: 500 },
  );
});

test('what is read of a damaged message is emitted as it came, but for flags without meaning', () => {
  const damage = fc.array(fc.tuple(fc.nat(MAX_HANDOVER_BYTES - 1), fc.nat(255)), { maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(...MESSAGES), damage, (message, changes) => {
      const bytes = emitHandover(message);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      const parsed = parseHandover(bytes);
      if (parsed === undefined) return;
      const again = emitHandover(parsed);
      assert.deepEqual(parseHandover(again), parsed);
      assert.deepEqual(again.subarray(0, KIND_OFFSET + 1), bytes.subarray(0, KIND_OFFSET + 1));
    }),
    { numRuns: 500 },
  );
});
