import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  emitMessage,
  emitPayload,
  littleEndian,
  type NetlinkMessage,
  NLMSG_DONE,
  NLMSG_ERROR,
  numberAttribute,
  parseAttributes,
  parseMessages,
  parseNumber,
  parseText,
  parseVerdict,
  textAttribute,
} from '../../../src/system/netlink-message.ts';

// The literal bytes below are those of a little-endian machine; the kernel uses its own order.
const skip = littleEndian ? false : 'the literal bytes are little-endian';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const verdictOf = (type: number, flags: number, payload: Uint8Array) =>
  parseVerdict({ type, flags, sequence: 1, payload });

describe('netlink message', { skip }, () => {
  test('begins with length, type, flags, sequence and a port of zero', () => {
    const message = emitMessage({ type: 16, flags: 0x0405, sequence: 7, payload: bytes(1, 2, 3, 4) });
    assert.deepEqual(
      message,
      bytes(
        ...[20, 0, 0, 0], // length, header included
        ...[16, 0], // RTM_NEWLINK
        ...[0x05, 0x04], // flags
        ...[7, 0, 0, 0], // sequence
        ...[0, 0, 0, 0], // port
        ...[1, 2, 3, 4],
      ),
    );
  });

  test('is padded to four bytes, and its length does not count the padding', () => {
    const message = emitMessage({ type: 1, flags: 0, sequence: 0, payload: bytes(9) });
    assert.equal(message.length, 20);
    assert.equal(message[0], 17);
  });

  test('comes back as it went, however many share a datagram', () => {
    const shape = {
      type: fc.nat(0xffff),
      flags: fc.nat(0xffff),
      sequence: fc.nat(0xffff_ffff),
      payload: fc.uint8Array({ maxLength: 50 }),
    };
    const message = fc.record(shape, { noNullPrototype: true });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), (messages: NetlinkMessage[]) => {
        const datagram = Buffer.concat(messages.map(emitMessage));
        assert.deepEqual(
          parseMessages(datagram)?.map((m) => ({ ...m, payload: Uint8Array.from(m.payload) })),
          messages,
        );
      }),
    );
  });

  for (const [what, datagram] of [
    ['a header cut short', bytes(16, 0, 0, 0, 1, 0)],
    ['a length beyond the datagram', bytes(17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
    ['a length below the header', bytes(15, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
    ['a length of zero, which would never end', new Uint8Array(16)],
  ] as const) {
    test(`is refused with ${what}`, () => assert.equal(parseMessages(datagram), undefined));
  }

  test('never throws on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(40), (datagram, offset) => {
        parseMessages(datagram);
        parseAttributes(datagram, offset);
        verdictOf(NLMSG_ERROR, 0x200, datagram);
        verdictOf(NLMSG_ERROR, 0x300, datagram);
      }),
    );
  });
});

describe('netlink attributes', { skip }, () => {
  test('follow the fixed part, each padded to four bytes', () => {
    const payload = emitPayload(bytes(1, 2, 3, 4), [textAttribute(3, 'eth0'), numberAttribute(4, 1500)]);
    assert.deepEqual(
      payload,
      bytes(
        ...[1, 2, 3, 4],
        ...[9, 0, 3, 0], // length 9, type 3
        ...[0x65, 0x74, 0x68, 0x30, 0], // "eth0" and its zero byte
        ...[0, 0, 0], // padding
        ...[8, 0, 4, 0], // length 8, type 4
        ...[0xdc, 0x05, 0, 0], // 1500
      ),
    );
  });

  test('are found by type', () => {
    const attributes = parseAttributes(
      emitPayload(bytes(0, 0), [textAttribute(3, 'lo'), numberAttribute(4, 65536)]),
      2,
    );
    assert.equal(parseText(attributes!.get(3)!), 'lo');
    assert.equal(parseNumber(attributes!.get(4)), 65536);
    assert.equal(parseNumber(attributes!.get(5)), undefined);
  });

  test('are found by type without the bit that says they nest', () => {
    assert.deepEqual(parseAttributes(bytes(5, 0, 1, 0x80, 42, 0, 0, 0), 0), new Map([[1, bytes(42)]]));
  });

  test('may end without padding', () => {
    assert.deepEqual(parseAttributes(bytes(5, 0, 1, 0, 42), 0), new Map([[1, bytes(42)]]));
  });

  for (const [what, payload] of [
    ['a length beyond the payload', bytes(9, 0, 1, 0, 0, 0, 0, 0)],
    ['a length below its header', bytes(3, 0, 1, 0)],
    ['a header cut short', bytes(8, 0)],
  ] as const) {
    test(`are refused with ${what}`, () => assert.equal(parseAttributes(payload, 0), undefined));
  }
});

describe('netlink verdict', { skip }, () => {
  test('is success when the error is 0', () => {
    assert.deepEqual(verdictOf(NLMSG_ERROR, 0, bytes(0, 0, 0, 0)), { errno: 0, text: undefined });
  });

  test('carries the positive number of the error', () => {
    // -17: EEXIST
    assert.deepEqual(verdictOf(NLMSG_ERROR, 0, bytes(0xef, 0xff, 0xff, 0xff)), { errno: 17, text: undefined });
  });

  test('carries the text behind a capped request', () => {
    const refused = bytes(0xea, 0xff, 0xff, 0xff, ...new Array<number>(16).fill(0), 7, 0, 1, 0, 0x6e, 0x6f, 0, 0);
    assert.deepEqual(verdictOf(NLMSG_ERROR, 0x300, refused), { errno: 22, text: 'no' });
  });

  test('carries the text behind a request that is repeated in full', () => {
    const request = emitMessage({ type: 16, flags: 5, sequence: 1, payload: bytes(1, 2, 3, 4) });
    const refused = bytes(0xea, 0xff, 0xff, 0xff, ...request, 7, 0, 1, 0, 0x6e, 0x6f, 0, 0);
    assert.deepEqual(verdictOf(NLMSG_ERROR, 0x200, refused), { errno: 22, text: 'no' });
  });

  test('of a dump without a number is success', () => {
    assert.deepEqual(verdictOf(NLMSG_DONE, 2, bytes()), { errno: 0, text: undefined });
  });

  test('is missing when there is no room for a number', () => {
    assert.equal(verdictOf(NLMSG_ERROR, 0, bytes(1, 2)), undefined);
  });
});
