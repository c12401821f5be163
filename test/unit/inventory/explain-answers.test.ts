/** Answers of processes that may be of another version: each is what it should be, or an error that says whose it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VdensError } from '../../../src/errors.ts';
import {
  type Asked,
  askForwarding,
  askNeighbour,
  askNeighbours,
  askNetworks,
  askPassage,
  askRoute,
  askVlans,
} from '../../../src/inventory/explain/ask.ts';

function one(answer: Readonly<Record<string, unknown>>): Asked {
  return { name: 'web', ask: () => Promise.resolve(answer) };
}

const QUERY = { interface: 'vde0', address: '10.0.0.2', ask: true, timeoutMs: 10 };

test('answers are read, and what is not known is left out', async () => {
  const route = { kind: 'route', interfaceName: 'vde0', isLocal: false, isForMany: false, source: '10.0.0.1' };
  assert.deepEqual(await askRoute(one({ route: { ...route, later: 1 } }), '10.0.0.2'), route);
  const none = { kind: 'none', errno: 'ENETUNREACH' };
  assert.deepEqual(await askRoute(one({ route: none }), '10.0.0.2'), none);
  const neighbour = { address: '10.0.0.2', isAsked: true, before: 'none', state: 'reachable', waitedMs: 1 };
  assert.deepEqual(await askNeighbour(one({ neighbour }), QUERY), neighbour);
  const lan = { link: 'vde0', label: 'x', kind: 'switch', identity: 'i', layers: ['vlan://5'], place: '/tmp/lan' };
  assert.deepEqual(await askNetworks(one({ networks: [lan, { ...lan, kind: 'of-tomorrow' }] })), [
    lan,
    { ...lan, kind: 'other' },
  ]);
  assert.equal(await askPassage(one({}), { link: 'vde0' }), undefined);
  assert.deepEqual(
    [await askForwarding(one({ isForwarding: true }), '::1'), await askForwarding(one({}), '::1')],
    [true, undefined],
  );
  const port = { number: 3, taggedVlans: [1, 2], blockedVlans: [], owner: 'user 7' };
  assert.deepEqual(await askVlans(one({ ports: [port] }), '/tmp/sw'), [port]);
});

test('anything else is an error that names the process', async () => {
  const asks: readonly ((asked: Asked) => Promise<unknown>)[] = [
    askNetworks,
    (asked) => askRoute(asked, '10.0.0.2'),
    (asked) => askNeighbour(asked, QUERY),
    askNeighbours,
    (asked) => askPassage(asked, { link: 'vde0' }),
    (asked) => askVlans(asked, '/tmp/sw'),
    (asked) => askForwarding(asked, '10.0.0.2'),
  ];
  const keys = ['networks', 'route', 'neighbour', 'neighbours', 'passage', 'ports', 'isForwarding'];
  for (const [index, ask] of asks.entries()) {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        try {
          await ask(one({ [keys[index]!]: value }));
        } catch (error) {
          assert.ok(error instanceof VdensError, String(error));
          assert.match(error.message, /^web: its answer makes no sense\. It may be of another version/);
        }
      }),
    );
  }
  await assert.rejects(askRoute(one({}), '10.0.0.2'), { code: 'ERR_NETWORK_OPEN', errno: 'EPROTO' });
});
