/** Control sockets: real ones, with everything that can be said to them, and descriptors both ways. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { type ControlClient, connectControl } from '../../../src/control/client.ts';
import { emitRequest, MAX_LINE_DESCRIPTORS, parseReply, parseRequest } from '../../../src/control/message.ts';
import type { OperationContext, Operations } from '../../../src/control/operation.ts';
import { ControlServer, MAX_CONTROL_CLIENTS, MAX_CONTROL_REQUEST_BYTES } from '../../../src/control/server.ts';
import { VdensError } from '../../../src/errors.ts';
import { native } from '../../../src/system/native.ts';
import { AF_UNIX, SOCK_STREAM, unixAddress } from '../../../src/system/unix-address.ts';
import { Hand, say } from '../../fixtures/control-hand.ts';
import { makeTemporaryDirectory, waitFor } from '../../interop/harness.ts';

const WAIT_MS = 20_000;
const HELLO = '{"version":1,"do":"hello"}\n';
const GREETING = '{"version":1,"hello":"you"}\n';

interface Served {
  readonly path: string;
  readonly server: ControlServer;
  /** Of the conversations in which `keep` was asked for. */
  readonly contexts: OperationContext[];
  /** Ends the oldest `wait`. */
  readonly waiting: ((answer: object | Error) => void)[];
}

function serve(t: TestContext, path = join(makeTemporaryDirectory(t), 'control')): Served {
  const contexts: OperationContext[] = [];
  const waiting: ((answer: object | Error) => void)[] = [];
  const operations: Operations = {
    hello: () => ({ hello: 'you' }),
    echo: (request) => ({ echo: request }),
    peer: (_request, { peer }) => ({ ...peer }),
    fail: () => {
      throw new VdensError('ERR_ADDRESS', 'no such address', { errno: 'EADDRNOTAVAIL', value: 'x' });
    },
    break: () => {
      throw new TypeError('a bug');
    },
    unspeakable: () => ({ number: 1n }),
    keep: (_request, context) => {
      contexts.push(context);
      context.signal.addEventListener('abort', () => undefined);
      return {};
    },
    wait: (_request, { signal }) =>
      new Promise((resolve, reject) => {
        waiting.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)));
        signal.addEventListener('abort', () => reject(new Error('gone')));
      }),
    read: (_request, context) => ({ texts: context.takeDescriptors().map(readAndClose) }),
    leave: (_request, { descriptors }) => ({ count: descriptors.length }),
    open: ({ path: file, count }, context) => {
      const files = Array.from({ length: Number(count ?? 1) }, () => openSync(String(file), 'r'));
      context.send({ event: 'opened' }, files);
      files.forEach((fd) => void closeSync(fd));
      return { isOpen: true };
    },
  };
  const server = new ControlServer({ path, operations });
  t.after(() => server.close());
  return { path, server, contexts, waiting };
}

