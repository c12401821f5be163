/** What `vde ls` and `vde top` make of what processes say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatLinks,
  formatList,
  LinkRates,
  type SeenProcess,
  sortLinks,
} from '../../../src/commands/running-report.ts';
import type { DirectionStatus, ItemStatus, LinkStatus } from '../../../src/inventory/status.ts';

const QUIET: DirectionStatus = { frames: 0, bytes: 0, framesPerSecond: 0, bytesPerSecond: 0, drops: {} };

function direction(frames: number, bytes: number, drops: Record<string, number> = {}): DirectionStatus {
  return { frames, bytes, framesPerSecond: frames, bytesPerSecond: bytes, drops };
}

function link(id: string, more: Partial<LinkStatus> = {}): LinkStatus {
  const network = 'switch:///tmp/lan';
  return { id, network, description: '', received: QUIET, sent: QUIET, impairment: [], isCut: false, ...more };
}

function namespace(one: LinkStatus, addresses: readonly string[]): ItemStatus {
  const { id: name } = one;
  const state = { mtu: 1500, isUp: true, hasCarrier: true, isServedHere: false };
  const vde0 = { name, mac: '02:00:00:00:00:01', addresses, link: one, peers: [], notes: [], ...state };
  return { kind: 'namespace', pid: 43, interfaces: [vde0], gateways: [], command: ['sh'] };
}

function process(name: string, pid: number, items: readonly ItemStatus[], uptimeSeconds = 65): SeenProcess {
  return { name, pid, answer: { name, pid, command: 'vdens', uptimeSeconds, items } };
}

test('the list has a line for each interface, with what was done to it', () => {
  const vde0 = link('vde0', {
    received: direction(12, 34_567, { 'too-long': 1 }),
    sent: direction(3, 200, { 'peer-slow': 2 }),
    impairment: ['delay=20'],
    isCut: true,
  });
  const seen = [
    process('web', 42, [namespace(vde0, ['10.0.0.1/24', 'fe80::1/64'])]),
    process('no', 7, [{ kind: 'namespace', pid: 8, interfaces: [], gateways: [], command: [] }]),
    { name: 'stuck', pid: 9, answer: 'does not answer' },
  ];
  assert.deepEqual(formatList(seen, undefined), [
    'name   pid  kind       address           peers  in/s  in B/s  out/s  out B/s  dropped  up          network',
    'web     42  namespace  vde0 10.0.0.1/24      0    12   34.6k      3      200        3  1 min 05 s  switch:///tmp/lan [cut delay=20]',
    'no       7  namespace  -                     -     -       -      -        -        -  1 min 05 s  no',
    'stuck    9  ?          -                     -     -       -      -        -        -  -           does not answer',
  ]);
  assert.deepEqual(formatList(seen, 60)[0], 'name   kind       address           network');
});

test('many addresses make no line long; an interface that was renamed or removed is told by both names', () => {
  const many = Array.from({ length: 200 }, (_, index) => `10.0.0.${index + 1}/16`);
  const [, line = ''] = formatList([process('web', 42, [namespace(link('vde0'), many)])], undefined);
  assert.match(line, /vde0 10\.0\.0\.1\/16 10\.0\.0\.2\/16 10\.0\.0\.3\/16 10\.0\.0\.4\/16 … and 196 more /);
  const item = namespace(link('vde0'), []);
  assert.ok(item.kind === 'namespace');
  const [vde0] = item.interfaces;
  assert.ok(vde0 !== undefined);
  const shown = (change: object): string =>
    formatList([process('web', 42, [{ ...item, interfaces: [{ ...vde0, ...change }] }])], undefined)[1] ?? '';
  assert.match(shown({ name: 'lan0' }), / lan0 \(was vde0\) /);
  assert.match(shown({ mac: '', isUp: false }), / vde0 \(gone\) /);
});

test('a switch is the sum of its ports, a cable what its left end does', () => {
  const port = (number: number): { number: number; kind: string; peer: undefined; link: LinkStatus } => ({
    number,
    kind: 'tap',
    peer: undefined,
    link: link(`port ${number}`, { received: direction(1, 100), sent: direction(2, 50) }),
  });
  const items: readonly ItemStatus[] = [
    { kind: 'switch', path: '/tmp/hub', isHub: true, ports: [port(1), port(2)], stations: [] },
    { kind: 'cable', links: [link('left', { received: direction(5, 500) }), link('right')], peers: [], notes: [] },
  ];
  const [, lan = '', cable = ''] = formatList([process('x', 1, items)], undefined);
  assert.match(lan, /^x +1 +switch +- +2 +2 +200 +4 +100 +0 +1 min 05 s +\/tmp\/hub \(hub\)$/);
  assert.match(cable, /^x +1 +cable +- +0 +5 +500 +0 +0 +0 .* switch:\/\/\/tmp\/lan = switch:\/\/\/tmp\/lan$/);
});

test('what processes say cannot do things to the terminal', () => {
  const evil = '\x1b]0;x\x07\n\u202e';
  const item = namespace(link(evil, { network: evil, description: evil, impairment: [evil] }), [evil]);
  const seen: readonly SeenProcess[] = [process(evil, 1, [item]), { name: evil, pid: undefined, answer: evil }];
  const lines = [...formatList(seen, undefined), ...formatLinks(new LinkRates().look(seen), undefined)];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  for (const line of lines) assert.doesNotMatch(line, /[\x00-\x1f\x7f\u202e]/);
});

test('rates are counted from look to look, by the clock of the process that is looked at', () => {
  const rates = new LinkRates();
  const at = (seconds: number, bytes: number): readonly SeenProcess[] => {
    const vde0 = link('vde0', {
      received: { ...direction(bytes / 100, bytes), bytesPerSecond: 7, framesPerSecond: 1 },
    });
    return [process('web', 42, [namespace(vde0, [])], seconds)];
  };
  assert.equal(rates.look(at(10, 1000))[0]?.traffic.bytesIn, 7, 'the first time, what the process says');
  assert.equal(rates.look(at(12, 5000))[0]?.traffic.bytesIn, 2000);
  assert.equal(rates.look(at(12, 5000))[0]?.traffic.bytesIn, 7, 'no time has passed');
  assert.equal(rates.look(at(14, 400))[0]?.traffic.bytesIn, 200, 'somebody else is there');
});

test('lines are sorted by what was asked for, and by name where that is the same', () => {
  const seen = [
    process('b10', 1, [namespace(link('vde0', { received: direction(1, 10) }), [])]),
    process('b9', 2, [namespace(link('vde0', { received: direction(1, 10) }), [])]),
    process('a', 3, [namespace(link('vde0', { sent: direction(1, 900, { down: 4 }) }), [])]),
    process('c', 4, [namespace(link('vde0'), [])]),
  ];
  const links = new LinkRates().look(seen);
  const names = (...order: Parameters<typeof sortLinks> extends [unknown, ...infer Rest] ? Rest : never): string =>
    sortLinks(links, ...order)
      .map(({ name }) => name)
      .join(' ');
  assert.equal(names('rate', false), 'a b9 b10 c');
  assert.equal(names('rate', true), 'c b10 b9 a');
  assert.equal(names('in', false), 'b9 b10 a c');
  assert.equal(names('out', false), 'a b9 b10 c');
  assert.equal(names('dropped', false), 'a b9 b10 c');
  assert.equal(names('name', true), 'c b10 b9 a');
  assert.match(formatLinks(sortLinks(links, 'rate', false), undefined)[1] ?? '', / out:down=4 /);
});
