/**
 * QEMU's `-netdev vde` as a client: a machine without a disk, whose network card looks for something to boot from.
 *
 * The card's own program (iPXE) asks for an address by DHCP (RFC 2131). We offer one, and it requests that: frames go
 * both ways. QEMU is not among the packages that the runner installs, because of its size. To have these tests:
 * apt-get install qemu-system-x86 ipxe-qemu
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { batchOf } from '../../src/frames/batch.ts';
import { openPlug } from '../../src/locator/open-plug.ts';
import { parseIpv4 as parseIpv4Address } from '../../src/net/ip.ts';
import { formatMac, parseMac } from '../../src/net/mac.ts';
import type { Plug } from '../../src/plugs/plug.ts';
import { createSwitch } from '../../src/switch/switch.ts';
import { ETHERTYPE_IPV4, emitEthernet, parseEthernet } from '../../src/wire/ethernet.ts';
import { emitIpv4, IP_PROTOCOL_UDP, parseIpv4 } from '../../src/wire/ipv4.ts';
import { emitUdp, isUdpIntact, parseUdp } from '../../src/wire/udp.ts';
import { BOOT_MS, knowsVde, QEMU, startQemu } from '../fixtures/qemu.ts';
import { serveDirectory } from '../fixtures/served-directory.ts';
import { requireCommands, waitFor } from './harness.ts';
import { startSwitch } from './original-switch.ts';

const OUR_MAC = parseMac('02:00:00:00:00:01');
const OUR_ADDRESS = parseIpv4Address('10.79.0.1');
const OFFERED = parseIpv4Address('10.79.0.2');

/** RFC 2131, figure 1, and RFC 2132. */
const DHCP = { client: 68, server: 67, discover: 1, offer: 2, request: 3 } as const;
const HEADER_BYTES = 236;
const YOUR_ADDRESS = 16;
const SERVER_ADDRESS = 20;
const MAGIC_COOKIE = [99, 130, 83, 99];
const OPTION = { requestedAddress: 50, lease: 51, type: 53, server: 54, mask: 1, end: 255 } as const;

/** What serves the network that QEMU joins. */
interface Served {
  readonly path: string;
  /** What the server knows of its clients. */
  describeClients(): Promise<string>;
}

const servers: readonly {
  readonly name: string;
  readonly commands: readonly string[];
  start(t: TestContext): Promise<Served>;
}[] = [
  {
    name: 'the original vde_switch',
    commands: ['vde_switch'],
    start: async (t) => {
      const lan = await startSwitch(t);
      return { path: lan.path, describeClients: () => lan.command('port/print') };
    },
  },
  {
    name: 'a switch of ours',
    commands: [],
    start: async (t) => {
      const segment = createSwitch();
      t.after(() => segment.close());
      const { path } = await serveDirectory(t, {}, undefined, {
        accepted: (plug, { description }) => {
          t.after(() => plug.close());
          segment.attach(plug, { description });
        },
      });
      return { path, describeClients: async () => segment.ports.map((port) => port.description).join('\n') };
    },
  },
];

for (const server of servers) {
  for (const device of ['e1000', 'virtio-net-pci']) {
    test(`QEMU with ${device} gets an address from us through ${server.name}`, async (t) => {
      if (!requireCommands(t, QEMU, ...server.commands) || !(await knowsVde(t))) return;
      const served = await server.start(t);
      const plug = await openPlug(served.path);
      t.after(() => plug.close());
      const mac = '52:54:00:12:34:56';
      const station = answerDhcp(plug);
      await startQemu(t, served.path, device, mac);
      await waitFor(() => station.discovers.length > 0, BOOT_MS, 'the DHCP DISCOVER of the machine');
      assert.equal(station.discovers[0], mac);
      assert.match(await served.describeClients(), /QEMU user=\S+ pid=\d+/);
      await waitFor(() => station.requests.length > 0, BOOT_MS, 'the DHCP REQUEST of the machine');
      assert.deepEqual(station.requests[0], { mac, address: OFFERED });
    });
  }
}

