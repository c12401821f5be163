import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseIp } from '../../../src/net/ip.ts';
import { parseMac } from '../../../src/net/mac.ts';
import { parsePrefix } from '../../../src/net/prefix.ts';
import { emitAddress, parseAddress, RTM_NEWADDR } from '../../../src/system/address-message.ts';
import { emitLinkChange, parseLink, RTM_NEWLINK } from '../../../src/system/link-message.ts';
import { emitPayload, littleEndian, numberAttribute, textAttribute } from '../../../src/system/netlink-message.ts';
import { emitDefaultRoute } from '../../../src/system/route-message.ts';

// Checked against what `strace ip ...` shows for the same commands; numbers are little-endian.
const skip = littleEndian ? false : 'the literal bytes are little-endian';
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const eth0 = [9, 0, 3, 0, 0x65, 0x74, 0x68, 0x30, 0, 0, 0, 0]; // IFLA_IFNAME "eth0"

describe('link message', { skip }, () => {
  test('sets the up flag and no other', () => {
    assert.deepEqual(
      emitLinkChange('eth0', { up: true }),
      bytes(...[0, 0, 0, 0], ...[0, 0, 0, 0], ...[1, 0, 0, 0], ...[1, 0, 0, 0], ...eth0),
    );
  });

  test('clears the up flag by the mask alone', () => {
    assert.deepEqual(
      emitLinkChange('eth0', { up: false }),
      bytes(...[0, 0, 0, 0], ...[0, 0, 0, 0], ...[0, 0, 0, 0], ...[1, 0, 0, 0], ...eth0),
    );
  });

  test('leaves the flags alone when MAC and MTU change', () => {
    const ifinfomsg = new Array<number>(16).fill(0);
    assert.deepEqual(
      emitLinkChange('eth0', { mac: parseMac('02:00:00:00:00:01'), mtu: 9000 }),
      bytes(
        ...ifinfomsg,
        ...eth0,
        ...[10, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 0], // IFLA_ADDRESS, padded
        ...[8, 0, 4, 0, 0x28, 0x23, 0, 0], // IFLA_MTU
      ),
    );
  });

  test('is read as name, number, MAC, MTU and its range, flags, carrier and state', () => {
    const ifinfomsg = bytes(...[0, 0, 1, 0], ...[3, 0, 0, 0], ...[0x43, 0x10, 1, 0], ...[0, 0, 0, 0]);
    const payload = emitPayload(ifinfomsg, [
      textAttribute(3, 'eth0'),
      { type: 1, value: parseMac('02:00:00:00:00:01') },
      numberAttribute(4, 1500),
      numberAttribute(50, 68),
      numberAttribute(51, 65521),
      { type: 16, value: bytes(6) },
      { type: 33, value: bytes(1) },
    ]);
    assert.deepEqual(parseLink({ type: RTM_NEWLINK, flags: 2, sequence: 1, payload }), {
      index: 3,
      name: 'eth0',
      mac: bytes(2, 0, 0, 0, 0, 1),
      mtu: 1500,
      minMtu: 68,
      maxMtu: 65521,
      isUp: true,
      hasCarrier: true,
      operationalState: 'up',
    });
    payload[8] = 0x43 | 0x80;
    assert.equal(parseLink({ type: RTM_NEWLINK, flags: 2, sequence: 1, payload })?.isArpOff, true);
  });

  test('is nothing when it has another type, no name, or is too short', () => {
    const named = emitPayload(new Uint8Array(16), [textAttribute(3, 'lo')]);
    assert.equal(parseLink({ type: 20, flags: 0, sequence: 1, payload: named }), undefined);
    assert.equal(parseLink({ type: RTM_NEWLINK, flags: 0, sequence: 1, payload: new Uint8Array(16) }), undefined);
    assert.equal(parseLink({ type: RTM_NEWLINK, flags: 0, sequence: 1, payload: named.subarray(0, 15) }), undefined);
  });
});

describe('address message', { skip }, () => {
  test('of IPv4 has local and peer address, and neither broadcast nor flags', () => {
    assert.deepEqual(
      emitAddress(3, parsePrefix('10.0.0.2/24')),
      bytes(
        ...[2, 24, 0, 0], // AF_INET, prefix length, flags, scope universe
        ...[3, 0, 0, 0], // interface
        ...[8, 0, 2, 0, 10, 0, 0, 2], // IFA_LOCAL
        ...[8, 0, 1, 0, 10, 0, 0, 2], // IFA_ADDRESS
      ),
    );
  });

  test('of IPv6 asks for no duplicate address detection', () => {
    const address = [0xfd, ...new Array<number>(14).fill(0), 1];
    assert.deepEqual(
      emitAddress(3, parsePrefix('fd00::1/64')),
      bytes(...[10, 64, 2, 0], ...[3, 0, 0, 0], ...[20, 0, 2, 0, ...address], ...[20, 0, 1, 0, ...address]),
    );
  });

  test('of 127.0.0.0/8 has the scope of the host', () => {
    assert.equal(emitAddress(1, parsePrefix('127.0.0.2/8'))[3], 254);
  });

  test('is read as address, prefix length and interface', () => {
    const payload = emitAddress(3, parsePrefix('fd00::1/64'));
    assert.deepEqual(parseAddress({ type: RTM_NEWADDR, flags: 0, sequence: 1, payload }), {
      interfaceIndex: 3,
      prefix: parsePrefix('fd00::1/64'),
      isUsable: true,
    });
    const isUsable = (flags: number): boolean | undefined =>
      parseAddress({ type: RTM_NEWADDR, flags: 0, sequence: 1, payload: payload.with(2, flags) })?.isUsable;
    assert.deepEqual([0x80, 0x40, 0x08].map(isUsable), [true, false, false]);
  });

  test('is nothing when its address has the wrong length or family', () => {
    const payload = emitAddress(3, parsePrefix('10.0.0.2/24'));
    assert.equal(parseAddress({ type: RTM_NEWADDR, flags: 0, sequence: 1, payload: payload.with(0, 10) }), undefined);
    assert.equal(parseAddress({ type: RTM_NEWADDR, flags: 0, sequence: 1, payload: payload.with(0, 7) }), undefined);
  });
});

describe('route message', { skip }, () => {
  test('sends everything through the gateway, in the main table', () => {
    assert.deepEqual(
      emitDefaultRoute(parseIp('10.0.0.1')),
      bytes(
        ...[2, 0, 0, 0], // AF_INET, to 0.0.0.0/0, from anywhere
        ...[254, 3, 0, 1], // main table, RTPROT_BOOT, scope universe, unicast
        ...[0, 0, 0, 0], // flags
        ...[8, 0, 5, 0, 10, 0, 0, 1], // RTA_GATEWAY
      ),
    );
  });

  test('names the interface when it is given', () => {
    const route = emitDefaultRoute(parseIp('fe80::1'), 3);
    assert.equal(route[0], 10);
    assert.deepEqual(route.subarray(-8), bytes(8, 0, 4, 0, 3, 0, 0, 0));
  });
});
