/** Opening and closing over and over leaks nothing: no descriptor, process, mount, file, memory that matters. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { cable, openNamespace, openPlug } from '../../src/index.ts';
import { Mark } from '../fixtures/marked.ts';
import { ours, runCommand, waitFor } from '../interop/harness.ts';

/** What a leak would add to. */
interface Holdings {
  readonly descriptors: readonly string[];
  readonly children: string;
  readonly mounts: string;
  readonly files: readonly string[];
}

function holdings(): Holdings {
  return {
    descriptors: readdirSync('/proc/self/fd').sort(),
    children: readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim(),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8'),
    files: [
      ...readdirSync(tmpdir()),
      ...readdirSync('/tmp').filter((name) => /^\.?vdens?-(?!run-|test-|\d+$)/.test(name)),
    ],
  };
}

/** What is held when nothing is on its way out any more. */
async function settledHoldings(): Promise<Holdings> {
  let last = holdings();
  const isQuiet = async (): Promise<boolean> => {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const before = last;
    last = holdings();
    return isDeepStrictEqual(before, last);
  };
  await waitFor(isQuiet, 10_000, 'quiet');
  return last;
}

async function assertHoldings(wanted: Holdings): Promise<void> {
  await waitFor(() => isDeepStrictEqual(holdings(), wanted), 5000, 'the same as before').catch(() =>
    assert.deepEqual(holdings(), wanted),
  );
}

/** Opens all that there is, uses it, closes it. */
async function cycle(number: number): Promise<void> {
  // Every kind of namespace in turn. What takes long, an interface's end most of all, is not in each of them.
  await using namespace = await openNamespace({
    interfaces: [
      { name: 'eth0', addresses: ['10.0.0.1/24', 'fd00::1/64'] },
      ...(number % 10 === 5 ? [{ name: 'eth1' }] : []),
    ],
    gateways: ['10.0.0.2'],
    root: number % 2 === 0,
    ...(number % 5 === 0 ? { hostname: 'web1', nameServers: ['9.9.9.9'] } : {}),
  });
  await using network = await openPlug('null://');
  cable(namespace.interfaces[0]!.plug, network);
  if (number % 10 === 0) assert.equal(await namespace.run(['true'], { stdio: 'ignore' }).exit, 0);
}

test('500 namespaces with an interface, addresses, routes and a network leak nothing', async () => {
  for (let number = 0; number < 10; number++) await cycle(number); // What is opened once and kept.
  const before = await settledHoldings();
  for (let number = 0; number < 500; number++) await cycle(number);
  await assertHoldings(before);
});

test('namespaces whose opening fails leak nothing', async () => {
  const attempts = [
    () => openNamespace({ interfaces: [{ name: 'sixteen-bytes-no' }] }),
    () => openNamespace({ interfaces: [{ name: 'eth0', mtu: 7 }] }),
    () => openNamespace({ interfaces: [{ name: 'eth0' }], gateways: ['10.0.0.1'] }),
    () => openNamespace({ resolvConf: '/no/such/file' }),
    () => openPlug('vde:///no/such/switch'),
  ];
  for (const attempt of attempts) await assert.rejects(attempt);
  const before = await settledHoldings();
  for (let round = 0; round < 10; round++) {
    for (const attempt of attempts) await assert.rejects(attempt);
  }
  await assertHoldings(before);
});

test('50 runs of the command leave nothing', async () => {
  const mark = new Mark();
  const before = holdings();
  const one = async (): Promise<void> => {
    const { status, stderr } = await runCommand([ours('vdens'), 'null://', 'true'], { env: mark.env });
    assert.deepEqual([status, stderr], [0, '']);
  };
  for (let round = 0; round < 25; round++) await Promise.all([one(), one()]);
  await mark.waitForNone();
  await assertHoldings(before);
});
