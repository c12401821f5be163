/**
 * The typed door to the C addon, and where the `launch` helper lies.
 *
 * Functions are one system call or one piece of byte work each. Those that end in a number return what
 * the call returned, or `-errno`; `systemError` puts such a number into words. Programmer errors (a
 * wrong type, a slot outside its arena) throw a TypeError or RangeError.
 */
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { VdensError } from '../errors.ts';
import { addonPath } from './native-directory.ts';

export { foreignPath, launchPath } from './native-directory.ts';

const EBADFD = 77;

/** What the addon exports; native/io/*.c documents each function where it is defined. */
export interface Native {
  reactorOpen(callback: () => void): number;
  reactorHold(hold: number): void;
  reactorWatch(epoll: number, operation: number, fd: number, token: number, events: number): number;
  reactorWait(ready: Int32Array): number;

  tapAttach(fd: number, name: string): number;
  tapSetOffload(fd: number, flags: number): number;
  tapSetCarrier(fd: number, on: number): number;
  tapCheck(fd: number): number;
  tapReadBatch(fd: number, arena: Uint8Array, slots: Int32Array, largest: number): number;
  tapWriteBatch(
    fd: number,
    arena: Uint8Array,
    slots: Int32Array,
    count: number,
    join: number,
    results: Int32Array,
  ): number;

  wireAttach(fd: number, name: string): number;
  wireReadBatch(fd: number, arena: Uint8Array, slots: Int32Array, largest: number, lost: Int32Array): number;
  interfaceIndex(name: string): number;

  serialConfigure(fd: number, speed: number, before: Uint8Array): number;
  serialRestore(fd: number, before: Uint8Array): number;
  socketKind(fd: number, words: Int32Array): number;

  receiveBatch(fd: number, arena: Uint8Array, slots: Int32Array, stride: number): number;
  sendBatch(fd: number, arena: Uint8Array, slots: Int32Array, first: number, count: number): number;

  writeFramed(
    fd: number,
    arena: Uint8Array,
    slots: Int32Array,
    first: number,
    count: number,
    progress: Int32Array,
  ): number;

  datapathLetOthersFirst(): void;
  fabricOpen(tableSize: number, seed: number, expireMs: number): number;
  fabricNotice(fabric: number): number;
  fabricAddPort(
    fabric: number,
    counters: Float64Array,
    group: number,
    untagged: number,
    tagged: Uint8Array,
    closed: Uint8Array,
  ): number;
  fabricAttach(port: number, fd: number, flags: number, maxFrameBytes: number, counters: Float64Array): number;
  fabricDetach(port: number): void;
  fabricRemovePort(port: number): void;
  fabricSend(port: number, arena: Uint8Array, slots: Int32Array, count: number): number;
  fabricTake(port: number, arena: Uint8Array, slots: Int32Array): number;
  fabricReports(fabric: number, words: Int32Array): number;
  fabricTable(fabric: number, words: Int32Array): number;
  fabricCount(fabric: number): number;
  fabricAdvance(fabric: number, ms: number): void;
  fabricConfigure(fabric: number, tableSize: number, expireMs: number, persistMs: number, flags: number): number;
  fabricSetVlans(port: number, untagged: number, tagged: Uint8Array, closed: Uint8Array): number;
  fabricSendOut(port: number, arena: Uint8Array, slots: Int32Array, count: number): void;
  fabricControl(fabric: number, words: Int32Array, bytes: Uint8Array): number;
  fabricForget(fabric: number, port: number, vlan: number): void;
  fabricClose(fabric: number): void;

  underlayOpen(unicast: number, multicast: number, segments: number): number;
  underlayRefresh(underlay: number): void;
  underlayClose(underlay: number): number;
  tunnelOpen(
    underlay: number,
    header: Uint8Array,
    flags: number,
    port: number,
    tableSize: number,
    seed: number,
    expireMs: number,
  ): number;
  tunnelSetTargets(tunnel: number, addresses: Uint8Array): number;
  tunnelSetFit(tunnel: number, bytes: number): void;
  tunnelNotice(tunnel: number): number;
  tunnelReports(tunnel: number, words: Int32Array): void;
  tunnelListen(tunnel: number, bits: number): void;
  tunnelStations(tunnel: number, words: Int32Array, addresses: Uint8Array): number;
  tunnelAdvance(tunnel: number, ms: number): void;
  tunnelAnnounce(tunnel: number): void;
  tunnelClose(tunnel: number): number;

  gatewayOpen(mostFlows: number, mac: Uint8Array, mtu: number, counters: Float64Array): number;
  gatewayConfigure(gateway: number, own: Uint8Array, networks: Uint8Array): void;
  gatewaySetRules(gateway: number, rules: Uint8Array): number;
  gatewayRuleCounts(gateway: number, words: Int32Array): number;
  gatewayNotice(gateway: number): number;
  gatewayTake(gateway: number, arena: Uint8Array, slots: Int32Array): number;
  gatewayEvents(gateway: number, words: Int32Array): number;
  gatewaySend(gateway: number, arena: Uint8Array, slots: Int32Array, count: number): void;
  gatewayLearn(gateway: number, address: Uint8Array, mac: Uint8Array): void;
  gatewayAdopt(gateway: number, token: number, fd: number): number;
  gatewayForward(gateway: number, isUdp: number, fd: number, guest: Uint8Array, port: number): number;
  gatewayUnforward(gateway: number, forward: number): void;
  gatewayFlows(gateway: number): number;
  gatewayClose(gateway: number): number;