function readAndClose(fd: number): string {
  try {
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

async function open(t: TestContext, path: string): Promise<ControlClient> {
  const client = await connectControl(path);
  t.after(() => client.close());
  return client;
}

/** How many descriptors this process has. */
function countDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

test('requests are answered in turn, what fails has its code, and the connection goes on', async (t) => {
  const { path } = serve(t);
  const client = await open(t, path);
  assert.deepEqual(await client.request('hello'), { hello: 'you' });
  const fields = { a: [1, { b: null }], text: 'ü"\n', event: 'no event' };
  assert.deepEqual(await client.request('echo', fields), { echo: fields });
  await assert.rejects(client.request('fail'), {
    code: 'ERR_ADDRESS',
    message: 'no such address',
    errno: 'EADDRNOTAVAIL',
    value: 'x',
  });
  await assert.rejects(client.request('break'), { code: 'ERR_NETWORK_OPEN', message: 'that cannot be done: a bug' });
  await assert.rejects(client.request('unspeakable'), { code: 'ERR_NETWORK_OPEN', message: /cannot be done/ });
  const answers = await Promise.all([1, 2, 3].map((n) => client.request('echo', { n })));
  assert.deepEqual(
    answers,
    [1, 2, 3].map((n) => ({ echo: { n } })),
  );
  assert.deepEqual(await client.request('peer'), { pid: process.pid, uid: process.geteuid?.() });
  assert.deepEqual(client.peer, { pid: process.pid, uid: process.geteuid?.() });
});

test('an operation may take its time; others of the connection wait for it, those of other connections do not', async (t) => {
  const { path, waiting } = serve(t);
  const [slow, quick] = [await open(t, path), await open(t, path)];
  const order: string[] = [];
  const first = slow.request('wait').then((answer) => order.push(`waited ${JSON.stringify(answer)}`));
  const second = slow.request('hello').then(() => order.push('hello'));
  await waitFor(() => waiting.length === 1, WAIT_MS, 'the operation to begin');
  assert.deepEqual(await quick.request('hello'), { hello: 'you' });
  assert.deepEqual(order, []);
  waiting[0]?.({ done: true });
  await Promise.all([first, second]);
  assert.deepEqual(order, ['waited {"done":true}', 'hello']);
  const failing = slow.request('wait');
  await waitFor(() => waiting.length === 2, WAIT_MS, 'the second operation to begin');
  waiting[1]?.(new VdensError('ERR_SWITCH', 'not that'));
  await assert.rejects(failing, { code: 'ERR_SWITCH', message: 'not that' });
});

test('events come when they happen, in order, beside the answers', async (t) => {
  const { path, contexts } = serve(t);
  const client = await open(t, path);
  await client.request('keep');
  const { events } = client;
  contexts[0]?.send({ event: 'first', number: 1 });
  contexts[0]?.send({ event: 'second' });
  assert.deepEqual((await events.next()).value?.fields, { event: 'first', number: 1 });
  assert.deepEqual(await client.request('hello'), { hello: 'you' });
  assert.deepEqual((await events.next()).value?.fields, { event: 'second' });
  const next = events.next();
  contexts[0]?.send({ event: 'third' });
  assert.equal((await next).value?.fields['event'], 'third');
  const last = events.next();
  client.close();
  assert.equal((await last).done, true);
  assert.equal(client.isClosed, true);
  await assert.rejects(client.request('hello'), { code: 'ERR_CLOSED' });
});

test('an operation hears that its asker is gone', async (t) => {
  const { path, contexts, waiting, server } = serve(t);
  const [gone, stays] = [await open(t, path), await open(t, path)];
  await gone.request('keep');
  await stays.request('keep');
  void gone.request('wait').catch(() => undefined);
  await waitFor(() => waiting.length === 1, WAIT_MS, 'the operation to begin');
  gone.close();
  await waitFor(() => contexts[0]?.signal.aborted === true, WAIT_MS, 'the operation to hear of it');
  assert.equal(contexts[1]?.signal.aborted, false);
  // Nobody is there any more, and nothing happens.
  contexts[0]?.send({ event: 'late' });
  server.close();
  assert.equal(contexts[1]?.signal.aborted, true);
  await waitFor(() => stays.isClosed, WAIT_MS, 'the end of the connection');
});

test('descriptors go along, both ways, and none is left', async (t) => {
  const { path } = serve(t);
  const file = join(makeTemporaryDirectory(t), 'file');
  writeFileSync(file, 'what is in it');
  const client = await open(t, path);
  await client.request('hello');
  const before = countDescriptors();
  const ours = openSync(file, 'r');
  const { answer } = await client.requestWithDescriptors('read', {}, [ours]);
  assert.deepEqual(answer, { texts: ['what is in it'] });
  // Those that an operation does not take are closed; ours stay ours.
  assert.deepEqual(await client.requestWithDescriptors('leave', {}, [ours, ours]), {
    answer: { count: 2 },
    descriptors: [],
  });
  assert.ok(fstatSync(ours).isFile());
  closeSync(ours);
  const opened = await client.requestWithDescriptors('open', { path: file, count: 3 });
  assert.equal(opened.descriptors.length, 3);
  assert.deepEqual(
    opened.descriptors.map(readAndClose),
    Array.from({ length: 3 }, () => 'what is in it'),
  );
  // As an event of its own for whoever did not ask for descriptors.
  assert.deepEqual(await client.request('open', { path: file }), { isOpen: true });
  const { value: event } = await client.events.next();
  assert.deepEqual(event?.descriptors.map(readAndClose), ['what is in it']);
  assert.equal(countDescriptors(), before);
});

test('descriptors that nobody asked for, or that wait for somebody who leaves, are closed', async (t) => {
  const { path, server } = serve(t);
  const file = join(makeTemporaryDirectory(t), 'file');
  writeFileSync(file, 'x');
  const own = openSync(file, 'r');
  t.after(() => void closeSync(own));
  const before = countDescriptors();
  // Sent with bytes that are no request yet, and too many of them.
  for (const count of [1, MAX_LINE_DESCRIPTORS, MAX_LINE_DESCRIPTORS + 1]) {
    const fd = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
    assert.equal(native.connectSocket(fd, unixAddress(path)), 0);
    const sent = Int32Array.from({ length: count }, () => own);
    assert.ok(native.sendDescriptors(fd, Buffer.from('{"version":1,'), sent) > 0);
    await sleep(50);
    native.closeDescriptor(fd);
  }
  // A request that says it has some, and has none.
  assert.match(
    await say(t, path, '{"version":1,"do":"leave","descriptors":2}\n'),
    /2 descriptors did not come with it/,
  );
  assert.match(await say(t, path, '{"version":1,"do":"leave","descriptors":17}\n'), /a number from 0 to 16/);
  const client = await open(t, path);
  await client.request('open', { path: file, count: 4 });
  client.close();
  server.close();
  await waitFor(() => countDescriptors() < before, WAIT_MS, 'the descriptors to be closed');
});

test('what is not known, and what fails to begin, is answered, and the connection goes on as before', async (t) => {
  const { path, waiting } = serve(t);
  const client = await connectControl(path);
  t.after(() => client.close());
  await assert.rejects(client.request('hallo'), {
    code: 'ERR_USAGE',
    message: /^"hallo" cannot be done\. Write "do":/,
  });
  assert.deepEqual(await client.request('hello'), { hello: 'you' });
  // It has asked for the signal, and failed: nobody waits for what it would say, so the end of the requests is the end.
  const text = `${emitRequest('wait')}${HELLO}`;
  const said = say(t, path, text);
  (await waitFor(() => waiting.shift(), WAIT_MS, 'the request'))(new Error('not now'));
  assert.match(await said, /not now.*\n.*you/);
});

test('what is no request has one answer in words, and ends the connection', async (t) => {
  const { path } = serve(t);
  const table = [
    ['hello\n', '\\"hello\\" is not a JSON object on one line'],
    ['{"version":1,"do":"hel', 'is not a JSON object'],
    ['[]\n', 'is not a JSON object'],
    ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'is not a JSON object'],
    ['\0'.repeat(1000), 'is not a JSON object'],
    ['{"do":"hello"}\n', 'the request does not say the version. Write \\"version\\":1'],
    ['{"version":2,"do":"hello"}\n', 'the request says version \\"2\\". Write \\"version\\":1'],
    ['{"version":null,"do":"hello"}\n', 'the request says version \\"null\\"'],
    ['{"version":1}\n', 'nothing cannot be done. Write \\"do\\":\\"hello\\"'],
    ['{"version":1,"do":"toString"}\n', '\\"toString\\" cannot be done'],
    ['{"version":1,"do":"__proto__"}\n', '\\"__proto__\\" cannot be done'],
    ['{"version":1,"do":{"a":[]}}\n', 'cannot be done'],
    [`${'['.repeat(60_000)}\n`, 'is not a JSON object'],
    [`{"version":1,"do":${'['.repeat(30_000)}${']'.repeat(30_000)}}\n`, 'cannot be done'],
    [`{"version":1,"do":"hello"${' '.repeat(MAX_CONTROL_REQUEST_BYTES)}}\n`, 'a request has 65536 bytes at most'],
    ['x'.repeat(MAX_CONTROL_REQUEST_BYTES + 1), 'a request has 65536 bytes at most'],
  ] as const;
  for (const [text, problem] of table) {
    const answer = await say(t, path, text);
    assert.ok(answer.includes(problem), `${text.slice(0, 60)}: ${answer.slice(0, 300)}`);
    assert.equal(answer.indexOf('\n'), answer.length - 1, answer);
    assert.match(answer, /^\{"version":1,"error":\{"code":"ERR_USAGE"/);
  }
  assert.equal((await say(t, path, `nothing\n${HELLO}`)).includes('you'), false);
  assert.equal(await say(t, path, HELLO), GREETING);
});

test('whatever bytes come, the process goes on, and answers others', async (t) => {
  const { path } = serve(t);
  const before = countDescriptors();
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 2000 }),
    fc.json().map((json) => Buffer.from(`${json}\n`)),
    fc.json().map((json) => Buffer.from(`{"version":1,"do":"echo","x":${json}}\n`)),
    fc
      .array(fc.constantFrom(HELLO, '\n', '{', '}', '"', '\u{1F600}', HELLO.slice(0, 9)))
      .map((a) => Buffer.from(a.join(''))),
  );
  await fc.assert(
    fc.asyncProperty(garbage, async (bytes) => {
      const answer = await say(t, path, bytes);
      for (const line of answer.split('\n').slice(0, -1)) assert.ok(parseReply(line) !== undefined, line);
    }),
    { numRuns: 150 },
  );
  assert.equal(await say(t, path, HELLO), GREETING);
  await waitFor(() => countDescriptors() <= before, WAIT_MS, 'all connections to be closed');
});

