/** Records for the system's log: their form, byte by byte, and what becomes of them when nobody takes them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { native } from '../../../src/system/native.ts';
import { formatRecord, Syslog } from '../../../src/system/syslog.ts';
import { AF_UNIX, SOCK_DGRAM, unixAddress } from '../../../src/system/unix-address.ts';

function temporaryPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'vdens-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, 'log');
}

/** Listens as a log does; answers what came. */
function listen(t: TestContext, path: string): { take(): string[]; close(): void } {
  const fd = native.openSocket(AF_UNIX, SOCK_DGRAM, 0);
  assert.equal(native.bindSocket(fd, unixAddress(path)), 0);
  let isOpen = true;
  const close = (): void => {
    if (isOpen) native.closeDescriptor(fd);
    isOpen = false;
  };
  t.after(close);
  const buffer = new Uint8Array(8192);
  const take = (): string[] => {
    const records: string[] = [];
    for (let length = native.receive(fd, buffer); length >= 0; length = native.receive(fd, buffer)) {
      records.push(Buffer.from(buffer.subarray(0, length)).toString());
    }
    return records;
  };
  return { take, close };
}

test('a record has priority, local time, name and text as RFC 3164 has them', () => {
  const time = new Date(2026, 1, 3, 4, 5, 6);
  assert.equal(formatRecord('x[7]', 'info', 'hello', time).toString(), '<14>Feb  3 04:05:06 x[7]: hello');
  assert.equal(formatRecord('x', 'emerg', 'a\nb\0c', time).toString(), '<8>Feb  3 04:05:06 x: a b c');
  assert.equal(formatRecord('x', 'debug', 'y'.repeat(5000), time).length, 1024);
});

test('goes to the socket of the log, with the process id or without', async (t) => {
  const path = temporaryPath(t);
  const log = listen(t, path);
  const [withPid, without] = [new Syslog('one', { path }), new Syslog('two', { path, pid: false })];
  withPid.log('notice', 'first');
  without.log('info', 'second');
  const [first = '', second = ''] = log.take();
  assert.match(first, new RegExp(`^<13>[A-Z][a-z]{2} [ 123]\\d \\d\\d:\\d\\d:\\d\\d one\\[${process.pid}\\]: first$`));
  assert.match(second, /^<14>[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d two: second$/);
  await withPid.close();
  await without.close();
  without.log('info', 'after the end');
  assert.deepEqual(log.take(), []);
});

test('a log that does not listen is told once, and what it does not take waits, up to a bound', async (t) => {
  const path = temporaryPath(t);
  const troubles: string[] = [];
  const none = new Syslog('x', { path, trouble: (error) => troubles.push(`${error.errno}: ${error.message}`) });
  none.log('info', 'one');
  none.log('info', 'two');
  assert.equal(troubles.length, 1);
  assert.match(troubles[0] ?? '', /^ENOENT: nothing is logged: the system's log does not listen on [^\n]+$/);
  const log = listen(t, path);
  const flooding = new Syslog('x', { path });
  // More than its queue and ours hold: nobody reads.
  for (let count = 0; count < 5000; count++) flooding.log('info', `${count}`);
  const taken = log.take();
  for (let emptyRounds = 0; emptyRounds < 20; ) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    const more = log.take();
    taken.push(...more);
    emptyRounds = more.length > 0 ? 0 : emptyRounds + 1;
  }
  assert.ok(taken.length > 256 && taken.length < 5000, `${taken.length} were taken`);
  assert.deepEqual(
    taken.map((record) => Number(/\d+$/.exec(record)?.[0])),
    taken.map((_, index) => index),
  );
  flooding.log('info', 'x'.repeat(100));
  for (let count = 0; count < 20; count++) flooding.log('info', 'last words');
  // It waits for a log that is slow, for a moment.
  let isClosed = false;
  const closed = flooding.close().then(() => {
    isClosed = true;
  });
  let rest = 0;
  while (!isClosed) {
    rest += log.take().length;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await closed;
  assert.equal(rest + log.take().length, 21);
});

test('a log that comes again is found again', async (t) => {
  const path = temporaryPath(t);
  const first = listen(t, path);
  const syslog = new Syslog('x', { path, pid: false });
  syslog.log('info', 'one');
  assert.equal(first.take().length, 1);
  first.close();
  rmSync(path);
  const second = listen(t, path);
  syslog.log('info', 'two');
  assert.match(second.take().join(), /x: two$/);
  await syslog.close();
});

test('where the log takes a stream, a NUL ends each record', async (t) => {
  const path = temporaryPath(t);
  let bytes = '';
  const server = createServer((connection) => connection.on('data', (chunk) => (bytes += chunk)));
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const syslog = new Syslog('x', { path, pid: false });
  syslog.log('info', 'one');
  syslog.log('info', 'two');
  await syslog.close();
  for (let waited = 0; bytes.split('\0').length < 3 && waited < 5000; waited += 10) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.match(bytes, /^<14>.{15} x: one\0<14>.{15} x: two\0$/);
});
