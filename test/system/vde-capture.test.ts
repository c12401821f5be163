/** `vde capture`: what passes is in the file, as tshark reads it, wherever frames are moved and whoever moves them. */
import assert from 'node:assert/strict';
import { closeSync, mkdirSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connectControl, createSwitch } from '../../src/index.ts';
import { CaptureRing } from '../../src/plugs/capture-ring.ts';
import { CaptureLan, isOutbound, type ReadFrame, readCapture } from '../fixtures/capture-lan.ts';
import { checkout, ours, requireCommands, runCommand, waitFor } from '../interop/harness.ts';
import { startSwitch } from '../interop/original-switch.ts';

const TOOLS = ['tshark', 'ping'];

/** Where the requests and answers of pings went, as their captures tell it. */
function ways(frames: readonly ReadFrame[]): string[] {
  return frames.map((frame) => `${frame.name} ${isOutbound(frame) ? 'out' : 'in'}`);
}

/** A network with two namespaces: `a`, which serves it, and `b`. */
async function pair(t: TestContext, env: Readonly<Record<string, string>> = {}): Promise<CaptureLan> {
  const lan = new CaptureLan(t, env);
  await lan.join('a', 1);
  await lan.join('b', 2);
  await lan.ping('a', 2, 1);
  return lan;
}

/** Ways that frames take: by C of this process or another one, over a socket, through JavaScript. */
const WAYS: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['handed over', {}],
  ['over a socket', { VDENS_HANDOVER: '0' }],
  ['through JavaScript', { VDENS_LINE: '0', VDENS_HANDOVER: '0' }],
];

for (const [way, env] of WAYS) {
  test(`frames and their directions are in the file while it grows: ${way}`, async (t) => {
    if (!requireCommands(t, ...TOOLS)) return;
    const lan = await pair(t, env);
    const [own, other, ports] = ['a', 'b', 'lan'].map((name) => lan.file(`${name}.pcapng`));
    const captures = [
      await lan.capture('a', '-w', own!),
      await lan.capture('b', '-w', other!),
      await lan.capture('b', 'icmp'),
      await lan.capture(lan.path, '-w', ports!),
    ];
    await lan.ping('a', 2, 2);
    const icmp = 'icmp.type==8 || icmp.type==0';
    assert.deepEqual(ways(await lan.framesIn(own!, icmp, 4)), ['vde0 out', 'vde0 in', 'vde0 out', 'vde0 in']);
    assert.deepEqual(ways(await lan.framesIn(other!, icmp, 4)), ['vde0 in', 'vde0 out', 'vde0 in', 'vde0 out']);
    const turn = ['port 1 in', 'port 2 out', 'port 2 in', 'port 1 out'];
    assert.deepEqual(ways(await lan.framesIn(ports!, icmp, 8)).toSorted(), [...turn, ...turn].toSorted());
    // And on: the file is whole at any time.
    await lan.ping('b', 1, 1);
    assert.equal((await lan.framesIn(other!, icmp, 6)).length, 6);
    for (const capture of captures) assert.match(await lan.end(capture), /vde capture: \d+( of \d+)? frames?$/m);
    const lines = captures[2]!
      .output()
      .split('\n')
      .filter((line) => line.includes('icmp'));
    assert.equal(lines.length, 6);
    assert.match(
      lines[0]!,
      /^\d\d:\d\d:\d\d\.\d{6} vde0 in {2}10\.9\.0\.1 > 10\.9\.0\.2: icmp echo request, 98 bytes$/,
    );
  });
}

test('the interfaces say who they are, and how many frames passed', async (t) => {
  if (!requireCommands(t, ...TOOLS, 'capinfos')) return;
  const lan = await pair(t);
  const capture = await lan.capture('b', '-w', lan.file());
  await lan.ping('b', 1, 2);
  await lan.end(capture);
  const { stdout } = await runCommand(['capinfos', lan.file()]);
  const frames = (await readCapture(lan.file())).length;
  for (const part of [
    /Name = vde0/,
    /Description = switch:/,
    /Time precision = nanoseconds/,
    /Capture application: vde capture \d/,
    new RegExp(`Number of packets = ${frames}$`, 'm'),
    /Number of stat entries = 1/,
  ])
    assert.match(stdout, part);
}); // prettier-ignore

