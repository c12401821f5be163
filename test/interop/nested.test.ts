/**
 * Networks inside networks, ours beside the originals: the same frames on the wire, and each talks with each.
 *
 * ```
 * vde_plug 'vlan://4{PATH}' ── switch by the book, whose frames the test sees and sends
 * vdens 'agno://KEY{PATH}' 10.77.0.1 ── segment ── 10.77.0.2 the same, of the other kind
 * ```
 */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { batchOf, FrameBatch } from '../../src/frames/batch.ts';
import { parseLocator } from '../../src/locator/locator.ts';
import { vlanOptions } from '../../src/locator/vlan-locator.ts';
import { AGNO_ETHERTYPE, AgnoSealer } from '../../src/plugs/agno-cipher.ts';
import { read16, write16 } from '../../src/wire/bytes.ts';
import { FakeSwitch } from '../fixtures/fake-switch.ts';
import { Lab } from '../fixtures/lab.ts';
import { type Program, startStation } from '../fixtures/overlay-station.ts';
import { expectedFrame } from '../fixtures/vlan-model.ts';
import { pattern } from '../unit/frames/arbitrary-frames.ts';
import {
  makeTemporaryDirectory,
  original,
  ours,
  requireCommands,
  runCommand,
  spawnBackground,
  waitFor,
} from './harness.ts';
import { startSwitch } from './original-switch.ts';
import { inNamespace } from './original-vdens.ts';
import { startOurSwitch } from './our-switch.ts';
import { type StreamClient, startStreamClient } from './stream-client.ts';

const KEYS = ['00112233445566778899aabbccddeeff', 'ABCDEF0123456789abcdefABCDEFAAAA'];
const LIMIT = { timeout: 60_000 };
const programs: readonly Program[] = ['ours', 'original'];

function plugOf(program: Program): string {
  return program === 'ours' ? ours('vde_plug') : (original('vde_plug') ?? '');
}

function keyFile(t: TestContext, text = KEYS[0]!): string {
  const path = join(makeTemporaryDirectory(t), 'key');
  writeFileSync(path, `${text}\n`, { mode: 0o600 });
  return path;
}

/** A `vde_plug` on a network around a port of a switch by the book, which takes long frames. */
interface Plugged {
  readonly fake: FakeSwitch;
  readonly client: StreamClient;
}

async function plugInto(t: TestContext, program: Program, around: (path: string) => string): Promise<Plugged> {
  const fake = await FakeSwitch.start({ dataName: (fd) => `fd${fd}` });
  t.after(() => fake.close());
  const client = await startStreamClient(t, [plugOf(program), around(fake.path)]);
  await waitFor(() => fake.requests.length > 0, 10_000, `a port for ${program}`);
  return { fake, client };
}

/** Waits for so many frames, and that no more come. */
async function collect(take: () => Uint8Array[], count: number, what: string, settleMs = 50): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = [];
  const look = (): boolean => {
    frames.push(...take());
    return frames.length >= count;
  };
  await waitFor(look, 5000, `${count} ${what}, of which came ${frames.length}`);
  await sleep(settleMs);
  look();
  return frames;
}

