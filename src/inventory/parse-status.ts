/**
 * Reads what a process says of itself: it may be of another version than we are, so everything is looked at before it is
 * taken for what it should be. Keys that are not known are left out.
 */
import { isObject, type JsonObject } from '../control/message.ts';
import type {
  CableStatus,
  DirectionStatus,
  FilterStatus,
  ForwardStatus,
  GatewayStatus,
  InterfaceStatus,
  ItemStatus,
  LinkStatus,
  NamespaceStatus,
  PeerStatus,
  PortStatus,
  ProcessStatus,
  StationStatus,
  SwitchStatus,
} from './status.ts';

/** Reads one value; throws when it is of another kind. */
type Reader<T> = (value: unknown) => T;
/** The readers of all that an object has. */
type Shape<T> = { readonly [Key in keyof T]-?: Reader<T[Key]> };

const text: Reader<string> = (value) => (typeof value === 'string' ? value : mismatch());
const number: Reader<number> = (value) => (typeof value === 'number' ? value : mismatch());
const flag: Reader<boolean> = (value) => (typeof value === 'boolean' ? value : mismatch());

const peer: Reader<PeerStatus> = (value) => {
  const { name, pid, uid } = fieldsOf(value);
  return {
    name: text(name),
    ...(pid !== undefined && { pid: number(pid) }),
    ...(uid !== undefined && { uid: number(uid) }),
  };
};

const direction = object<DirectionStatus>({
  frames: number,
  bytes: number,
  framesPerSecond: number,
  bytesPerSecond: number,
  drops: recordOf(number),
});

const link = object<LinkStatus>({
  id: text,
  network: text,
  description: text,
  received: direction,
  sent: direction,
  impairment: listOf(text),
  isCut: flag,
});

const networkInterface = object<InterfaceStatus>({
  name: text,
  mac: text,
  mtu: number,
  isUp: flag,
  hasCarrier: flag,
  addresses: listOf(text),
  link,
  peers: listOf(peer),
  notes: listOf(text),
  isServedHere: flag,
});

const port = object<PortStatus>({
  number,
  kind: text,
  peer: (value) => (value === undefined ? undefined : peer(value)),
  link,
});

const station = object<StationStatus>({ mac: text, vlan: number, port: number, ageSeconds: number });

const forward = object<ForwardStatus>({
  id: number,
  protocol: (value) => (value === 'tcp' || value === 'udp' ? value : mismatch()),
  hostAddress: text,
  hostPort: number,
  guestAddress: text,
  guestPort: number,
});

const ITEMS: Readonly<Record<string, Reader<ItemStatus>>> = {
  namespace: object<NamespaceStatus>({
    kind: the('namespace'),
    pid: number,
    interfaces: listOf(networkInterface),
    gateways: listOf(text),
    command: listOf(text),
  }),
  switch: object<SwitchStatus>({
    kind: the('switch'),
    path: text,
    isHub: flag,
    ports: listOf(port),
    stations: listOf(station),
  }),
  gateway: object<GatewayStatus>({
    kind: the('gateway'),
    network: text,
    addresses: listOf(text),
    forwards: listOf(forward),
    flows: number,
    counters: recordOf(number),
    notes: listOf(text),
  }),
  cable: object<CableStatus>({ kind: the('cable'), links: listOf(link), peers: listOf(peer), notes: listOf(text) }),
  filter: object<FilterStatus>({ kind: the('filter'), links: listOf(link), notes: listOf(text) }),
};

const processStatus = object<ProcessStatus>({
  name: text,
  pid: number,
  command: text,
  uptimeSeconds: number,
  items: (value) => listOf((item) => item)(value).flatMap(knownItem),
});

/** The status in an answer; `undefined` when it is none. */
export function parseProcessStatus(answer: JsonObject): ProcessStatus | undefined {
  try {
    return processStatus(answer);
  } catch (error) {
    if (error instanceof Mismatch) return undefined;
    throw error;
  }
}

/** Of a later version there may be more kinds. */
function knownItem(value: unknown): readonly ItemStatus[] {
  const { kind } = fieldsOf(value);
  const read = typeof kind === 'string' && Object.hasOwn(ITEMS, kind) ? ITEMS[kind] : undefined;
  return read === undefined ? [] : [read(value)];
}

class Mismatch extends Error {}

function mismatch(): never {
  throw new Mismatch();
}

function fieldsOf(value: unknown): JsonObject {
  return isObject(value) ? value : mismatch();
}

function object<T>(shape: Shape<T>): Reader<T> {
  const readers = Object.entries(shape) as [string, Reader<unknown>][];
  return (value) => {
    const fields = fieldsOf(value);
    return Object.fromEntries(readers.map(([key, read]) => [key, read(fields[key])])) as T;
  };
}

function listOf<T>(read: Reader<T>): Reader<readonly T[]> {
  return (value) => (Array.isArray(value) ? value.map((one) => read(one)) : mismatch());
}

function recordOf<T>(read: Reader<T>): Reader<Readonly<Record<string, T>>> {
  return (value) => Object.fromEntries(Object.entries(fieldsOf(value)).map(([key, one]) => [key, read(one)]));
}

function the<T extends string>(word: T): Reader<T> {
  return (value) => (value === word ? word : mismatch());
}
