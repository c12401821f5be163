/** Forwards: real sockets of the loopback interface, and a datapath that only writes down what it is given. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { VdensError } from '../../../src/errors.ts';
import {
  describeForward,
  type ForwardDoors,
  type ForwardInfo,
  type ForwardRequest,
  Forwards,
} from '../../../src/gateway/forwards.ts';
import type { GatewayConfig, PortForward } from '../../../src/gateway/gateway-config.ts';
import { parseLocator } from '../../../src/locator/locator.ts';
import { gatewayConfig } from '../../../src/locator/slirp-locator.ts';
import { formatIp, parseIp } from '../../../src/net/ip.ts';
import { unprivilegedStart } from '../../../src/system/bind-hint.ts';
import { AGAIN, native } from '../../../src/system/native.ts';
import { waitFor } from '../../interop/harness.ts';

const LABEL = 'slirp://';
const NETWORKS: GatewayConfig = gatewayConfig(parseLocator(LABEL));

function forwardOf(host: string, guest = '10.0.2.15', protocol: 'tcp' | 'udp' = 'tcp'): PortForward {
  const [, address = '', port] = /^(.*):(\d+)$/.exec(host) ?? [];
  const guestAddress = parseIp(guest);
  return { protocol, hostAddress: parseIp(address), hostPort: Number(port), guestAddress, guestPort: 80 };
}

interface Opened {
  readonly forwards: Forwards;
  /** The descriptors of the sockets, by what the datapath calls them. */
  readonly sockets: Map<number, number>;
}

function open(t: TestContext, listen?: ForwardDoors['listen']): Opened {
  const sockets = new Map<number, number>();
  let number = 100;
  const doors: ForwardDoors = {
    listen: (fd, forward) => {
      if (listen !== undefined) return listen(fd, forward);
      sockets.set(++number, fd);
      return number;
    },
    unlisten: (id) => {
      native.closeDescriptor(sockets.get(id) ?? -1);
      sockets.delete(id);
    },
  };
  const forwards = new Forwards(LABEL, NETWORKS, doors);
  t.after(() => forwards.close());
  return { forwards, sockets };
}

function descriptorCount(): number {
  return readdirSync('/proc/self/fd').length;
}

test('a port of TCP listens, non-blocking and of one family, until it is removed', async (t) => {
  const { forwards, sockets } = open(t);
  for (const address of ['127.0.0.1', '::1']) {
    const info = forwards.add(forwardOf(`${address}:0`));
    assert.ok(info.hostPort > 0);
    const fd = [...sockets.values()].at(-1) ?? -1;
    assert.equal(native.accept(fd), AGAIN);
    const client = connect(info.hostPort, address);
    t.after(() => client.destroy());
    await once(client, 'connect');
    const connection = await waitFor(
      () => {
        const accepted = native.accept(fd);
        return accepted >= 0 ? accepted : undefined;
      },
      5000,
      'the connection',
    );
    native.closeDescriptor(connection);
    assert.equal(forwards.remove(info.id), true);
    assert.equal(forwards.remove(info.id), false);
    const late = connect(info.hostPort, address);
    const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
  }
  assert.equal(sockets.size, 0);
});

test('a port of UDP is bound until it is removed', async (t) => {
  const { forwards, sockets } = open(t);
  for (const [address, type] of [
    ['127.0.0.1', 'udp4'],
    ['::1', 'udp6'],
  ] as const) {
    const info = forwards.add(forwardOf(`${address}:0`, 'fd00::15', 'udp'));
    const fd = [...sockets.values()].at(-1) ?? -1;
    const sender = createSocket(type);
    t.after(() => sender.close());
    sender.send('hello', info.hostPort, address);
    const buffer = new Uint8Array(16);
    const length = await waitFor(() => Math.max(0, native.receive(fd, buffer)) || undefined, 5000, 'the datagram');
    assert.equal(Buffer.from(buffer.subarray(0, length)).toString(), 'hello');
    forwards.remove(info.id);
  }
});

