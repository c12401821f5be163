/** `pcap://` and `macvtap://`, in networks in which an ordinary user may have interfaces. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { FrameBatch } from '../../src/frames/batch.ts';
import { openPlug } from '../../src/index.ts';
import { native } from '../../src/system/native.ts';
import { SOCK_SEQPACKET } from '../../src/system/unix-address.ts';
import { ownNetworkCommands, runCase } from '../fixtures/own-network.ts';
import { WIRE_CASES } from '../fixtures/wire-cases.ts';
import { requireCommands } from '../interop/harness.ts';

const program = new URL('../fixtures/wire-cases.js', import.meta.url).href;

/** Of what wireReadBatch tells of frames that were lost. */
const LOST_WORDS = 2;

for (const name of WIRE_CASES) {
  test(`the wire behind an interface: ${name}`, { timeout: 60_000 }, async (t) => {
    if (!requireCommands(t, ...ownNetworkCommands, 'ping')) return;
    await runCase(program, name);
  });
}

test('pcap:// without the right to says what to do', {
  skip: process.geteuid?.() === 0 && 'root may do everything',
}, async () => {
  await assert.rejects(openPlug('pcap://lo'), /\(socket: EPERM\).*CAP_NET_RAW\): run it inside vdens/);
});

test('macvtap:// says so when the interface is none', async () => {
  await assert.rejects(openPlug('macvtap://lo'), (error: Error) => {
    assert.match(error.message, /\(ENOENT\)\. lo is no macvtap\. Make one: ip link add link eth0/);
    assert.doesNotMatch(error.message, /mknod/);
    return true;
  });
});

test('pcap:// gives advice on rights only where they are missing', async (t) => {
  const { EMFILE, EPERM } = constants.errno;
  let errno = EMFILE;
  t.mock.method(native, 'openSocket', () => -errno);
  await assert.rejects(openPlug('pcap://lo'), /\(socket: EMFILE\)\. There are too many open files: ulimit -n$/);
  errno = EPERM;
  await assert.rejects(openPlug('pcap://lo'), /\(socket: EPERM\).*CAP_NET_RAW/);
});

test('frames that the kernel cannot express are counted, however many there are', () => {
  const ends = new Int32Array(2);
  assert.equal(native.openSocketPair(SOCK_SEQPACKET, ends), 0);
  const [near = -1, far = -1] = ends;
  try {
    const [long, lost] = [new Uint8Array(300), new Int32Array(LOST_WORDS)];
    for (let i = 0; i < 70; i++) assert.equal(native.send(far, long), 300);
    native.send(far, new Uint8Array(80));
    const batch = new FrameBatch(new Uint8Array(8192), 4);
    const read = (): number => native.wireReadBatch(near, batch.arena, batch.slots, 100, lost);
    assert.deepEqual([read(), lost[0]], [0, 64]);
    assert.deepEqual([read(), lost[0]], [1, 6]);
  } finally {
    for (const fd of ends) native.closeDescriptor(fd);
  }
});
