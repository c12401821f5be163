/** Hosts that are looked up once, with a resolver that does what the test says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familyOfNames, findHost } from '../../../src/overlay/find-host.ts';

const never = new Promise<string>(() => undefined);

/** A resolver that knows some names, and how it was used. */
function resolver(names: Readonly<Record<string, string | Promise<string>>>) {
  const use = { asked: [] as string[], running: 0, most: 0 };
  const lookUp = async (host: string): Promise<string> => {
    use.asked.push(host);
    use.most = Math.max(use.most, ++use.running);
    try {
      await new Promise((resolve) => setImmediate(resolve));
      const answer = await names[host];
      if (answer === undefined) throw Object.assign(new Error('unknown'), { code: 'ENOTFOUND' });
      return answer;
    } finally {
      use.running--;
    }
  };
  return { use, lookUp };
}

test('The first name that is known says the family, whoever answers first', async () => {
  const slow = new Promise<string>((resolve) => setTimeout(() => resolve('fe80::1%7'), 50));
  const { lookUp } = resolver({ b: slow, c: '10.0.0.1' });
  assert.equal(await familyOfNames(['a', 'b', 'c'], undefined, lookUp), 6);
  assert.equal(await familyOfNames(['c', 'b'], undefined, lookUp), 4);
  assert.equal(await familyOfNames(['a'], undefined, lookUp), undefined);
  assert.equal(await familyOfNames([], undefined, lookUp), undefined);
});

test('Names are looked up two at a time, and no more of them than it takes', async () => {
  const hosts = Array.from({ length: 100 }, (_, index) => `box${index}`);
  const { use, lookUp } = resolver({ box19: '10.0.0.1' });
  assert.equal(await familyOfNames(hosts, undefined, lookUp), 4);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(use.most, 2);
  assert.ok(use.asked.length < 25, `${use.asked.length} were asked`);
});

test('A thousand names of which none is answered take five seconds', { timeout: 30_000 }, async () => {
  const hosts = Array.from({ length: 1024 }, (_, index) => `box${index}`);
  const { use, lookUp } = resolver(Object.fromEntries(hosts.map((host) => [host, never])));
  const start = performance.now();
  assert.equal(await familyOfNames(hosts, undefined, lookUp), undefined);
  assert.ok(performance.now() - start < 9000);
  assert.equal(use.asked.length, 2);
});

test('A signal gives up at once, with its reason, whether it came before or comes meanwhile', async () => {
  const { lookUp } = resolver({ a: never });
  const reason = new Error('enough');
  const controller = new AbortController();
  const start = performance.now();
  setTimeout(() => controller.abort(reason), 20);
  await assert.rejects(familyOfNames(['a'], controller.signal, lookUp), reason);
  await assert.rejects(familyOfNames(['a'], controller.signal, lookUp), reason);
  await assert.rejects(findHost('net', 'localhost', 4, controller.signal), reason);
  assert.ok(performance.now() - start < 4000);
});