/** What came from machines that look for an address. */
interface DhcpStation {
  /** Who asked. */
  readonly discovers: string[];
  /** Who wants which address. */
  readonly requests: { readonly mac: string; readonly address: Uint8Array }[];
}

/** Answers every DISCOVER with an offer, and notes what it hears. */
function answerDhcp(plug: Plug): DhcpStation {
  const station: DhcpStation = { discovers: [], requests: [] };
  plug.start((batch) => {
    for (let index = 0; index < batch.count; index++) {
      const heard = readDhcp(batch.frame(index));
      if (heard === undefined) continue;
      const type = heard.options.get(OPTION.type)?.[0];
      const mac = formatMac(heard.source);
      if (type === DHCP.discover) {
        station.discovers.push(mac);
        plug.send(batchOf([emitOffer(heard.message, heard.source)]));
      }
      const address = heard.options.get(OPTION.requestedAddress);
      if (type === DHCP.request && address !== undefined) station.requests.push({ mac, address });
    }
  });
  return station;
}

interface DhcpMessage {
  readonly source: Uint8Array;
  readonly message: Uint8Array;
  readonly options: ReadonlyMap<number, Uint8Array>;
}

/** The DHCP message to a server in a frame; undefined when it is something else, or damaged. */
function readDhcp(frame: Uint8Array): DhcpMessage | undefined {
  const ethernet = parseEthernet(frame);
  if (ethernet?.etherType !== ETHERTYPE_IPV4) return undefined;
  const ip = parseIpv4(frame, ethernet.payloadOffset);
  if (ip?.protocol !== IP_PROTOCOL_UDP) return undefined;
  const datagram = frame.slice(ip.payloadOffset, ip.payloadOffset + ip.payloadLength);
  const udp = parseUdp(datagram);
  if (udp?.destinationPort !== DHCP.server) return undefined;
  assert.ok(isUdpIntact(datagram, ip), 'the checksum is right');
  const message = datagram.slice(udp.payloadOffset);
  const options = new Map<number, Uint8Array>();
  for (let at = HEADER_BYTES + MAGIC_COOKIE.length; at < message.length && message[at] !== OPTION.end; ) {
    const end = at + 2 + message[at + 1]!;
    options.set(message[at]!, message.slice(at + 2, end));
    at = end;
  }
  return { source: ethernet.source, message, options };
}

/** The frame with our offer to who sent the DISCOVER. */
function emitOffer(discover: Uint8Array, to: Uint8Array): Uint8Array {
  const header = discover.slice(0, HEADER_BYTES); // Transaction and hardware address are the same.
  header[0] = 2; // BOOTREPLY
  header.set(OFFERED, YOUR_ADDRESS);
  header.set(OUR_ADDRESS, SERVER_ADDRESS);
  const lease = [OPTION.lease, 4, 0, 0, 14, 16, OPTION.mask, 4, 255, 255, 255, 0];
  const options = [OPTION.type, 1, DHCP.offer, OPTION.server, 4, ...OUR_ADDRESS, ...lease, OPTION.end];
  const message = Uint8Array.from([...header, ...MAGIC_COOKIE, ...options]);
  const path = { source: OUR_ADDRESS, destination: OFFERED };
  const udp = emitUdp({ sourcePort: DHCP.server, destinationPort: DHCP.client }, message, path);
  const plain = { tos: 0, identification: 1, dontFragment: true, moreFragments: false, fragmentOffset: 0, ttl: 64 };
  const ip = emitIpv4({ ...plain, ...path, protocol: IP_PROTOCOL_UDP, options: new Uint8Array(0) }, udp);
  return emitEthernet({ destination: to, source: OUR_MAC, tags: [], etherType: ETHERTYPE_IPV4 }, ip);
}