test('when the process that moves the frames dies, the capture goes on', async (t) => {
  if (!requireCommands(t, ...TOOLS)) return;
  const lan = new CaptureLan(t);
  const serving = await lan.join('a', 1);
  for (const [name, number] of [
    ['b', 2],
    ['c', 3],
  ] as const)
    await lan.join(name, number); // prettier-ignore
  const capture = await lan.capture('b', '-w', lan.file());
  await lan.ping('b', 3, 2);
  await lan.framesIn(lan.file(), 'icmp', 4);
  serving.kill('SIGKILL');
  await waitFor(
    async () => (await lan.vde('exec', 'b', 'ping', '-c', '1', '-W', '1', '10.9.0.3')).status === 0,
    20_000,
    'the network',
  );
  const before = (await lan.framesIn(lan.file(), 'icmp.type == 0', 3)).length;
  await lan.ping('b', 3, 2);
  await lan.framesIn(lan.file(), 'icmp.type == 0', before + 2);
  await lan.end(capture);
}); // prettier-ignore

test('who moves the frames for another process and has no room refuses; the capture says so, and begins when there is some', async (t) => {
  if (!requireCommands(t, ...TOOLS)) return;
  const lan = new CaptureLan(t);
  const served = createSwitch();
  t.after(() => served.close());
  await served.serve(lan.path);
  await lan.join('a', 1);
  await lan.join('b', 2);
  await waitFor(() => served.ports.every(({ kind }) => kind === 'tap'), 10_000, 'the TAPs to be handed over');
  const rings: CaptureRing[] = [];
  t.after(() => {
    for (const ring of rings) ring.close();
  });
  for (let ring = make(); typeof ring !== 'number'; ring = make()) rings.push(ring);
  const refused = await lan.capture('b', '-w', lan.file('refused.pcapng'));
  await lan.ping('a', 2, 1);
  const said = await lan.end(refused);
  assert.match(said, /^vde capture: not captured: vde0: too many captures/m);
  assert.match(said, /^vde capture: 0 frames$/m);
  const late = await lan.capture('b', '-w', lan.file());
  for (const ring of rings.splice(0, 10)) ring.close();
  await waitFor(
    async () => {
      await lan.ping('a', 2, 1);
      return (await readCapture(lan.file(), 'icmp')).length > 0;
    },
    20_000,
    'the capture to begin',
  );
  await lan.end(late);
}); // prettier-ignore

/** A ring of this process, as small as they are. */
function make(): CaptureRing | number {
  return CaptureRing.make(262_144, 'stream');
}

test('a port that comes later is captured from its first frame on', async (t) => {
  if (!requireCommands(t, ...TOOLS)) return;
  const lan = await pair(t);
  const capture = await lan.capture(lan.path, '-w', lan.file());
  await lan.join('c', 3);
  await lan.ping('c', 1, 1);
  const frames = await lan.framesIn(lan.file(), 'icmp', 4);
  assert.deepEqual(ways(frames).toSorted(), ['port 1 in', 'port 1 out', 'port 3 in', 'port 3 out']);
  assert.match(frames.find(({ name }) => name === 'port 3')?.description ?? '', /vdens/);
  // All that port 1 sends out came in elsewhere, so each frame is there twice at least.
  const asked = await readCapture(lan.file(), 'arp.opcode == 1');
  assert.ok(ways(asked).includes('port 3 in') && ways(asked).includes('port 2 out'), ways(asked).join());
  await lan.end(capture);
});

