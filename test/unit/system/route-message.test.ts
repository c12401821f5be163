/** Questions about routes, and their answers, as bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIp } from '../../../src/net/ip.ts';
import { emitPayload, numberAttribute, parseAttributes, parseNumber } from '../../../src/system/netlink-message.ts';
import { emitRouteQuery, parseRoute, RTM_GETROUTE, RTM_NEWROUTE } from '../../../src/system/route-message.ts';

const ROUTE_BYTES = 12;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_PREFSRC = 7;

function answer(
  routeType: number,
  type = RTM_NEWROUTE,
): { type: number; flags: number; sequence: number; payload: Uint8Array } {
  const fixed = new Uint8Array(ROUTE_BYTES);
  fixed[7] = routeType;
  const source = { type: RTA_PREFSRC, value: parseIp('10.0.0.1') };
  return { type, flags: 0, sequence: 1, payload: emitPayload(fixed, [numberAttribute(RTA_OIF, 3), source]) };
}

test('a question has the whole address, and the interface when there is one', () => {
  for (const [text, family, bits] of [
    ['10.0.0.9', 2, 32],
    ['fd00::9', 10, 128],
  ] as const) {
    const payload = emitRouteQuery(parseIp(text), 7);
    assert.deepEqual([payload[0], payload[1]], [family, bits]);
    const attributes = parseAttributes(payload, ROUTE_BYTES)!;
    assert.deepEqual(attributes.get(RTA_DST), parseIp(text));
    assert.equal(parseNumber(attributes.get(RTA_OIF)), 7);
    assert.equal(parseAttributes(emitRouteQuery(parseIp(text)), ROUTE_BYTES)!.has(RTA_OIF), false);
  }
});

test('a route that leads somewhere is one, a route that refuses is none', () => {
  const route = { interfaceIndex: 3, source: parseIp('10.0.0.1') };
  // unicast, local, broadcast, anycast, multicast; blackhole, unreachable, prohibit, throw, nat.
  for (const type of [1, 2, 3, 4, 5]) assert.deepEqual(parseRoute(answer(type)), route);
  for (const type of [0, 6, 7, 8, 9, 10]) assert.equal(parseRoute(answer(type)), undefined);
  assert.equal(parseRoute(answer(1, RTM_GETROUTE)), undefined);
});

test('any bytes are a route or none, never an exception', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (payload) => {
      if (payload.length > 7) payload[7] = 1;
      const route = parseRoute({ type: RTM_NEWROUTE, flags: 0, sequence: 1, payload });
      assert.ok(route === undefined || Number.isInteger(route.interfaceIndex));
    }),
  );
});
