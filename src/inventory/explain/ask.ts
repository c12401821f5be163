/**
 * Questions to a process (explain-operations.ts), and their answers: it may be of another version than we are, so
 * everything is looked at before it is taken for what it should be.
 */
import { VdensError } from '../../errors.ts';
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
  const { networks } = await process.ask('explain-networks');
  return read(process, () => listOf(networks, network));
}

/**
 * Where packets to a destination go.
 *
 * @param device the interface by which they are to leave. Absent: any
 */
export async function askRoute(process: Asked, destination: string, device?: string): Promise<RouteFacts> {
  const { route } = await process.ask('explain-route', { destination, interface: device });
  return read(process, () => readRoute(fieldsOf(route)));
}

/** Whether a neighbour is there, if it shall be asked; otherwise what is known of it. */
export async function askNeighbour(
  process: Asked,
  query: { readonly interface: string; readonly address: string; readonly ask: boolean; readonly timeoutMs: number },
): Promise<NeighbourFacts> {
  const { neighbour } = await process.ask('explain-neighbour', query, query.timeoutMs + ANSWER_MS);
  return read(process, () => readNeighbour(fieldsOf(neighbour)));
}

/** All neighbours that the kernel remembers. */
export async function askNeighbours(process: Asked): Promise<readonly KnownNeighbour[]> {
  const { neighbours } = await process.ask('explain-neighbours');
  return read(process, () =>
    listOf(neighbours, ({ address, mac }) => ({ address: text(address), ...optional('mac', mac, text) })),
  );
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
  const { passage } = await process.ask('explain-passage', query);
  return passage === undefined ? undefined : read(process, () => readPassage(fieldsOf(passage)));
}

/** The VLANs of a switch, by port; none when it leaves tags alone. */
export async function askVlans(process: Asked, path: string): Promise<readonly PortVlans[]> {
  const { ports } = await process.ask('explain-vlans', { path });
  return read(process, () => listOf(ports, portVlans));
}

type Fields = Readonly<Record<string, unknown>>;

function network({ link, label, kind, identity, layers, place, namespace, isArpOff }: Fields): LinkNetwork {
  const known = text(kind);
  return {
    link: text(link),
    label: text(label),
    kind: KINDS.has(known) ? (known as NetworkKind) : 'other',
    identity: text(identity),
    layers: textsOf(layers),
    place: text(place),
    ...optional('namespace', namespace, number),
    ...(isArpOff === true ? { isArpOff } : {}),
  };
}

function readRoute({ kind, errno, interfaceName, isLocal, isForMany, gateway, source }: Fields): RouteFacts {
  if (kind === 'none') return { kind, errno: text(errno) };
  return {
    kind: 'route',
    interfaceName: text(interfaceName),
    isLocal: isLocal === true,
    isForMany: isForMany === true,
    ...optional('gateway', gateway, text),
    ...optional('source', source, text),
  };
}

function readNeighbour({ address, isAsked, before, state, mac, waitedMs }: Fields): NeighbourFacts {
  return {
    address: text(address),
    isAsked: isAsked === true,
    before: text(before),
    state: text(state),
    waitedMs: number(waitedMs),
    ...optional('mac', mac, text),
  };
}

function readPassage({ kind, label, ...rest }: Fields): OverlayFacts | GatewayFacts {
  if (kind === 'gateway') {
    return {
      kind,
      label: text(label),
      addresses: textsOf(rest['addresses']),
      rules: listOf(rest['rules'], gatewayRule),
    };
  }
  return {
    kind: 'overlay',
    label: text(label),
    place: text(rest['place']),
    ...optional('endpoint', rest['endpoint'], text),
    stationCount: number(rest['stationCount']),
    isOtherKnown: rest['isOtherKnown'] === true,
    foreignPackets: number(rest['foreignPackets']),
  };
}

function gatewayRule({ protocol, purpose, action, to }: Fields): GatewayRuleFacts {
  if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'echo') throw new Mismatch();
  return { protocol, purpose: text(purpose), action: text(action), ...optional('to', to, text) };
}

function portVlans({ number: portNumber, untaggedVlan, taggedVlans, blockedVlans, owner }: Fields): PortVlans {
  return {
    number: number(portNumber),
    ...optional('untaggedVlan', untaggedVlan, number),
    taggedVlans: numbersOf(taggedVlans),
    blockedVlans: numbersOf(blockedVlans),
    ...optional('owner', owner, text),
  };
}

class Mismatch extends Error {}

function read<T>({ name }: Asked, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    const message = `${name}: its answer makes no sense. It may be of another version: start it anew`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { value: name, errno: 'EPROTO' });
  }
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new Mismatch();
}

function number(value: unknown): number {
  if (typeof value === 'number') return value;
  throw new Mismatch();
}

function optional<Key extends string, T>(key: Key, value: unknown, parse: (value: unknown) => T): { [K in Key]?: T } {
  return value === undefined ? {} : ({ [key]: parse(value) } as { [K in Key]?: T });
}

function fieldsOf(value: unknown): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new Mismatch();
}

function listOf<T>(value: unknown, parse: (fields: Fields) => T): T[] {
  if (Array.isArray(value)) return value.map((each) => parse(fieldsOf(each)));
  throw new Mismatch();
}

function textsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(text);
  throw new Mismatch();
}

function numbersOf(value: unknown): number[] {
  if (Array.isArray(value)) return value.map(number);
  throw new Mismatch();
}
