/** The suite on networks inside networks, around a port of a switch by the book whose frames the test makes itself. */
import type { TestContext } from 'node:test';
import { batchOf, FrameBatch } from '../../src/frames/batch.ts';
import { AgnoPlug } from '../../src/plugs/agno.ts';
import { AGNO_ETHERTYPE, AgnoOpener, AgnoSealer, type OpenedCounts } from '../../src/plugs/agno-cipher.ts';
import type { Plug } from '../../src/plugs/plug.ts';
import { openRestarting } from '../../src/plugs/restart.ts';
import { VdePlug } from '../../src/plugs/vde.ts';
import { VlanPlug } from '../../src/plugs/vlan.ts';
import { read16 } from '../../src/wire/bytes.ts';
import { FakeSwitch } from '../fixtures/fake-switch.ts';
import type { PlugKind } from './line.ts';
import { describePlug } from './plug-suite.ts';

/** How the far end writes and reads frames. */
interface Translation {
  wrap(frame: Uint8Array): Uint8Array;
  unwrap(frame: Uint8Array): Uint8Array;
}

const asIs: Translation = { wrap: (frame) => frame, unwrap: (frame) => frame };

function around(
  name: string,
  translation: () => Translation,
  make: (open: () => Promise<Plug>) => Promise<Plug>,
): PlugKind {
  const open = async (t: TestContext): ReturnType<PlugKind['open']> => {
    // Data sockets with such a name take long frames.
    const fake = await FakeSwitch.start({ dataName: (fd) => `fd${fd}` });
    const { wrap, unwrap } = translation();
    let isReading = true;
    const directory = fake.path;
    const plug = await make(() => VdePlug.open('vde', { directory, description: 'conformance' }));
    const close = plug.close.bind(plug);
    plug.close = async () => {
      await close();
      await fake.close();
    };
    t.after(() => plug.close());
    const far = {
      take: () => (isReading ? fake.take().map(unwrap) : []),
      send: (frames: readonly Uint8Array[]) => void fake.send(frames.map(wrap)),
      stopReading: () => {
        isReading = false;
      },
      startReading: () => {
        isReading = true;
      },
      leave: () => fake.close(),
    };
    return { plug, far };
  };
  // The kernel's queue of a datagram socket (net.unix.max_dgram_qlen).
  return { name, burst: 10, open };
}

/** Adds and takes away a tag, byte by byte. */
function tagging(vlan: number): Translation {
  return {
    wrap: (frame) => {
      const tagged = new Uint8Array(frame.length + 4);
      tagged.set(frame.subarray(0, 12));
      tagged.set([0x81, 0, vlan >> 8, vlan & 0xff], 12);
      tagged.set(frame.subarray(12), 16);
      return tagged;
    },
    unwrap: (frame) => {
      if (read16(frame, 12) !== 0x8100 || read16(frame, 14) !== vlan) throw new Error('a frame without the tag');
      return new Uint8Array([...frame.subarray(0, 12), ...frame.subarray(16)]);
    },
  };
}

const key = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const seconds = (): number => Math.floor(Date.now() / 1000);

function enciphering(): Translation {
  const sealer = new AgnoSealer(key, AGNO_ETHERTYPE);
  const opener = new AgnoOpener(key);
  const counts: OpenedCounts = {
    malformed: 0,
    undeciphered: 0,
    outOfWindow: 0,
    replayed: 0,
    droppedBytes: 0,
    removedBytes: 0,
    secondsOff: 0,
  };
  return {
    wrap: (frame) => {
      const sealed = new FrameBatch(new Uint8Array(frame.length + 32), 1);
      sealer.seal(batchOf([frame]), seconds(), sealed);
      return sealed.frame(0).slice();
    },
    unwrap: (frame) => {
      const opened = opener.open(batchOf([frame]), seconds(), counts);
      if (opened.count !== 1) throw new Error(`a frame that does not open: ${JSON.stringify(counts)}`);
      return opened.frame(0).slice();
    },
  };
}

/** A tag inside of the cipher. */
function both(outer: Translation, inner: Translation): Translation {
  return { wrap: (frame) => inner.wrap(outer.wrap(frame)), unwrap: (frame) => outer.unwrap(inner.unwrap(frame)) };
}

describePlug(
  around(
    'vlan://4{...}',
    () => tagging(4),
    async (open) => new VlanPlug(await open(), { untagged: 4 }),
  ),
);
describePlug(
  around(
    'vlan:///x{...}',
    () => asIs,
    async (open) => new VlanPlug(await open(), { trunk: true }),
  ),
);
describePlug(around('agno://{...}', enciphering, async (open) => new AgnoPlug(await open(), { key })));
describePlug(
  around(
    'vlan://4{agno://{...}}',
    () => both(tagging(4), enciphering()),
    async (open) => new VlanPlug(new AgnoPlug(await open(), { key }), { untagged: 4 }),
  ),
);
describePlug(
  around(
    'restart://{...}',
    () => asIs,
    (open) => openRestarting('restart', open),
  ),
);