  captureMake(bytes: number, mode: number): number;
  captureNotice(): number;
  captureOpen(memory: number, notice: number): number;
  captureClose(ring: number): void;
  captureStart(
    counters: Float64Array,
    ring: number,
    index: number,
    snap: number,
    flags: number,
    others: readonly Float64Array[],
  ): number;
  captureStop(counters: Float64Array, ring: number, index: number): void;
  captureRecord(counters: Float64Array, isSent: number, arena: Uint8Array, slots: Int32Array, count: number): void;
  captureWrite(ring: number, block: Uint8Array): number;
  captureMap(memory: number): ArrayBuffer | undefined;
  captureState(ring: number, words: Float64Array): void;
  captureConsume(ring: number, bytes: number): void;
  captureAwait(ring: number, bytes: number): number;
  captureCounts(ring: number, index: number, counts: Float64Array): void;
  captureCopy(ring: number, from: number, end: number, bytes: Uint8Array, words: Float64Array): void;

  timerOpen(): number;
  timerSet(fd: number, microseconds: number): number;

  memoryOpen(size: number): number;
  memoryMap(fd: number, size: number): ArrayBuffer | undefined;

  openSocket(domain: number, type: number, protocol: number): number;
  openSocketPair(type: number, ends: Int32Array): number;
  openPipe(ends: Int32Array): number;
  bindSocket(fd: number, address: Uint8Array): number;
  connectSocket(fd: number, address: Uint8Array): number;
  listen(fd: number, backlog: number): number;
  accept(fd: number): number;
  peerCredentials(fd: number, credentials: Int32Array): number;
  setSocketOption(fd: number, level: number, name: number, value: Uint8Array): number;
  getSocketOption(fd: number, level: number, name: number, buffer: Uint8Array): number;
  socketName(fd: number, buffer: Uint8Array): number;
  lockDescriptor(fd: number): number;
  send(fd: number, bytes: Uint8Array): number;
  receive(fd: number, buffer: Uint8Array): number;
  sendTo(fd: number, bytes: Uint8Array, address: Uint8Array): number;
  receivePacket(fd: number, buffer: Uint8Array, address: Uint8Array, words: Int32Array): number;
  readInto(fd: number, buffer: Uint8Array, offset: number): number;
  receiveDescriptors(fd: number, buffer: Uint8Array, descriptors: Int32Array): number;
  sendDescriptors(fd: number, bytes: Uint8Array, descriptors: Int32Array): number;
  duplicateDescriptor(fd: number): number;
  shutdownWriting(fd: number): number;
  setNonBlocking(fd: number): number;
  isWritable(fd: number): number;
  closeDescriptor(fd: number): number;

  becomeProgram(path: string, args: readonly string[]): number;
  becomeCommand(words: readonly string[], descriptors: Int32Array, inheritance: Uint32Array): number;
  processGroup(): number;
  leadProcessGroup(): number;
  limitOpenFiles(files: number): number;
  endProcess(status: number): never;
  scheduleAsBatch(): number;
  replaceDescriptor(from: number, onto: number): number;

  getCapabilities(words: Uint32Array): number;
  setCapabilities(words: Uint32Array): number;
  dropAmbient(capability: number): number;
  hasBounding(capability: number): number;
  dropBounding(capability: number): number;
  setNoNewPrivileges(): number;

  segmentBatch(
    arena: Uint8Array,
    slots: Int32Array,
    first: number,
    count: number,
    outArena: Uint8Array,
    outSlots: Int32Array,
    maxFrameBytes: number,
    result: Uint32Array,
  ): void;
  joinBatch(arena: Uint8Array, slots: Int32Array, count: number, outArena: Uint8Array, outSlots: Int32Array): number;
  checksum(bytes: Uint8Array, offset: number, length: number, initial: number): number;
}

export const native: Native = load();

function load(): Native {
  const module: { exports: unknown } = { exports: {} };
  try {
    process.dlopen(module, addonPath);
  } catch (cause) {
    const problem = existsSync(addonPath)
      ? `cannot load ${addonPath} (${(cause as Error).message.split('\n')[0]})`
      : `the native part is not built for this platform (${process.platform}-${process.arch}): ${addonPath} is missing`;
    throw new VdensError('ERR_NATIVE', `${problem}. In a checkout, run: npm run build`, { cause });
  }
  return module.exports as Native;
}

/** The kernel's name of a negative return value, such as `ECONNREFUSED`. */
export function errnoName(result: number): string {
  // libuv does not know this one, which a TAP descriptor gives whose interface was deleted.
  return result === -EBADFD ? 'EBADFD' : getSystemErrorName(result);
}

/** -EAGAIN: nothing there, or no room, right now. */
export const AGAIN: number = -constants.errno.EAGAIN;