test('a line that never ends is refused before it does, and one in pieces is a line', async (t) => {
  const { path } = serve(t);
  const endless = new Hand(t, path);
  const timer = setInterval(() => endless.socket.write('x'.repeat(10_000)), 1);
  t.after(() => clearInterval(timer));
  await endless.isLetGo();
  clearInterval(timer);
  await endless.hears('bytes at most');
  const slow = new Hand(t, path);
  for (const byte of HELLO) {
    slow.socket.write(byte);
    await turn();
  }
  await slow.hears(GREETING);
  // The last one needs no end of line, nor does somebody who only asks need to stay for long.
  slow.socket.end('{"do":"hello"}');
  await slow.isLetGo();
  assert.equal(slow.text, GREETING.repeat(2));
});

test('a thousand connections: so many are served, the others told or let go, and none is left', async (t) => {
  const { path, server } = serve(t);
  const before = countDescriptors();
  const first = await open(t, path);
  await first.request('hello');
  const fds: number[] = [];
  for (let i = 0; i < 1000; i++) {
    const fd = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) break;
    fds.push(fd);
    // The queue of the kernel may be full: then we let the server have its turn.
    for (let tries = 0; native.connectSocket(fd, unixAddress(path)) < 0 && tries < 200; tries++) await turn();
    native.send(fd, Buffer.from(HELLO));
  }
  assert.ok(fds.length > 500);
  // Those that are served go on being served.
  assert.deepEqual(await first.request('hello'), { hello: 'you' });
  const buffer = new Uint8Array(4096);
  const heard: string[] = [];
  for (const fd of fds) {
    const length = await waitFor(
      () => {
        const result = native.receive(fd, buffer);
        return result === -11 ? undefined : { result };
      },
      WAIT_MS,
      'an answer or the end',
    );
    heard.push(Buffer.from(buffer.subarray(0, Math.max(0, length.result))).toString());
  }
  const served = heard.filter((text) => text === GREETING).length;
  assert.ok(served < MAX_CONTROL_CLIENTS && served > 0, `${served} are served`);
  assert.ok(heard.some((text) => text.includes(`${MAX_CONTROL_CLIENTS} programs control it at present`)));
  assert.ok(
    heard.some((text) => text === ''),
    'some are let go without a word',
  );
  for (const fd of fds) native.closeDescriptor(fd);
  const again = await waitFor(() => connectAndAsk(path), WAIT_MS, 'room for another one');
  assert.deepEqual(again, { hello: 'you' });
  first.close();
  await waitFor(() => countDescriptors() <= before, WAIT_MS, 'all connections to be closed');
  server.close();
});

