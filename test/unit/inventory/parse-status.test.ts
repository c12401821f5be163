/** What a process says of itself is taken for that only when it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseProcessStatus } from '../../../src/inventory/parse-status.ts';
import type { DirectionStatus, LinkStatus, ProcessStatus } from '../../../src/inventory/status.ts';

const direction: DirectionStatus = {
  frames: 1,
  bytes: 2,
  framesPerSecond: 0.5,
  bytesPerSecond: 1,
  drops: { 'peer-slow': 3 },
};
const link: LinkStatus = {
  id: 'vde0',
  network: 'switch:///tmp/lan',
  description: '',
  received: direction,
  sent: direction,
  impairment: ['delay=20'],
  isCut: false,
};
const status: ProcessStatus = {
  name: 'web',
  pid: 7,
  command: 'vdens',
  uptimeSeconds: 1.5,
  items: [
    {
      kind: 'namespace',
      pid: 8,
      interfaces: [
        {
          name: 'vde0',
          mac: '02:00:00:00:00:01',
          mtu: 1500,
          isUp: true,
          hasCarrier: true,
          addresses: ['10.0.0.1/24'],
          link,
          peers: [{ name: 'switch', pid: 9, uid: 1000 }, { name: '192.0.2.1:4789' }],
          notes: ['a line'],
          isServedHere: false,
        },
      ],
      gateways: ['10.0.0.2'],
      command: ['sh', '-c', 'true'],
    },
    {
      kind: 'switch',
      path: '/tmp/lan',
      isHub: false,
      ports: [
        { number: 1, kind: 'local', peer: undefined, link },
        { number: 2, kind: 'tap', peer: { name: 'x', pid: 1, uid: 2 }, link },
      ],
      stations: [{ mac: '02:00:00:00:00:01', vlan: 0, port: 1, ageSeconds: 3 }],
    },
    {
      kind: 'gateway',
      network: 'slirp://',
      addresses: ['10.0.2.2/24'],
      forwards: [{ id: 1, protocol: 'udp', hostAddress: '::', hostPort: 53, guestAddress: '10.0.2.15', guestPort: 53 }],
      flows: 0,
      counters: { refused: 1 },
      notes: [],
    },
    { kind: 'cable', links: [link, link], peers: [], notes: [] },
    { kind: 'filter', links: [link], notes: [] },
  ],
};

test('a status comes back as it was, without what is not known', () => {
  const json: unknown = JSON.parse(JSON.stringify(status));
  assert.deepEqual(parseProcessStatus(json as object as Record<string, unknown>), status);
  const later = { ...status, later: 1, items: [...status.items, { kind: 'moon', phase: 'full' }] };
  assert.deepEqual(parseProcessStatus(JSON.parse(JSON.stringify(later)) as Record<string, unknown>), status);
});

test('what is not a status is none: any value of another type, anything missing', () => {
  const paths: (readonly (string | number)[])[] = [];
  const walk = (value: unknown, path: readonly (string | number)[]): void => {
    if (path.length > 0) paths.push(path);
    if (Array.isArray(value)) value.forEach((one, index) => void walk(one, [...path, index]));
    else if (typeof value === 'object' && value !== null) {
      for (const [key, one] of Object.entries(value)) walk(one, [...path, key]);
    }
  };
  const json = JSON.stringify(status);
  walk(JSON.parse(json), []);
  assert.ok(paths.length > 100);
  // A thing of another kind is left out.
  const checked = paths.filter((path) => path[0] !== 'items' || path[2] !== 'kind');
  for (const path of checked) {
    const copy = JSON.parse(json) as Record<string | number, unknown>;
    const parent = path.slice(0, -1).reduce((at, key) => at[key] as Record<string | number, unknown>, copy);
    const last = path.at(-1)!;
    const name = path.join('.');
    parent[last] = Symbol.iterator; // Of no type that JSON has.
    assert.equal(parseProcessStatus(copy), undefined, name);
  }
});

test('no JSON makes the reader throw', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...Object.keys(status)), fc.jsonValue()), (value) => {
      parseProcessStatus(value);
    }),
  );
});
