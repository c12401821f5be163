/** Reads what a process says of itself. */
import type { JsonObject } from '../control/message.ts';
import {
  fieldsOf,
  flag,
  listOf,
  number,
  object,
  oneOf,
  optional,
  type Reader,
  recordOf,
  text,
  tryRead,
} from './readers.ts';
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

const peer = object<PeerStatus>({ name: text, pid: optional(number), uid: optional(number) });

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
  protocol: oneOf('tcp', 'udp'),
  hostAddress: text,
  hostPort: number,
  guestAddress: text,
  guestPort: number,
});

const ITEMS: Readonly<Record<string, Reader<ItemStatus>>> = {
  namespace: object<NamespaceStatus>({
    kind: oneOf('namespace'),
    pid: number,
    interfaces: listOf(networkInterface),
    gateways: listOf(text),
    command: listOf(text),
  }),
  switch: object<SwitchStatus>({
    kind: oneOf('switch'),
    path: text,
    isHub: flag,
    ports: listOf(port),
    stations: listOf(station),
  }),
  gateway: object<GatewayStatus>({
    kind: oneOf('gateway'),
    network: text,
    addresses: listOf(text),
    forwards: listOf(forward),
    flows: number,
    counters: recordOf(number),
    notes: listOf(text),
  }),
  cable: object<CableStatus>({ kind: oneOf('cable'), links: listOf(link), peers: listOf(peer), notes: listOf(text) }),
  filter: object<FilterStatus>({ kind: oneOf('filter'), links: listOf(link), notes: listOf(text) }),
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
  return tryRead(processStatus, answer);
}

/** Of a later version there may be more kinds. */
function knownItem(value: unknown): readonly ItemStatus[] {
  const { kind } = fieldsOf(value);
  const read = typeof kind === 'string' && Object.hasOwn(ITEMS, kind) ? ITEMS[kind] : undefined;
  return read === undefined ? [] : [read(value)];
}