async function connectAndAsk(path: string): Promise<object | undefined> {
  const client = await connectControl(path);
  try {
    return await client.request('hello');
  } catch {
    return undefined;
  } finally {
    client.close();
  }
}

test('who does not read gets every answer later; of events so many wait, and then the connection ends', async (t) => {
  const { path, contexts } = serve(t);
  const hand = new Hand(t, path);
  hand.socket.pause();
  const requests = 300;
  const long = 'x'.repeat(10_000);
  hand.socket.write(`{"version":1,"do":"hello"}\n${`{"do":"echo","x":"${long}"}\n`.repeat(requests)}`);
  assert.equal(await say(t, path, HELLO), GREETING);
  hand.socket.resume();
  await waitFor(() => hand.text.split('\n').length === requests + 2, 60_000, 'all answers');

  const deaf = new Hand(t, path);
  deaf.socket.pause();
  deaf.socket.write('{"version":1,"do":"keep"}\n');
  const context = await waitFor(() => contexts[0], WAIT_MS, 'the subscription');
  for (let i = 0; i < 500 && !context.signal.aborted; i++) {
    context.send({ event: 'something', long });
    await turn();
  }
  assert.equal(context.signal.aborted, true);
});

test('the socket is for one user from the start, its name goes with it, and a dead one is replaced', async (t) => {
  const umask = process.umask(0);
  t.after(() => void process.umask(umask));
  const folder = makeTemporaryDirectory(t);
  const path = join(folder, 'control');
  const { server } = serve(t, path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.throws(() => new ControlServer({ path, operations: {}, label: 'x' }), {
    code: 'ERR_NETWORK_OPEN',
    errno: 'EADDRINUSE',
    message: `x: somebody listens at ${path} already (process ${process.pid}). Name another path for the control socket`,
  });
  server.close();
  server.close();
  assert.equal(existsSync(path), false);
  await assert.rejects(connectControl(path), { code: 'ERR_NETWORK_OPEN', errno: 'ENOENT' });
  const fd = native.openSocket(AF_UNIX, SOCK_STREAM, 0);
  native.bindSocket(fd, unixAddress(path));
  native.closeDescriptor(fd);
  await assert.rejects(connectControl(path), { code: 'ERR_NETWORK_OPEN', errno: 'ECONNREFUSED' });
  const { path: again } = serve(t, path);
  assert.equal(await say(t, again, HELLO), GREETING);
  assert.deepEqual(readdirSync(folder), ['control']);
});

test('a process that is silent, ends the connection, or speaks otherwise', async (t) => {
  const folder = makeTemporaryDirectory(t);
  const answers: readonly (readonly [string, string | undefined, object])[] = [
    ['silent', '', { code: 'ERR_NETWORK_TIMEOUT', message: /did not answer within 0\.3 s\. Is it stopped\?/ }],
    ['ender', undefined, { code: 'ERR_NETWORK_OPEN', errno: 'EPIPE', message: /it ended the connection/ }],
    ['other', '220 mail.example.org\r\n', { code: 'ERR_NETWORK_OPEN', errno: 'EPROTO' }],
    ['newer', '{"version":2}\n', { code: 'ERR_NETWORK_OPEN', errno: 'EPROTO' }],
    ['descriptors', '{"version":1,"descriptors":1}\n', { code: 'ERR_NETWORK_OPEN', errno: 'EPROTO' }],
    ['refuses', '{"version":1,"error":{"code":"x","message":"no"}}\n', { code: 'ERR_NETWORK_OPEN', message: 'no' }],
  ];
  for (const [name, answer, error] of answers) {
    const path = join(folder, name);
    const server = createServer((connection) => {
      connection.on('error', () => undefined);
      if (answer === undefined) connection.end();
      else connection.write(answer);
    });
    server.listen(path);
    await once(server, 'listening');
    t.after(() => void server.close());
    const client = await connectControl(path, { timeoutMs: name === 'silent' ? 300 : WAIT_MS });
    await assert.rejects(client.request('hello'), error, name);
    client.close();
  }
});

test('no text makes the readers of lines throw anything but their own error', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.json().map((json) => `{"version":1,"do":"x","descriptors":${json}}`),
    fc.json().map((json) => `{"version":1,"error":${json}}`),
  );
  const property = fc.property(text, fc.boolean(), (line, isFirst) => {
    parseReply(line);
    try {
      parseRequest(line, isFirst);
    } catch (error) {
      assert.ok(error instanceof VdensError && error.code === 'ERR_USAGE', String(error));
    }
  });
  fc.assert(property);
  const fields = fc.dictionary(
    fc.string().filter((key) => !['version', 'do', 'descriptors', '__proto__'].includes(key)),
    fc.jsonValue(),
  );
  const roundTrip = fc.property(fc.string(), fields, (action, wanted) => {
    const read = parseRequest(emitRequest(action, wanted), true);
    assert.deepEqual([read.do, read.fields], [action, JSON.parse(JSON.stringify(wanted))]);
  });
  fc.assert(roundTrip);
});