describe('vlan:// on the wire', () => {
  const locators = [
    'vlan://',
    'vlan://3/u=4/t=10:11-12:12-11',
    'vlan://3/x',
    'vlan:///u=4',
    'vlan://4095/x',
    'vlan://4/q/t=10:20',
    'vlan://3/u=10/t=10-20:50.20-10',
    'vlan://7/t=10-20:20-30/x',
    'vlan:///t=10-20:10-30:11-20',
  ];
  const numbers = [0, 1, 3, 4, 5, 7, 10, 11, 12, 20, 30, 50, 4095];

  /** Each VLAN with a priority, and none; each frame with a number of its own. */
  function frames(etherType: number): Uint8Array[] {
    const tags = [undefined, ...numbers.map((vlan, index) => ((index & 7) << 13) | vlan)];
    return tags.map((tag, index) => {
      const frame = pattern(tag === undefined ? 100 : 104, index);
      frame[0] = 0xff;
      frame[6] = 2;
      write16(frame, 12, tag === undefined ? 0x88b5 : etherType);
      if (tag !== undefined) write16(frame, 14, tag);
      write16(frame, 30, index);
      return frame;
    });
  }

  for (const locator of locators) {
    test(`${locator}: as the original, but priorities are kept and lengths are true`, LIMIT, async (t) => {
      if (!requireCommands(t, 'vde_plug')) return;
      const options = vlanOptions(parseLocator(`${locator}{}`));
      const etherType = options.qinq === true ? 0x88a8 : 0x8100;
      const sent = frames(etherType);
      for (const program of programs) {
        const { fake, client } = await plugInto(t, program, (path) => `${locator}{vde://${path}}`);
        for (const direction of ['to the network', 'to the user'] as const) {
          const wanted = sent.map((frame) => expectedFrame(frame, options, direction)).filter((f) => f !== undefined);
          const arrived: Uint8Array[] = [];
          const take = direction === 'to the network' ? () => fake.take() : () => client.take();
          // One at a time: a datagram socket takes few.
          for (const frame of sent) {
            if (direction === 'to the network') client.send([frame]);
            else fake.send([frame]);
            const isWanted = expectedFrame(frame, options, direction) !== undefined;
            arrived.push(...(isWanted ? await collect(take, 1, `frame ${direction} of ${program}`, 0) : take()));
          }
          arrived.push(...(await collect(take, 0, 'frames')));
          const seen = program === 'ours' ? arrived : arrived.map((frame, index) => asOurs(frame, wanted[index]));
          assert.deepEqual(seen.map(hex), wanted.map(hex), `${program}, ${direction}`);
        }
        client.kill('SIGKILL');
      }
    });
  }

  /** What the original does is known to differ: the length of tagged frames, and the priority. */
  function asOurs(frame: Uint8Array, wanted: Uint8Array | undefined): Uint8Array {
    const same = frame.slice(0, wanted?.length);
    const isTagged = read16(same, 12) === 0x8100 || read16(same, 12) === 0x88a8;
    if (isTagged && wanted !== undefined) write16(same, 14, read16(same, 14) | (read16(wanted, 14) & 0xf000));
    return same;
  }

  function hex(frame: Uint8Array): string {
    return Buffer.from(frame).toString('hex');
  }

  test('a tag within a tag, as 802.1ad has them', LIMIT, async (t) => {
    if (!requireCommands(t, 'vde_plug')) return;
    for (const program of programs) {
      const { fake, client } = await plugInto(t, program, (path) => `vlan://4{vlan://5/q{vde://${path}}}`);
      const plain = pattern(100, 1);
      client.send([plain]);
      const [frame] = await collect(() => fake.take(), 1, 'frame');
      const tags = [0x88, 0xa8, 0, 5, 0x81, 0, 0, 4];
      assert.deepEqual([...frame!], [...plain.subarray(0, 12), ...tags, ...plain.subarray(12)], program);
      fake.send([frame!]);
      assert.deepEqual((await collect(() => client.take(), 1, 'frame')).map(hex), [hex(plain)], program);
      client.kill('SIGKILL');
    }
  });
});

describe('agno:// on the wire', () => {
  const payloads = [0, 1, 15, 16, 17, 46, 1500, 9100];

  for (const text of KEYS) {
    for (const [sender, receiver] of [programs, programs.toReversed()] as const) {
      test(`${receiver} opens what ${sender} enciphers, with the key ${text}`, LIMIT, async (t) => {
        if (!requireCommands(t, 'vde_plug')) return;
        const key = keyFile(t, text);
        const around = (path: string): string => `agno://${key}[ethtype=0x88b5]{vde://${path}}`;
        const from = await plugInto(t, sender!, around);
        const to = await plugInto(t, receiver!, around);
        for (const payload of payloads) {
          const plain = pattern(14 + payload, payload);
          from.client.send([plain]);
          const [sealed] = await collect(() => from.fake.take(), 1, `frame of ${payload} bytes, enciphered`, 5);
          assert.equal(sealed!.length, 30 + Math.ceil(payload / 16) * 16);
          assert.equal(read16(sealed!, 12), 0x88b5);
          to.fake.send([sealed!]);
          const opened = await collect(() => to.client.take(), 1, `frame of ${payload} bytes, opened`, 5);
          assert.deepEqual(
            opened.map((frame) => [...frame]),
            [[...plain]],
          );
        }
      });
    }
  }

  test('what does not open is counted by reason, and said in words once', LIMIT, async (t) => {
    const { fake, client } = await plugInto(t, 'ours', (path) => `agno://${keyFile(t)}{vde://${path}}`);
    // A second ahead is taken, and leaves a slow machine time.
    const sealed = (key: string, secondsOff = 1): Uint8Array => {
      const result = new FrameBatch(new Uint8Array(300), 1);
      const sealer = new AgnoSealer(Buffer.from(key, 'hex'), AGNO_ETHERTYPE);
      sealer.seal(batchOf([pattern(100, 7)]), Math.floor(Date.now() / 1000) + secondsOff, result);
      return result.frame(0).slice();
    };
    const right = KEYS[0]!;
    const wrong = '1'.repeat(32);
    fake.send([sealed(wrong), sealed(wrong)]);
    await waitFor(() => /another key/.test(client.errors()), 5000, 'the word about the key');
    const good = sealed(right);
    const flipped = good.slice();
    flipped[20]! ^= 4;
    fake.send([sealed(right, -3600), sealed(right, 60), good, good, flipped, good.slice(0, 40), good.slice(0, 14)]);
    const [arrived] = await collect(() => client.take(), 1, 'frame that opens');
    assert.deepEqual([...arrived!], [...pattern(100, 7)]);
    await waitFor(() => /\d+ seconds (behind|ahead of) ours/.test(client.errors()), 5000, 'the word about clocks');
    client.kill('SIGUSR1');
    await waitFor(() => /dropped in/.test(client.errors()), 5000, 'the counters');
    const errors = client.errors();
    assert.match(errors, /dropped in: malformed 2 undeciphered 3 out-of-window 2 replayed 1$/m);
    assert.equal(errors.match(/another key/g)?.length, 1);
    assert.equal(errors.match(/Set the clocks/g)?.length, 1);
  });

  test('ours does not fall over frames of the original that are cut', LIMIT, async (t) => {
    if (!requireCommands(t, 'vde_plug')) return;
    const key = keyFile(t);
    const around = (path: string): string => `agno://${key}{vde://${path}}`;
    const from = await plugInto(t, 'original', around);
    const to = await plugInto(t, 'ours', around);
    const plain = pattern(114, 3);
    from.client.send([plain]);
    const [sealed] = await collect(() => from.fake.take(), 1, 'frame');
    for (let length = 14; length < sealed!.length; length += 7) {
      to.fake.send([sealed!.slice(0, length)]);
      await sleep(2);
    }
    from.client.send([plain]);
    const whole = await collect(() => from.fake.take(), 1, 'frame');
    to.fake.send(whole);
    const opened = await collect(() => to.client.take(), 1, 'frame that opens');
    assert.deepEqual(
      opened.map((frame) => [...frame]),
      [[...plain]],
    );
  });
});

