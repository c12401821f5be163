/** What `vde_plug` tells the system's log, beside what the original tells it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { encodeStream } from '../conformance/stream-framing.ts';
import type { LoggedResult, LoggedRun } from '../fixtures/log-reader.ts';
import { checkout, makeTemporaryDirectory, original, ours, requireCommands, runCommand } from './harness.ts';

const READER = join(checkout, 'dist', 'test', 'fixtures', 'log-reader.js');
/** A /dev of our own, in which anybody may bind /dev/log: $1 is an empty folder. */
const OWN_DEV = `set -e
mount -t tmpfs -o mode=0755 none "$1"
for device in null zero urandom tty; do : >"$1/$device"; mount --bind "/dev/$device" "$1/$device"; done
mount --rbind "$1" /dev
shift
exec "$@"`;

/** A record, field by field. */
interface LogRecord {
  readonly priority: string;
  readonly tag: string;
  readonly text: string;
}

async function runLogged(t: TestContext, runs: readonly LoggedRun[]): Promise<readonly LoggedResult[]> {
  const folder = makeTemporaryDirectory(t);
  const reader = [process.execPath, READER];
  const argv = ['unshare', '-Urm', 'sh', '-c', OWN_DEV, 'sh', folder, ...reader];
  const run = await runCommand(argv, { input: JSON.stringify(runs), timeoutMs: 60_000 });
  assert.equal(run.status, 0, run.stderr);
  return run.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as LoggedResult);
}

/** The time is looked at for its form only. */
function fieldsOf(records: readonly string[]): LogRecord[] {
  return records.map((record) => {
    const found = /^<(\d+)>[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d ([^ :]+): (.*)$/.exec(record);
    assert.ok(found !== null, record);
    const [, priority = '', tag = '', text = ''] = found;
    return { priority, tag, text };
  });
}

const MACS = Buffer.from('ffffffffffff020000000001', 'hex');

function frame(header: string, packet: Uint8Array): Uint8Array {
  const bytes = Buffer.concat([MACS, Buffer.from(header, 'hex'), packet]);
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, 60 - bytes.length))]);
}

function ipv4(...source: readonly number[]): Uint8Array {
  return Buffer.concat([Buffer.from('4500001c0000000040110000', 'hex'), Buffer.from([...source, 10, 0, 0, 1])]);
}

function ipv6(source: string): Uint8Array {
  return Buffer.concat([Buffer.from('6000000000003b40', 'hex'), Buffer.from(source, 'hex'), Buffer.alloc(16, 0xff)]);
}

/** What both see. */
const FRAMES = [
  frame('0800', ipv4(10, 1, 2, 3)),
  frame('0800', ipv4(10, 1, 2, 3)),
  frame('0806', Buffer.from('0001080006040001020000000001', 'hex')),
  frame('86dd', ipv6('fe80000000000000000000000000ab01')),
  frame('86dd', ipv6('20010db8000000010000000000000001')),
  frame('0800', ipv4(10, 1, 2, 4)),
];
const ADDRESSES = 4;

test('tells of sessions, logins and addresses in the same words as the original', async (t) => {
  if (!requireCommands(t, 'vde_plug', 'unshare')) return;
  const input = encodeStream(FRAMES).toString('base64');
  const runsOf = (plug: string): LoggedRun[] => [
    { argv: [plug, '-l', 'null://'], env: { SSH_CLIENT: '192.0.2.9 40000 22' }, records: 1 },
    { argv: [plug, '-L', 'null://'], input, records: 1 + ADDRESSES },
    { argv: [plug, '-c', 'rm -rf /'], env: { SSH_CLIENT: '2001:db8::9 40000 22' }, records: 1 },
    { argv: [plug, '-c', 'vde_plug -l'], records: 1 },
    { argv: [plug, '-c', 'vde_plug', 'null://'], records: 1 },
    { argv: [plug, '-L', '/nowhere/lan'], records: 2 },
  ];
  const results = await runLogged(t, [...runsOf(original('vde_plug') ?? ''), ...runsOf(ours('vde_plug'))]);
  const [theirs, own] = [results.slice(0, 6), results.slice(6)];
  for (const [index, { status, records, stderr }] of own.entries()) {
    assert.deepEqual(fieldsOf(records), fieldsOf(theirs[index]?.records ?? []), runsOf('')[index]?.argv.join(' '));
    assert.equal(status, theirs[index]?.status, stderr);
    assert.match(stderr, /^(vde_plug: [^\n]+\n)?$/);
  }
  assert.deepEqual(
    own.map(({ records }) => records.length),
    [2, 2 + ADDRESSES, 1, 1, 2, 2],
  );
});

test('tells of each address in each VLAN, and of a flood no more than can be read', async (t) => {
  if (!requireCommands(t, 'unshare')) return;
  const tagged = [
    frame('810000050800', ipv4(10, 1, 2, 3)),
    frame('8100e00586dd', ipv6('fe80000000000000000000000000ab01')),
    frame('88a80007810000090800', ipv4(10, 1, 2, 3)),
    frame('810000050800', ipv4(10, 1, 2, 3)),
    frame('0800', Buffer.from('60')),
    frame('86dd', Buffer.from('60')).subarray(0, 40),
  ];
  const flood = Array.from({ length: 3000 }, (_, index) => frame('0800', ipv4(10, 2, index >> 8, index & 0xff)));
  const runOf = (frames: readonly Uint8Array[], records: number): LoggedRun => ({
    argv: [ours('vde_plug'), '-L', 'null://'],
    input: encodeStream(frames).toString('base64'),
    records,
  });
  const asCommand = {
    argv: [
      ours('vde_plug'),
      '-L',
      'null://',
      '=',
      'sh',
      '-c',
      `echo ${encodeStream(tagged).toString('base64')} | base64 -d`,
    ],
    records: 3,
  };
  const [few, many, command] = await runLogged(t, [runOf(tagged, 4), runOf(flood, 5), asCommand]);
  const who = 'user root Real-IP UNKNOWN_IP_ADDRESS has got';
  const seen = [
    `${who} VDE-IP4 10.1.2.3 on vlan 5`,
    `${who} VDE-IP6 fe80::ab01 on vlan 5`,
    `${who} VDE-IP4 10.1.2.3 on vlan 7`,
  ];
  for (const result of [few, command]) {
    assert.deepEqual(
      fieldsOf(result?.records ?? [])
        .map(({ text }) => text)
        .slice(1, -1),
      seen,
    );
  }
  // Its own queue may have been full as well.
  const lines = fieldsOf(many?.records ?? []).map(({ text }) => text);
  assert.ok(lines.length < 600, `${lines.length} lines`);
  assert.match(lines.join('\n'), /has got \d{3,} more addresses, too fast/);
});

test('says once that there is no log, when somebody asked for it', async () => {
  const asked = await runCommand([ours('vde_plug'), '-l', 'null://', '=', 'true']);
  assert.equal(asked.status, 0);
  const isThere = !asked.stderr.includes('nothing is logged');
  if (!isThere) assert.match(asked.stderr, /^vde_plug: nothing is logged: [^\n]+\n$/);
  const login = await runCommand([ours('vde_plug'), '-c', 'sh']);
  assert.equal(login.status, 255);
  assert.match(login.stderr, /^vde_plug: this is no login shell: [^\n]+\n$/);
});
