/** The control socket of a gateway: a real socket, real ports, and everything that can be said to it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { emitAnswer, emitRequest, parseReply, parseRequest } from '../../../src/control/message.ts';
import type { ControlServer } from '../../../src/control/server.ts';
import { VdensError } from '../../../src/errors.ts';
import { MAX_GATEWAY_CLIENTS, serveForwards } from '../../../src/gateway/control.ts';
import { controlGateway } from '../../../src/gateway/control-gateway.ts';
import { type ControlForward, emitForwards, parseForwards, readRequest } from '../../../src/gateway/control-message.ts';
import { Forwards } from '../../../src/gateway/forwards.ts';
import { parseLocator } from '../../../src/locator/locator.ts';
import { gatewayConfig } from '../../../src/locator/slirp-locator.ts';
import { native } from '../../../src/system/native.ts';
import { AF_UNIX, SOCK_STREAM, unixAddress } from '../../../src/system/unix-address.ts';
import { Hand, say } from '../../fixtures/control-hand.ts';
import { makeTemporaryDirectory, waitFor } from '../../interop/harness.ts';

const LABEL = 'slirp://';
const CONFIG = gatewayConfig(parseLocator(LABEL));
const WAIT_MS = 10_000;
const LIST = '{"version":1,"do":"list"}\n';
const EMPTY = '{"version":1,"forwards":[]}\n';

interface Served {
  readonly path: string;
  readonly forwards: Forwards;
  readonly control: ControlServer;
}

function serve(t: TestContext, path = join(makeTemporaryDirectory(t), 'control')): Served {
  const sockets: number[] = [];
  const forwards = new Forwards(LABEL, CONFIG, {
    listen: (fd) => sockets.push(fd) - 1,
    unlisten: (id) => void native.closeDescriptor(sockets[id] ?? -1),
  });
  const control = serveForwards(LABEL, path, forwards);
  t.after(() => {
    control.close();
    forwards.close();
  });
  return { path, forwards, control };
}

test('forwards are added, listed and removed', async (t) => {
  const { path, forwards } = serve(t);
  const [tcp] = await controlGateway(path, {
    do: 'add',
    protocol: 'tcp',
    hostAddress: '127.0.0.1',
    hostPort: 0,
    guestAddress: '10.0.2.15',
    guestPort: 80,
  });
  assert.ok(tcp !== undefined && tcp.hostPort > 0);
  const client = connect(tcp.hostPort, '127.0.0.1');
  client.on('error', () => undefined); // Nobody accepts it, and then the port is closed.
  t.after(() => client.destroy());
  await once(client, 'connect');
  const add = { do: 'add', protocol: 'udp', hostPort: 0, guestAddress: 'fd00::15', guestPort: 53 } as const;
  const [udp] = await controlGateway(path, add);
  assert.equal(udp?.hostAddress, '::');
  assert.deepEqual(await controlGateway(path, { do: 'list' }), [tcp, udp]);
  assert.deepEqual(await controlGateway(path, { do: 'remove', id: tcp.id }), [tcp]);
  assert.deepEqual(await controlGateway(path, { do: 'list' }), [udp]);
  assert.equal(forwards.list().length, 1);
  await assert.rejects(controlGateway(path, { do: 'remove', id: tcp.id }), {
    code: 'ERR_USAGE',
    message: `slirp://: there is no forward ${tcp.id}`,
  });
});

test('what the gateway cannot do is said with its code, and the connection stays', async (t) => {
  const { path } = serve(t);
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close());
  const { port: hostPort } = server.address() as { port: number };
  const forward = { do: 'add', protocol: 'tcp', guestAddress: '10.0.2.15', guestPort: 80 } as const;
  const taken = controlGateway(path, { ...forward, hostAddress: '127.0.0.1', hostPort });
  await assert.rejects(taken, { code: 'ERR_NETWORK_OPEN', errno: 'EADDRINUSE' });
  const outside = controlGateway(path, { ...forward, guestAddress: '10.9.9.9', hostPort: 0 });
  await assert.rejects(outside, { code: 'ERR_ADDRESS', message: /is not in the guests' network/ });
  const noAddress = controlGateway(path, { ...forward, hostAddress: 'localhost', hostPort: 0 });
  await assert.rejects(noAddress, { code: 'ERR_ADDRESS' });
  const hand = new Hand(t, path);
  hand.socket.write('{"version":1,"do":"remove","id":9}\n');
  await hand.hears('there is no forward 9');
  hand.socket.write('{"do":"list"}\n');
  await hand.hears(EMPTY);
  assert.equal(hand.hasEnded, false);
});

test('lines in pieces, several at once, empty ones, and a last one without its end', async (t) => {
  const { path } = serve(t);
  const hand = new Hand(t, path);
  for (const piece of ['{"versi', 'on":1,', '"do":"li', 'st"}']) {
    hand.socket.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(hand.text, '');
  }
  hand.socket.write('\n');
  await hand.hears(EMPTY);
  hand.socket.write('{"do":"list"}\n\r\n\n{"do":"list"}\r\n{"version":1,"do":"list"}\n');
  await waitFor(() => hand.text === EMPTY.repeat(4), WAIT_MS, 'four answers');
  hand.socket.end('{"do":"list"}');
  await hand.isLetGo();
  assert.equal(hand.text, EMPTY.repeat(5));
});

test('what is no request has one answer in words, and ends the connection', async (t) => {
  const { path, forwards } = serve(t);
  const add = '{"version":1,"do":"add","protocol":"tcp","hostPort":0,"guestAddress":"10.0.2.15","guestPort":80';
  const table = [
    ['hello\n', '\\"hello\\" is not a JSON object on one line'],
    ['{"version":1,"do":"li', 'is not a JSON object'],
    ['[]\n', 'is not a JSON object'],
    ['null\n', 'is not a JSON object'],
    ['"x"\n', 'is not a JSON object'],
    ['\0\0\0\0\n', 'is not a JSON object'],
    ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'is not a JSON object'],
    ['{"do":"list"}\n', 'the request does not say the version. Write \\"version\\":1'],
    ['{"version":2,"do":"list"}\n', 'the request says version \\"2\\"'],
    ['{"version":"1","do":"list"}\n', 'the request says version \\"1\\"'],
    ['{"version":1}\n', 'nothing cannot be done'],
    ['{"version":1,"do":"constructor"}\n', '\\"constructor\\" cannot be done'],
    ['{"version":1,"do":["add"]}\n', 'cannot be done. Write \\"do\\":\\"add\\", \\"list\\" or \\"remove\\"'],
    ['{"version":1,"do":"list","id":1}\n', '\\"list\\" takes no \\"id\\"'],
    ['{"version":1,"do":"list","__proto__":1}\n', '\\"list\\" takes no \\"__proto__\\"'],
    ['{"version":1,"do":"remove"}\n', '\\"remove\\" needs \\"id\\"'],
    ['{"version":1,"do":"remove","id":"1"}\n', '\\"id\\" is a whole number, not \\"1\\"'],
    ['{"version":1,"do":"remove","id":1e99}\n', 'is a whole number'],
    [`${add},"hostport":1}\n`, '\\"add\\" takes no \\"hostport\\"'],
    [`${add.replace('tcp', 'sctp')}}\n`, '\\"protocol\\" is \\"tcp\\" or \\"udp\\", not \\"sctp\\"'],
    [`${add},"hostAddress":127}\n`, '\\"hostAddress\\" is an address in quotes'],
    [`${'x'.repeat(5000)}`, 'a request has 4096 bytes at most'],
    [`{"version":1,"do":"list"${' '.repeat(5000)}}\n`, 'a request has 4096 bytes at most'],
    [`${'['.repeat(4000)}\n`, 'is not a JSON object'],
  ] as const;
  for (const [text, problem] of table) {
    const answer = await say(t, path, `${text}`);
    assert.ok(answer.includes(problem), `${text.slice(0, 60)}: ${answer}`);
    assert.equal(answer.indexOf('\n'), answer.length - 1, answer);
    assert.match(answer, /^\{"version":1,"error":\{"code":"ERR_USAGE"/);
  }
  // Nothing after it counts.
  assert.doesNotMatch(await say(t, path, `x\n${add}}\n`), /forwards/);
  assert.deepEqual(forwards.list(), []);
  assert.equal(await say(t, path, LIST), EMPTY);
});

test('a request that is too long is refused before it ends', async (t) => {
  const { path } = serve(t);
  const hand = new Hand(t, path);
  hand.socket.write('x'.repeat(100_000));
  await hand.hears('a request has 4096 bytes at most');
  await hand.isLetGo();
});

test('two programs at a time, each with its own answers; one that goes away in the middle harms nobody', async (t) => {
  const { path, forwards } = serve(t);
  const one = new Hand(t, path);
  const other = new Hand(t, path);
  one.socket.write('{"version":1,"do":"add","protocol":"tcp","hostPort":0,');
  other.socket.write(LIST);
  await other.hears(EMPTY);
  assert.equal(one.text, '');
  one.socket.write('"guestAddress":"10.0.2.15","guestPort":80}\n');
  await one.hears('"guestPort":80');
  other.socket.write('{"do":"list"}\n');
  await other.hears('"guestPort":80');
  const gone = new Hand(t, path);
  gone.socket.write('{"version":1,"do":"add"');
  gone.socket.destroy();
  const deaf = new Hand(t, path);
  deaf.socket.write(LIST, () => deaf.socket.destroy());
  await waitFor(() => deaf.socket.destroyed, WAIT_MS, 'the end of the deaf one');
  one.socket.write(`{"do":"remove","id":${forwards.list()[0]?.id}}\n{"do":"list"}\n`);
  await one.hears(EMPTY);
});

test('who asks and does not listen is not read from, and gets every answer later', async (t) => {
  const { path, forwards } = serve(t);
  for (let i = 0; i < 20; i++) {
    const hostAddress = Uint8Array.of(127, 0, 0, 1);
    const guestAddress = Uint8Array.of(10, 0, 2, 15);
    forwards.add({ protocol: 'udp', hostAddress, hostPort: 0, guestAddress, guestPort: 53 });
  }
  const hand = new Hand(t, path);
  hand.socket.pause();
  const requests = 4000;
  hand.socket.write(LIST + '{"do":"list"}\n'.repeat(requests - 1));
  const other = new Hand(t, path);
  other.socket.write(LIST);
  await other.hears('"forwards"');
  await waitFor(() => hand.socket.writableLength > 0 || hand.socket.bytesWritten > 0, WAIT_MS, 'something written');
  hand.socket.resume();
  await waitFor(() => hand.text.split('\n').length === requests + 1, 60_000, 'all answers');
});

test('so many programs at a time, and no more', async (t) => {
  const { path } = serve(t);
  const hands = Array.from({ length: MAX_GATEWAY_CLIENTS }, () => new Hand(t, path));
  for (const hand of hands) hand.socket.write(LIST);
  for (const hand of hands) await hand.hears(EMPTY);
  await assert.rejects(controlGateway(path, { do: 'list' }), { message: /16 programs control it at present/ });
  hands[0]?.socket.destroy();
  await waitFor(
    () =>
      controlGateway(path, { do: 'list' }).then(
        () => true,
        () => undefined,
      ),
    WAIT_MS,
    'room for another one',
  );
});

test('the socket is for one user from the start, and its name goes with it', (t) => {
  const before = process.umask(0);
  t.after(() => void process.umask(before));
  const { path, control } = serve(t);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.ok(statSync(path).isSocket());
  control.close();
  control.close();
  assert.equal(existsSync(path), false);
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('what is at the path already: a dead socket is replaced, everything else is left alone', (t) => {
  const folder = makeTemporaryDirectory(t);
  const dead = join(folder, 'dead');
  const fd = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  native.bindSocket(fd, unixAddress(dead));
  native.closeDescriptor(fd);
  serve(t, dead);
  const file = join(folder, 'file');
  writeFileSync(file, 'mine');
  mkdirSync(join(folder, 'directory'));
  symlinkSync(dead, join(folder, 'link'));
  const table = [
    [dead, 'somebody listens at'],
    [file, 'is there already and no socket'],
    [join(folder, 'directory'), 'is there already and no socket'],
    [join(folder, 'link'), 'is there already and no socket'],
    [join(folder, 'no', 'such'), 'ENOENT'],
    [join(folder, 'x'.repeat(120)), "a socket's path may have 107 bytes"],
  ] as const;
  for (const [path, problem] of table) {
    assert.throws(
      () => serveForwards(LABEL, path, new Forwards(LABEL, CONFIG, { listen: () => 0, unlisten: () => {} })),
      (error) => error instanceof VdensError && error.code === 'ERR_NETWORK_OPEN' && error.message.includes(problem),
      path,
    );
  }
  assert.deepEqual(readdirSync(folder).sort(), ['dead', 'directory', 'file', 'link']);
});

test('no gateway there, one that is silent, and something else', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const nowhere = join(folder, 'nowhere');
  await assert.rejects(controlGateway(nowhere, { do: 'list' }), { code: 'ERR_NETWORK_OPEN', errno: 'ENOENT' });
  const answers: readonly (readonly [string, string, object])[] = [
    ['silent', '', { code: 'ERR_NETWORK_TIMEOUT' }],
    ['other', '220 mail.example.org\r\n', { code: 'ERR_NETWORK_OPEN', message: /no gateway/ }],
    ['newer', '{"version":2,"forwards":[]}\n', { code: 'ERR_NETWORK_OPEN', message: /no gateway/ }],
    ['wrong', '{"version":1,"forwards":[{"id":1}]}\n', { code: 'ERR_NETWORK_OPEN', message: /no gateway/ }],
    ['strange', '{"version":1,"error":{"code":7}}\n', { code: 'ERR_NETWORK_OPEN', message: /does not say why/ }],
    ['long', 'x'.repeat(17_000_000), { code: 'ERR_NETWORK_OPEN', message: /no gateway/ }],
  ];
  for (const [name, answer, error] of answers) {
    const server = createServer((connection) => connection.on('error', () => undefined).write(answer));
    t.after(() => void server.close());
    const path = join(folder, name);
    server.listen(path);
    await once(server, 'listening');
    const timeoutMs = name === 'silent' ? 300 : WAIT_MS;
    await assert.rejects(controlGateway(path, { do: 'list' }, { timeoutMs }), error, name);
  }
  const ender = createServer((connection) => connection.end());
  t.after(() => void ender.close());
  const path = join(folder, 'ender');
  ender.listen(path);
  await once(ender, 'listening');
  await assert.rejects(controlGateway(path, { do: 'list' }), { message: /it ended the connection/ });
});

test('requests and answers come back as they were', () => {
  const port = fc.integer({ min: 0, max: 65_535 });
  const request = fc.oneof(
    fc.constant({ do: 'list' as const }),
    fc.record({ do: fc.constant('remove' as const), id: fc.maxSafeInteger() }),
    fc.record({
      do: fc.constant('add' as const),
      protocol: fc.constantFrom('tcp' as const, 'udp' as const),
      hostAddress: fc.string(),
      hostPort: port,
      guestAddress: fc.string(),
      guestPort: port,
    }),
  );
  const property = fc.property(request, ({ do: action, ...fields }) => {
    const read = parseRequest(emitRequest(action, fields), true);
    assert.equal(read.do, action);
    assert.deepEqual(readRequest(action, read.fields), { do: action, ...fields });
  });
  fc.assert(property);
  const forward = { protocol: 'tcp', hostPort: 1, guestPort: 2 } as const;
  const info = { ...forward, id: 3, hostAddress: new Uint8Array(16), guestAddress: Uint8Array.of(10, 0, 2, 15) };
  const text: ControlForward = { ...forward, id: 3, hostAddress: '::', guestAddress: '10.0.2.15' };
  const answer = parseReply(emitAnswer(emitForwards([info])));
  assert.ok(answer?.kind === 'answer');
  assert.deepEqual(parseForwards(answer.fields), [text]);
  const error = new VdensError('ERR_ADDRESS', 'no', { errno: 'EINVAL' });
  const failure = parseReply(emitAnswer(error));
  assert.ok(failure?.kind === 'error');
  assert.deepEqual({ ...failure.error, message: failure.error.message }, { ...error, message: 'no' });
});

test('no text makes the reader of requests throw anything but its own error', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.json().map((json) => `{"version":1,"do":${json}}`),
  );
  fc.assert(
    fc.property(text, (line) => {
      try {
        const { do: action, fields } = parseRequest(line, true);
        readRequest(action === 'list' || action === 'remove' ? action : 'add', fields);
      } catch (error) {
        assert.ok(error instanceof VdensError, String(error));
        assert.equal(error.code, 'ERR_USAGE');
      }
    }),
  );
});