test('a managed switch is captured, too', async (t) => {
  if (!requireCommands(t, ...TOOLS)) return;
  const lan = new CaptureLan(t);
  const { spawnBackground } = await import('../interop/harness.ts');
  const argv = [ours('vde_switch'), '-s', lan.path, '-M', join(lan.directory, 'mgmt')];
  await spawnBackground(t, argv, { env: lan.env });
  await waitFor(() => statSync(join(lan.path, 'ctl'), { throwIfNoEntry: false }) !== undefined, 10_000, 'the switch');
  await lan.join('a', 1, lan.path);
  await lan.join('b', 2, lan.path);
  const capture = await lan.capture(lan.path, '-w', lan.file());
  await lan.ping('a', 2, 1);
  const turn = ['port 1 in', 'port 1 out', 'port 2 in', 'port 2 out'];
  assert.deepEqual(ways(await lan.framesIn(lan.file(), 'icmp', 4)).toSorted(), turn);
  await lan.end(capture);
});

test('super-frames are one frame, as long as they are; of each, what was asked for is kept', async (t) => {
  if (!requireCommands(t, ...TOOLS, 'iperf3')) return;
  const lan = await pair(t);
  const [whole, snapped] = [lan.file('whole.pcapng'), lan.file('snapped.pcapng')];
  const captures = [await lan.capture('a', '-w', whole), await lan.capture('a', '-s', '60', '-w', snapped)];
  await lan.transfer('a', 'b', 2, 3_000_000);
  for (const capture of captures) await lan.end(capture);
  const data = (await readCapture(whole, 'tcp.len > 0 && ip.src == 10.9.0.1')).map(({ length }) => Number(length));
  // iperf3 does not wait for the last of what it wrote.
  assert.ok(data.reduce((sum, length) => sum + length, 0) >= 1_000_000);
  assert.ok(Math.max(...data) > 10_000, `the longest has ${Math.max(...data)} bytes`);
  const frames = await readCapture(snapped);
  assert.ok(frames.every(({ kept, length }) => Number(kept) === Math.min(60, Number(length))));
  assert.ok(frames.some(({ length }) => Number(length) > 10_000));
});

test('who does not read loses frames of the capture, and no others; the file says where', async (t) => {
  if (!requireCommands(t, ...TOOLS, 'iperf3')) return;
  const lan = await pair(t);
  const capture = await lan.capture('b', '--buffer-size', '1', '-w', lan.file());
  capture.kill('SIGSTOP');
  await lan.transfer('a', 'b', 2, 20_000_000);
  capture.kill('SIGCONT');
  await waitFor(async () => (await readCapture(lan.file(), 'tcp')).length > 0, 20_000, 'what was kept');
  await lan.ping('a', 2, 2);
  const said = await lan.end(capture);
  const [, recorded, leftOut] = /(\d+) frames; (\d+) left out/.exec(said) ?? [];
  const frames = await readCapture(lan.file());
  assert.equal(frames.length, Number(recorded), said);
  assert.equal(
    frames.reduce((sum, each) => sum + Number(each.leftOut), 0),
    Number(leftOut),
  );
}); // prettier-ignore

test('drops are told by reason', async (t) => {
  if (!requireCommands(t, ...TOOLS, 'vde_switch', 'ip')) return;
  const lan = new CaptureLan(t);
  const segment = await startSwitch(t);
  await lan.join('a', 1, segment.path);
  await lan.join('b', 2, segment.path);
  await lan.ping('a', 2, 1);
  const capture = await lan.capture('a', '-w', lan.file());
  await lan.run('a', 'ip', 'link', 'set', 'vde0', 'mtu', '9000');
  await lan.vde('exec', 'a', 'ping', '-c', '2', '-i', '0.2', '-W', '1', '-M', 'do', '-s', '5000', '10.9.0.2');
  await lan.ping('a', 2, 1);
  const told = await lan.framesIn(lan.file(), 'frame.comment', 1);
  const frames = told.flatMap(({ comment }) => [...comment.matchAll(/(\d+) frames? dropped outbound: too-long/g)]);
  assert.equal(
    frames.reduce((sum, [, count]) => sum + Number(count), 0),
    2,
    JSON.stringify(told),
  );
  await lan.end(capture);
}); // prettier-ignore

