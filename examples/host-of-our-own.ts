/**
 * A host without a kernel: this program takes part in a network with frames of its own.
 *
 *     [ namespace, eth0 10.0.0.1 ] ── cable ── near │ far   10.0.0.9, answered below
 *
 * A {@link MemoryPlug} has two ends. One goes into the network like any other plug; out of the other come the
 * network's frames, and what is sent into it arrives there. This host knows ARP and echo requests, which is enough
 * to be found and pinged.
 */
import { batchOf, cable, MemoryPlug, openNamespace } from '../src/index.ts';
import { formatIp, parseIp } from '../src/net/ip.ts';
import { parseMac } from '../src/net/mac.ts';
import { ARP_REPLY, ARP_REQUEST, emitArp, parseArp } from '../src/wire/arp.ts';
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, emitEthernet, parseEthernet } from '../src/wire/ethernet.ts';
import { emitIcmpEcho, ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST, parseIcmpEcho } from '../src/wire/icmp.ts';
import { emitIpv4, IP_PROTOCOL_ICMP, parseIpv4 } from '../src/wire/ipv4.ts';
import { pingCommand } from './ping-command.ts';

const OUR_MAC = parseMac('02:00:00:00:00:09');
const OUR_IP = parseIp('10.0.0.9');

await using namespace = await openNamespace({ interfaces: [{ name: 'eth0', addresses: ['10.0.0.1/24'] }] });
const [near, far] = MemoryPlug.pair('host');
cable(namespace.interfaces[0]!.plug, near);

far.start((batch) => {
  const answers: Uint8Array[] = [];
  for (let index = 0; index < batch.count; index++) {
    const answer = answerTo(batch.frame(index)); // The frame is ours to look at until this function returns.
    if (answer !== undefined) answers.push(answer);
  }
  if (answers.length > 0) far.send(batchOf(answers));
});

process.exitCode = await namespace.run(pingCommand(formatIp(OUR_IP)), { stdio: 'inherit' }).exit;

/** The frame that a host with our addresses sends back; undefined when it has nothing to say. */
function answerTo(frame: Uint8Array): Uint8Array | undefined {
  const ethernet = parseEthernet(frame);
  if (ethernet === undefined) return undefined;
  const { etherType, source, payloadOffset } = ethernet;
  const payload =
    etherType === ETHERTYPE_ARP
      ? answerToArp(frame, payloadOffset)
      : etherType === ETHERTYPE_IPV4
        ? answerToEcho(frame, payloadOffset)
        : undefined;
  if (payload === undefined) return undefined;
  return emitEthernet({ destination: source, source: OUR_MAC, tags: [], etherType }, payload);
}

function answerToArp(frame: Uint8Array, offset: number): Uint8Array | undefined {
  const arp = parseArp(frame, offset);
  if (arp?.operation !== ARP_REQUEST || !isOurs(arp.targetIp)) return undefined;
  return emitArp({
    operation: ARP_REPLY,
    senderMac: OUR_MAC,
    senderIp: OUR_IP,
    targetMac: arp.senderMac,
    targetIp: arp.senderIp,
  });
}

function answerToEcho(frame: Uint8Array, offset: number): Uint8Array | undefined {
  const ip = parseIpv4(frame, offset);
  if (ip?.protocol !== IP_PROTOCOL_ICMP || !isOurs(ip.destination)) return undefined;
  const echo = parseIcmpEcho(frame, ip.payloadOffset, ip.payloadLength);
  if (echo?.type !== ICMP_ECHO_REQUEST) return undefined;
  const header = { ...ip, ttl: 64, source: OUR_IP, destination: ip.source, options: new Uint8Array() };
  return emitIpv4(header, emitIcmpEcho({ ...echo, type: ICMP_ECHO_REPLY }));
}

function isOurs(ip: Uint8Array): boolean {
  return Buffer.compare(ip, OUR_IP) === 0;
}