describe('pings', () => {
  type Serve = (t: TestContext) => Promise<string>;
  const hub: Serve = async (t) => {
    const path = join(makeTemporaryDirectory(t), 'hub');
    await spawnBackground(t, [original('vde_plug') ?? '', 'null://', `hub://${path}`]);
    await waitFor(() => existsSync(join(path, 'ctl')), 5000, 'the socket of hub://');
    return path;
  };
  const vdeSwitch: Serve = async (t) => (await startSwitch(t)).path;
  const ourSwitch: Serve = async (t) => (await startOurSwitch(t)).path;
  const table: readonly (readonly [name: string, Serve, around: (path: string, key: string) => string])[] = [
    ['vlan:// over hub://', hub, (path) => `vlan://4{${path}}`],
    ['vlan:// over our switch://', ourSwitch, (path) => `vlan://4{vde://${path}}`],
    ['QinQ over hub://', hub, (path) => `vlan://4{vlan://5/q{${path}}}`],
    ['agno:// over hub://', hub, (path, key) => `agno://${key}{${path}}`],
    ['agno:// over vde_switch', vdeSwitch, (path, key) => `agno://${key}{${path}}`],
    ['agno:// over our switch://', ourSwitch, (path, key) => `agno://${key}[ethtype=rand]{${path}}`],
    ['vlan:// in agno:// over our switch://', ourSwitch, (path, key) => `vlan://9{agno://${key}{${path}}}`],
  ];
  for (const [name, serve, around] of table) {
    test(`${name}: ours and an original, large ones too`, LIMIT, async (t) => {
      if (!requireCommands(t, 'vdens', 'vde_plug', 'vde_switch', 'ip', 'ping')) return;
      const path = await serve(t);
      const network = around(path, keyFile(t));
      const vdens = original('vdens') ?? '';
      // The original does not know what fits.
      const setUp = ['ip link set vde0 mtu 1460'];
      const end = { network, address: '10.77.0.2/24', command: ['sleep', '60'], setUp };
      const b = await spawnBackground(t, inNamespace({ ...end, vdens }));
      await b.waitForOutput(/^ready$/m);
      const script = 'ping -c 3 -i 0.1 -W 2 10.77.0.2 && ping -c 1 -W 2 -M do -s 1432 10.77.0.2; ip link show vde0';
      const command = ['sh', '-c', script];
      const a = await runCommand(
        inNamespace({ vdens: ours('vdens'), network, address: '10.77.0.1/24', command, isQuiet: true }),
      );
      assert.match(
        a.stdout,
        /3 packets transmitted, 3 received[\s\S]*1 packets transmitted, 1 received/,
        `${a.stdout}${a.stderr}`,
      );
      const mtu = name.endsWith('vde_switch') ? 1488 : 1500;
      assert.match(a.stdout, new RegExp(`vde0: .* mtu ${mtu} `));
    });
  }

  test('agno:// around vlan:// around vxvde://, between hosts', LIMIT, async (t) => {
    if (!requireCommands(t, 'vdens', 'ip', 'ping')) return;
    const lab = await Lab.start(t, { hosts: 2 });
    const network = `agno://${keyFile(t)}{vlan://4{vxvde://}}`;
    const a = await startStation(t, { program: 'ours', host: lab.host(1), network, address: '10.1.1.1/24' });
    const b = await startStation(t, { program: 'original', host: lab.host(2), network, address: '10.1.1.2/24' });
    await a.ping('10.1.1.2');
    await b.ping('10.1.1.1');
  });
});