test('both families have the same port, and numbers of forwards are never used again', (t) => {
  const { forwards } = open(t);
  const first = forwards.add(forwardOf('0.0.0.0:0'));
  const second = forwards.add(forwardOf(`:::${first.hostPort}`, 'fd00::15'));
  assert.equal(second.hostPort, first.hostPort);
  assert.deepEqual(forwards.list(), [first, second]);
  forwards.remove(second.id);
  const third = forwards.add(forwardOf('127.0.0.1:0'));
  assert.equal(new Set([first.id, second.id, third.id]).size, 3);
  forwards.close();
  assert.deepEqual(forwards.list(), []);
  assert.throws(() => forwards.add(forwardOf('127.0.0.1:0')), { code: 'ERR_CLOSED' });
});

test('what cannot be is said in one line, and leaves no descriptor', async (t) => {
  const { forwards } = open(t);
  const server = createServer();
  t.after(() => void server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const datagrams = createSocket('udp4');
  t.after(() => void datagrams.close());
  await new Promise<void>((resolve) => datagrams.bind(port, '127.0.0.1', resolve));
  const taken = 'another program has the port';
  const table: (readonly [PortForward, string, RegExp | string])[] = [
    [forwardOf(`127.0.0.1:${port}`), 'EADDRINUSE', taken],
    [forwardOf(`127.0.0.1:${port}`, '10.0.2.15', 'udp'), 'EADDRINUSE', taken],
    [forwardOf('192.0.2.1:0'), 'EADDRNOTAVAIL', '192.0.2.1 is no address of this host'],
    [forwardOf('2001:db8::1:0', 'fd00::15', 'udp'), 'EADDRNOTAVAIL', '2001:db8::1 is no address of this host'],
    [forwardOf('127.0.0.1:0', '10.0.3.15'), '', "10.0.3.15 is not in the guests' network 10.0.2.0/24"],
    [forwardOf('127.0.0.1:0', '10.0.2.255'), '', 'stands for the whole network'],
    [forwardOf('127.0.0.1:0', '10.0.2.2'), '', "the gateway's own address"],
    [forwardOf('127.0.0.1:0', 'fd00::3'), '', "the gateway's own address"],
    [forwardOf('127.0.0.1:0', 'fd01::3'), '', 'is not in the guests'],
    [forwardOf('239.0.0.1:0'), '', 'is not the address of one host'],
    [{ ...forwardOf('127.0.0.1:0'), guestPort: 0 }, '', '0 is not a port from 1 to 65535'],
    [{ ...forwardOf('127.0.0.1:0'), hostPort: 65_536 }, '', '65536 is not a port from 0 to 65535'],
    [{ ...forwardOf('127.0.0.1:0'), hostPort: 1.5 }, '', '1.5 is not a port'],
  ];
  const start = unprivilegedStart();
  if (start > 1 && process.geteuid?.() !== 0) {
    table.push([forwardOf(`127.0.0.1:${start - 1}`), 'EACCES', `this port is for root. Take one above ${start - 1}`]);
    table.push([forwardOf(`127.0.0.1:1`, '10.0.2.15', 'udp'), 'EACCES', 'this port is for root']);
  }
  const before = descriptorCount();
  for (const [forward, errno, problem] of table) {
    assert.throws(
      () => forwards.add(forward),
      (error) => {
        assert.ok(error instanceof VdensError, String(error));
        assert.equal(error.code, errno === '' ? 'ERR_ADDRESS' : 'ERR_NETWORK_OPEN', error.message);
        assert.equal(error.errno ?? '', errno, error.message);
        assert.ok(error.message.startsWith('slirp://: '), error.message);
        assert.ok(error.message.includes(String(problem)), error.message);
        return true;
      },
    );
  }
  assert.equal(descriptorCount(), before);
  assert.deepEqual(forwards.list(), []);
});

test('addresses are text or bytes', (t) => {
  const { forwards } = open(t);
  const bytes = Uint8Array.of(127, 0, 0, 1);
  const request = {
    protocol: 'tcp',
    hostAddress: bytes,
    hostPort: 0,
    guestAddress: '10.0.2.15',
    guestPort: 80,
  } as const;
  const { hostAddress: _, ...anyHost } = request;
  const info = forwards.add(request);
  bytes.fill(0);
  assert.deepEqual([info.hostAddress, info.guestAddress].map(formatIp), ['127.0.0.1', '10.0.2.15']);
  const [a, b] = [forwards.add({ ...request, hostAddress: '::1' }), forwards.add(anyHost)];
  assert.deepEqual([a.hostAddress, b.hostAddress].map(formatIp), ['::1', '0.0.0.0']);
});

test('what JavaScript can say is refused with a code, and opens nothing', (t) => {
  const { forwards, sockets } = open(t);
  const right = { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 0, guestAddress: '10.0.2.15', guestPort: 80 };
  const count = descriptorCount();
  const table: readonly (readonly [unknown, string, string])[] = [
    [undefined, 'ERR_USAGE', "the protocol is 'tcp' or 'udp', not undefined"],
    [null, 'ERR_USAGE', "the protocol is 'tcp' or 'udp'"],
    [{}, 'ERR_USAGE', "the protocol is 'tcp' or 'udp'"],
    [{ ...right, protocol: 'xx' }, 'ERR_USAGE', 'not "xx"'],
    [
      { ...right, guestAddress: undefined },
      'ERR_ADDRESS',
      'guestAddress is an IP address, as text or as 4 or 16 bytes',
    ],
    [{ ...right, guestAddress: 'guest' }, 'ERR_ADDRESS', 'not "guest"'],
    [{ ...right, guestAddress: Uint8Array.of(10, 0, 2) }, 'ERR_ADDRESS', 'not 3 bytes'],
    [{ ...right, hostAddress: null }, 'ERR_ADDRESS', 'hostAddress is an IP address'],
    [{ ...right, hostAddress: [127, 0, 0, 1] }, 'ERR_ADDRESS', 'not object'],
    [{ ...right, guestPort: '80' }, 'ERR_ADDRESS', '"80" is not a port from 1'],
    [{ ...right, guestPort: Symbol('80') }, 'ERR_ADDRESS', 'symbol is not a port from 1'],
    [{ ...right, hostPort: undefined }, 'ERR_ADDRESS', 'undefined is not a port from 0'],
    [{ ...right, hostPort: 1.5 }, 'ERR_ADDRESS', '1.5 is not a port from 0'],
  ];
  for (const [request, code, text] of table) {
    assert.throws(
      () => forwards.add(request as ForwardRequest),
      (error: unknown) => error instanceof VdensError && error.code === code && error.message.includes(text),
      text,
    );
  }
  assert.equal(sockets.size, 0);
  assert.equal(descriptorCount(), count);
});

test('a datapath that refuses leaves the descriptor to us, which is closed', (t) => {
  const { forwards } = open(t, () => {
    throw new VdensError('ERR_NETWORK_OPEN', 'no room');
  });
  const before = descriptorCount();
  assert.throws(() => forwards.add(forwardOf('127.0.0.1:0')), /no room/);
  assert.equal(descriptorCount(), before);
  assert.deepEqual(forwards.list(), []);
});

test('there is a bound', (t) => {
  let door = 0;
  const { forwards } = open(t, (fd) => {
    native.closeDescriptor(fd); // More than a process may have open.
    return ++door;
  });
  const added: ForwardInfo[] = [];
  assert.throws(
    () => {
      for (let i = 0; i < 2000; i++) added.push(forwards.add(forwardOf('127.0.0.1:0', '10.0.2.15', 'udp')));
    },
    { code: 'ERR_NETWORK_OPEN', errno: 'ENOSPC' },
  );
  assert.equal(added.length, 1024);
  forwards.remove(added[5]?.id ?? -1);
  forwards.add(forwardOf('127.0.0.1:0'));
});

test('a forward in words', () => {
  assert.equal(describeForward(forwardOf('0.0.0.0:8080')), 'tcp 0.0.0.0:8080 to 10.0.2.15:80');
  assert.equal(describeForward(forwardOf('::1:53', 'fd00::15', 'udp')), 'udp [::1]:53 to [fd00::15]:80');
});
