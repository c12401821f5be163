/** Questions about neighbours and forwarding, and their answers, as bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIp } from '../../../src/net/ip.ts';
import { parseMac } from '../../../src/net/mac.ts';
import { emitForwardingQuery, parseForwarding, RTM_NEWNETCONF } from '../../../src/system/forwarding-message.ts';
import {
  emitNeighbourCheck,
  emitNeighbourQuery,
  emitNeighbourUse,
  parseNeighbour,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from '../../../src/system/neighbour-message.ts';
import { emitPayload, numberAttribute, parseAttributes } from '../../../src/system/netlink-message.ts';
import { parseRouteDetail, RTM_NEWROUTE } from '../../../src/system/route-message.ts';

const message = (type: number, payload: Uint8Array) => ({ type, flags: 0, sequence: 1, payload });
const mac = parseMac('02:00:00:00:00:01');

test('what is asked of a neighbour is what the kernel answers in: interface, address, state, MAC', () => {
  for (const text of ['10.0.0.2', 'fd00::2']) {
    const address = parseIp(text);
    const checked = parseNeighbour(message(RTM_NEWNEIGH, emitNeighbourCheck(7, address, mac)));
    assert.deepEqual(checked, { interfaceIndex: 7, address, state: 'probe', mac });
    const used = emitNeighbourUse(7, address);
    assert.deepEqual(parseNeighbour(message(RTM_NEWNEIGH, used)), { interfaceIndex: 7, address, state: 'none' });
    // NTF_USE, in the flags.
    assert.equal(used[10], 1);
  }
  assert.equal(parseNeighbour(message(RTM_GETNEIGH, emitNeighbourUse(7, parseIp('10.0.0.2')))), undefined);
  assert.equal(parseNeighbour(message(RTM_NEWNEIGH, emitNeighbourQuery())), undefined);
});

test('an address that is not of the family that the message names is no neighbour', () => {
  const payload = emitNeighbourUse(7, parseIp('10.0.0.2'));
  payload[0] = 10;
  assert.equal(parseNeighbour(message(RTM_NEWNEIGH, payload)), undefined);
});

test('forwarding is asked for all interfaces, and read from the answer', () => {
  const query = emitForwardingQuery(2);
  assert.deepEqual([...parseAttributes(query, 1)!.keys()], [1]);
  for (const value of [0, 1]) {
    const answer = emitPayload(Uint8Array.of(2), [numberAttribute(2, value)]);
    assert.equal(parseForwarding(message(RTM_NEWNETCONF, answer)), value === 1);
  }
  assert.equal(parseForwarding(message(RTM_NEWNETCONF, query)), undefined);
});

test('a route says through which router it leads, and whether the destination is one of our own', () => {
  const route = (type: number, ...attributes: { type: number; value: Uint8Array }[]) => {
    const fixed = new Uint8Array(12);
    fixed[7] = type;
    return parseRouteDetail(message(RTM_NEWROUTE, emitPayload(fixed, [numberAttribute(4, 3), ...attributes])));
  };
  const gateway = parseIp('10.0.0.1');
  assert.deepEqual(route(1, { type: 5, value: gateway }), {
    interfaceIndex: 3,
    isLocal: false,
    isForMany: false,
    gateway,
  });
  // RTA_VIA: the family in two bytes, then the address.
  const via = parseIp('fe80::1');
  assert.deepEqual(route(1, { type: 18, value: Uint8Array.of(10, 0, ...via) })?.gateway, via);
  assert.equal(route(2)?.isLocal, true);
  assert.equal(route(3)?.isForMany, true);
  assert.equal(route(7), undefined);
});

test('any bytes are an answer or none, never an exception', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (payload) => {
      parseNeighbour(message(RTM_NEWNEIGH, payload));
      parseForwarding(message(RTM_NEWNETCONF, payload));
      parseRouteDetail(message(RTM_NEWROUTE, payload));
    }),
  );
});