test('a filter chooses, and so many frames are enough', async (t) => {
  if (!requireCommands(t, ...TOOLS)) return;
  const lan = await pair(t);
  const capture = await lan.capture('b', '-c', '3', '-w', lan.file(), 'icmp', 'and', 'src', '10.9.0.1');
  const lines = await lan.capture('b:vde0', '-c', '2', 'outbound and icmp');
  await lan.ping('a', 2, 5);
  for (const each of [capture, lines]) assert.equal((await each.waitForExit(20_000)).status, 0);
  assert.deepEqual(ways(await readCapture(lan.file())), ['vde0 in', 'vde0 in', 'vde0 in']);
  assert.equal(lines.output().match(/icmp echo reply/g)?.length, 2);
  const { status } = await lan.vde('capture', 'b', '--seconds', '1', '-w', lan.file('second.pcapng'));
  assert.equal(status, 0);
});

test('a pipe gets it all, and may close', async (t) => {
  if (!requireCommands(t, ...TOOLS)) return;
  const lan = await pair(t);
  const command = (script: string) =>
    runCommand(['bash', '-o', 'pipefail', '-c', script, 'bash', ours('vde')], { env: lan.env, timeoutMs: 60_000 });
  const reading = command('"$1" capture a -w - | tshark -n -r - -l -c 2 -Y icmp');
  const lines = command('"$1" capture a icmp | head -n 1');
  // Whoever stopped reading is noticed by what is written next.
  await waitFor(
    async () => {
      await lan.ping('a', 2, 1);
      return (await Promise.race([Promise.all([reading, lines]), lan.ping('a', 2, 1)])) !== undefined;
    },
    30_000,
    'the end of the readers',
  );
  const [file, text] = await Promise.all([reading, lines]);
  assert.equal(text.status, 0, text.stderr);
  assert.match(text.stdout, /icmp echo request/);
  assert.equal(file.status, 0, file.stderr);
});

test('a reader that goes away is noticed although no frame passes', async (t) => {
  if (!requireCommands(t, ...TOOLS)) return;
  const lan = await pair(t);
  const script = '"$1" capture a -w - udp port 9 | head -c 4';
  const { status, isTimedOut } = await runCommand(['bash', '-o', 'pipefail', '-c', script, 'bash', ours('vde')], {
    env: lan.env,
  });
  assert.deepEqual([status, isTimedOut], [0, false]);
});

test('a switch is found by its directory from within a namespace', async (t) => {
  if (!requireCommands(t, ...TOOLS)) return;
  const lan = await pair(t);
  const { status, stderr } = await lan.vde('exec', 'b', ours('vde'), 'capture', `${lan.path}:2`, '--seconds', '1');
  assert.equal(status, 0, stderr);
  assert.match(stderr, /listening at port 2$/m);
});

test('the end of the process ends the capture', async (t) => {
  if (!requireCommands(t, ...TOOLS)) return;
  const lan = new CaptureLan(t);
  await lan.join('a', 1);
  const other = await lan.join('b', 2);
  const capture = await lan.capture('b', '-w', lan.file());
  await lan.ping('a', 2, 2);
  other.kill('SIGKILL');
  assert.equal((await capture.waitForExit(20_000)).status, 0);
  assert.match(capture.output(), /b has ended/);
  assert.equal((await readCapture(lan.file(), 'icmp')).length, 4);
});

