/** Questions to a process (explain-operations.ts), and their answers. */
import { VdensError } from '../../errors.ts';
import { fieldsOf, flag, listOf, number, object, oneOf, optional, type Reader, text, tryRead } from '../readers.ts';
import type {
  GatewayFacts,
  GatewayRuleFacts,
  NeighbourFacts,
  NetworkFacts,
  NetworkKind,
  OverlayFacts,
  RouteFacts,
} from './facts.ts';

/** Whom to ask. */
export interface Asked {
  readonly name: string;
  ask(operation: string, fields?: object, timeoutMs?: number): Promise<Readonly<Record<string, unknown>>>;
}

/** The network of a link, and which link it is. */
export interface LinkNetwork extends NetworkFacts {
  readonly link: string;
  /** The process by which its namespace is joined, where it is in one: links of several may have the same name. */
  readonly namespace?: number;
  /** Whether it neither asks for neighbours nor answers for itself. */
  readonly isArpOff?: boolean;
}

/** A port of a switch that looks at tags. */
export interface PortVlans {
  readonly number: number;
  /** Absent: no frames pass without a tag. */
  readonly untaggedVlan?: number;
  readonly taggedVlans: readonly number[];
  readonly blockedVlans: readonly number[];
  /** Whom it is kept for. */
  readonly owner?: string;
}

/** A neighbour that the kernel remembers. */
export interface KnownNeighbour {
  readonly address: string;
  readonly mac?: string;
}

/** What comes on top of a time that it may take until the answer is here, in milliseconds. */
const ANSWER_MS = 5000;

const KINDS: ReadonlySet<string> = new Set<NetworkKind>([
  ...(['switch', 'overlay', 'line', 'gateway', 'interface', 'stream', 'nothing', 'other'] as const),
]);

/** What its links are plugged into. */
export async function askNetworks(process: Asked): Promise<readonly LinkNetwork[]> {
  return readAnswer(process, listOf(network), (await process.ask('explain-networks'))['networks']);
}

/**
 * Where packets to a destination go.
 *
 * @param device the interface by which they are to leave. Absent: any
 */
export async function askRoute(process: Asked, destination: string, device?: string): Promise<RouteFacts> {
  const answer = await process.ask('explain-route', { destination, interface: device });
  return readAnswer(process, route, answer['route']);
}

/** Whether a neighbour is there, if it shall be asked; otherwise what is known of it. */
export async function askNeighbour(
  process: Asked,
  query: { readonly interface: string; readonly address: string; readonly ask: boolean; readonly timeoutMs: number },
): Promise<NeighbourFacts> {
  const answer = await process.ask('explain-neighbour', query, query.timeoutMs + ANSWER_MS);
  return readAnswer(process, neighbour, answer['neighbour']);
}

/** All neighbours that the kernel remembers. */
export async function askNeighbours(process: Asked): Promise<readonly KnownNeighbour[]> {
  return readAnswer(process, listOf(knownNeighbour), (await process.ask('explain-neighbours'))['neighbours']);
}

/** Whether packets of others are handed on. */
export async function askForwarding(process: Asked, address: string): Promise<boolean | undefined> {
  const { isForwarding } = await process.ask('explain-forwarding', { address });
  return typeof isForwarding === 'boolean' ? isForwarding : undefined;
}

/** What is known of the network of a link; nothing of most. */
export async function askPassage(
  process: Asked,
  query: { readonly link: string; readonly mac?: string | undefined; readonly destination?: string | undefined },
): Promise<OverlayFacts | GatewayFacts | undefined> {
  const { passage: told } = await process.ask('explain-passage', query);
  return told === undefined ? undefined : readAnswer(process, passage, told);
}

/** The VLANs of a switch, by port; none when it leaves tags alone. */
export async function askVlans(process: Asked, path: string): Promise<readonly PortVlans[]> {
  return readAnswer(process, listOf(portVlans), (await process.ask('explain-vlans', { path }))['ports']);
}

const network = object<LinkNetwork>({
  link: text,
  label: text,
  kind: (value) => (KINDS.has(text(value)) ? (value as NetworkKind) : 'other'),
  identity: text,
  layers: listOf(text),
  place: text,
  namespace: optional(number),
  isArpOff: optional(flag),
});

const route: Reader<RouteFacts> = (value) =>
  fieldsOf(value)['kind'] === 'none'
    ? object<Extract<RouteFacts, { kind: 'none' }>>({ kind: oneOf('none'), errno: text })(value)
    : object<Extract<RouteFacts, { kind: 'route' }>>({
        kind: oneOf('route'),
        interfaceName: text,
        isLocal: flag,
        isForMany: flag,
        gateway: optional(text),
        source: optional(text),
      })(value);

const neighbour = object<NeighbourFacts>({
  address: text,
  isAsked: flag,
  before: text,
  state: text,
  waitedMs: number,
  mac: optional(text),
});

const knownNeighbour = object<KnownNeighbour>({ address: text, mac: optional(text) });

const gatewayRule = object<GatewayRuleFacts>({
  protocol: oneOf('tcp', 'udp', 'echo'),
  purpose: text,
  action: text,
  to: optional(text),
});

const gateway = object<GatewayFacts>({
  kind: oneOf('gateway'),
  label: text,
  addresses: listOf(text),
  rules: listOf(gatewayRule),
});

const overlay = object<OverlayFacts>({
  kind: oneOf('overlay'),
  label: text,
  place: text,
  endpoint: optional(text),
  stationCount: number,
  isOtherKnown: flag,
  foreignPackets: number,
});

const passage: Reader<OverlayFacts | GatewayFacts> = (value) =>
  fieldsOf(value)['kind'] === 'gateway' ? gateway(value) : overlay(value);

const portVlans = object<PortVlans>({
  number,
  untaggedVlan: optional(number),
  taggedVlans: listOf(number),
  blockedVlans: listOf(number),
  owner: optional(text),
});

function readAnswer<T>({ name }: Asked, read: Reader<T>, value: unknown): T {
  const answer = tryRead(read, value);
  if (answer !== undefined) return answer;
  const message = `${name}: its answer makes no sense. It may be of another version: start it anew`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { value: name, errno: 'EPROTO' });
}