test('a recorder has the last seconds', async (t) => {
  if (!requireCommands(t, ...TOOLS, 'iperf3')) return;
  const lan = await pair(t);
  const nothing = await lan.vde('capture', 'b', '--last');
  assert.equal(nothing.status, 125);
  assert.match(nothing.stderr, /nothing is recorded here\. Turn it on: vde capture NAME --ring 30/);
  assert.equal((await lan.vde('capture', 'b', '--ring', '30', '--ring-size', '1')).status, 0);
  await lan.ping('a', 2, 2);
  const taken = await lan.vde('capture', 'b', '--last', '-w', lan.file());
  assert.equal(taken.status, 0, taken.stderr);
  assert.deepEqual(ways(await readCapture(lan.file(), 'icmp')), ['vde0 in', 'vde0 out', 'vde0 in', 'vde0 out']);
  // More than there is room for: the oldest go, the file stays whole.
  await lan.transfer('a', 'b', 2, 20_000_000);
  await lan.ping('a', 2, 1);
  assert.equal((await lan.vde('capture', 'b', '--last', '-w', lan.file())).status, 0);
  assert.equal((await readCapture(lan.file(), 'icmp')).length, 2);
  const { size } = statSync(lan.file());
  assert.ok(size > 500_000 && size < 1_100_000, `${size} bytes`);
  const lines = await lan.vde('capture', 'b', '--last', 'icmp');
  assert.match(lines.stdout, /vde0 in {2}10\.9\.0\.1 > 10\.9\.0\.2: icmp echo request/);
  assert.match(
    (await lan.vde('capture', 'b:vde7', '--last')).stderr,
    /nothing was recorded of "vde7"; there are: vde0/,
  );
  assert.match((await lan.vde('capture', 'b', '--ring', '5')).stderr, /a recording of vde0 already \(30 s, 1 MiB/);
  assert.equal((await lan.vde('capture', 'b', '--ring', '0')).status, 0);
  assert.equal((await lan.vde('capture', 'b', '--ring', '0')).status, 1);
});

test('nonsense in a recorder is told', async (t) => {
  if (!requireCommands(t, ...TOOLS)) return;
  const lan = new CaptureLan(t);
  await lan.join('a', 1);
  await lan.vde('capture', 'a', '--ring', '30', '--ring-size', '1');
  using control = await connectControl(join(lan.env['VDENS_RUNTIME_DIR']!, 'a'));
  const { descriptors } = await control.requestWithDescriptors('record-take');
  t.after(() => {
    for (const fd of descriptors) closeSync(fd);
  });
  // Where the oldest block begins, or where the next one goes (native/io/capture_ring.h). A frame would set it right.
  for (const at of [136, 72]) {
    const isTold = async (): Promise<boolean> => {
      writeSync(descriptors[0]!, new BigUint64Array([1n << 60n]), 0, 8, at);
      const { status, stderr } = await lan.vde('capture', 'a', '--last');
      return status === 125 && /the ring of the capture holds something that is no block/.test(stderr);
    };
    await waitFor(isTold, 20_000, 'the nonsense to be told');
  }
});

test('what cannot be is said in one line', async (t) => {
  if (!requireCommands(t, ...TOOLS)) return;
  const lan = await pair(t);
  mkdirSync(join(lan.directory, 'folder'));
  const socket = join(lan.directory, 'socket');
  const server = createServer().listen(socket);
  t.after(() => server.close());
  const kept = join(lan.directory, 'kept');
  writeFileSync(kept, 'of yesterday');
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['b', '-w', join(lan.directory, 'folder')], /cannot write a capture there: it is a directory/],
    [['b', '-w', socket], /cannot write a capture there: it is a socket/],
    [['b', '-w', join(lan.directory, 'nowhere/file')], /open: ENOENT/],
    [['b', '-w', '/dev/full'], /cannot write the capture: the disk is full/],
    [['b:vde7'], /there is no interface or port "vde7" here; there are: vde0/],
    [['nobody'], /"nobody"/],
    [['b', 'foo'], /the filter does not know "foo"/],
    [['b', '-c', '0'], /--count takes a whole number from 1/],
    [[], /a name is missing/],
    [['b', '--ring', '5', '-w', 'x'], /--ring and --write do not go together/],
    [['b', '--last', '-s', '60'], /--last and --snap do not go together/],
    [['b', '-w', ''], /the name is empty/],
    [['b', '--last', '-w', kept], /nothing is recorded here/],
    [['b:vde7', '-w', kept], /there is no interface or port "vde7" here/],
  ];
  for (const [args, message] of cases) {
    const { status, stderr } = await lan.vde('capture', ...args);
    assert.equal(status, 125, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, message);
  }
  assert.equal(readFileSync(kept, 'utf8'), 'of yesterday');
  const script = 'cd "$1" && "$2" capture lan';
  const { stderr } = await runCommand(['sh', '-c', script, 'sh', lan.directory, ours('vde')], { env: lan.env });
  assert.match(stderr, /For the switch in the directory of that name: \.\/lan/);
  assert.ok(statSync(join(checkout, 'bin', 'vde')).isFile());
});
