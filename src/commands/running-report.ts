/**
 * What runs, as `vde ls` and `vde top` show it: a line for each thing, or for each place at which frames pass.
 *
 * Everything that processes say of themselves is made printable here.
 */
import {
  type DirectionStatus,
  type InterfaceStatus,
  type ItemStatus,
  type LinkStatus,
  linksOf,
  type PeerStatus,
  type ProcessStatus,
} from '../inventory/status.ts';
import { printable } from './standard-streams.ts';
import { formatColumns, formatDuration, formatQuantity, type TableColumn } from './text-table.ts';
import type { SortKey } from './vde-top-options.ts';

/** A process that was found. */
export interface SeenProcess {
  readonly name: string;
  /** `undefined` when it did not even say that. */
  readonly pid: number | undefined;
  /** What it says of itself, or why it says nothing. */
  readonly answer: ProcessStatus | string;
}

/** What frames did at a link, or at all of them together. */
interface Traffic {
  readonly framesIn: number;
  readonly bytesIn: number;
  readonly framesOut: number;
  readonly bytesOut: number;
  /** Frames that were dropped. */
  readonly dropped: number;
}

/** A line of `vde ls`. */
interface ListRow {
  readonly name: string;
  readonly pid: string;
  readonly kind: string;
  readonly network: string;
  readonly addresses: string;
  readonly peers: string;
  readonly up: string;
  readonly traffic: Traffic | undefined;
}

const NOTHING = '-';

const LIST_COLUMNS: readonly TableColumn<ListRow>[] = [
  { title: 'name', isText: true, value: ({ name }) => name },
  { title: 'pid', rank: 5, value: ({ pid }) => pid },
  { title: 'kind', isText: true, value: ({ kind }) => kind },
  { title: 'address', isText: true, rank: 1, value: ({ addresses }) => addresses },
  { title: 'peers', rank: 3, value: ({ peers }) => peers },
  traffic('in/s', 6, ({ framesIn }) => framesIn),
  traffic('in B/s', 2, ({ bytesIn }) => bytesIn),
  traffic('out/s', 6, ({ framesOut }) => framesOut),
  traffic('out B/s', 2, ({ bytesOut }) => bytesOut),
  traffic('dropped', 4, ({ dropped }) => dropped),
  { title: 'up', isText: true, rank: 7, value: ({ up }) => up },
  { title: 'network', isText: true, value: ({ network }) => network },
];

function traffic(title: string, rank: number, figure: (traffic: Traffic) => number): TableColumn<ListRow> {
  return {
    title,
    rank,
    value: (row) => (row.traffic === undefined ? NOTHING : formatQuantity(Math.round(figure(row.traffic)))),
  };
}

/**
 * The table of `vde ls`: a heading and a line for each interface, switch, gateway, cable.
 *
 * @param room columns of the terminal, if it is for one
 */
export function formatList(processes: readonly SeenProcess[], room: number | undefined): string[] {
  return formatColumns(LIST_COLUMNS, processes.flatMap(listRows), room);
}

function listRows({ name, pid, answer }: SeenProcess): readonly ListRow[] {
  const common = { name: printable(name), pid: pid === undefined ? '?' : String(pid) };
  const unknown = { addresses: NOTHING, peers: NOTHING, up: NOTHING, traffic: undefined };
  if (typeof answer === 'string') return [{ ...common, ...unknown, kind: '?', network: printable(answer) }];
  const up = formatDuration(answer.uptimeSeconds);
  return answer.items.flatMap((item) => itemRows(item).map((row) => ({ ...unknown, ...row, ...common, up })));
}

type ItemRow = Pick<ListRow, 'kind' | 'network'> & Partial<ListRow>;

function itemRows(item: ItemStatus): readonly ItemRow[] {
  const { kind } = item;
  switch (item.kind) {
    case 'namespace':
      if (item.interfaces.length === 0) return [{ kind, network: 'no' }];
      return item.interfaces.map((found) => {
        const { link, peers, isServedHere } = found;
        return {
          kind,
          network: `${printable(link.network)}${isServedHere ? ' (served here)' : ''}${stateOf(link)}`,
          addresses: printable(describeInterface(found)),
          peers: String(peers.length),
          traffic: trafficOf([link]),
        };
      });
    case 'switch': {
      const links = item.ports.map(({ link }) => link);
      const network = `${printable(item.path)}${item.isHub ? ' (hub)' : ''}`;
      return [{ kind, network, peers: String(links.length), traffic: trafficOf(links) }];
    }
    case 'gateway':
      return [{ kind, network: printable(item.network), addresses: printable(item.addresses.join(' ')) }];
    default: {
      const [seen] = item.links;
      const peers: readonly PeerStatus[] = 'peers' in item ? item.peers : [];
      const network = item.links.map((link) => `${printable(link.network)}${stateOf(link)}`).join(' = ');
      const traffic = seen === undefined ? undefined : trafficOf([seen]);
      return [{ kind, network, peers: String(peers.length), traffic }];
    }
  }
}

/** Addresses that are shown of an interface. */
const MAX_ADDRESSES_SHOWN = 4;

function describeInterface({ name, mac, link, addresses, isUp, hasCarrier }: InterfaceStatus): string {
  // By its first name it is known to all other commands.
  const wasCalled = name === link.id ? [] : [`(was ${link.id})`];
  return [name, ...wasCalled, ...shownAddresses(addresses), ...condition(mac !== '', isUp, hasCarrier)].join(' ');
}

/** What the kernel gave by itself is left out where there is something else. */
function shownAddresses(addresses: readonly string[]): readonly string[] {
  const chosen = addresses.filter((address) => !/^fe[89ab]/i.test(address));
  const shown = chosen.length > 0 ? chosen : addresses;
  const more = shown.length - MAX_ADDRESSES_SHOWN;
  return more <= 0 ? shown : [...shown.slice(0, MAX_ADDRESSES_SHOWN), `… and ${more} more`];
}

function condition(isThere: boolean, isUp: boolean, hasCarrier: boolean): readonly string[] {
  if (!isThere) return ['(gone)'];
  if (!isUp) return ['(down)'];
  return hasCarrier ? [] : ['(no carrier)'];
}

/** What was done to it on purpose. */
function stateOf({ impairment, isCut }: LinkStatus): string {
  const parts = [...(isCut ? ['cut'] : []), ...impairment.map(printable)];
  return parts.length === 0 ? '' : ` [${parts.join(' ')}]`;
}

function trafficOf(links: readonly LinkStatus[]): Traffic {
  const sum = (figure: (link: LinkStatus) => number): number => links.reduce((total, link) => total + figure(link), 0);
  return {
    framesIn: sum(({ received }) => received.framesPerSecond),
    bytesIn: sum(({ received }) => received.bytesPerSecond),
    framesOut: sum(({ sent }) => sent.framesPerSecond),
    bytesOut: sum(({ sent }) => sent.bytesPerSecond),
    dropped: sum(({ received, sent }) => countDrops(received) + countDrops(sent)),
  };
}

function countDrops({ drops }: DirectionStatus): number {
  return Object.values(drops).reduce((sum, frames) => sum + frames, 0);
}

/** A place at which frames pass, and how many since the look before. */
export interface LiveLink {
  readonly name: string;
  readonly link: LinkStatus;
  readonly traffic: Traffic;
}

/** Follows what passes at each link from look to look. */
export class LinkRates {
  #before: ReadonlyMap<string, Sample> = new Map();

  /** All links of these processes; rates of those that were not there before are what their process says. */
  look(processes: readonly SeenProcess[]): LiveLink[] {
    const now = new Map<string, Sample>();
    const found = processes.flatMap(({ name, pid, answer }) => {
      if (typeof answer === 'string') return [];
      return answer.items.flatMap((item, index) =>
        linksOf(item).map((link): LiveLink => {
          const key = `${pid} ${index} ${item.kind} ${link.id}`;
          const sample = { link, at: answer.uptimeSeconds };
          now.set(key, sample);
          return { name, link, traffic: between(this.#before.get(key), sample) };
        }),
      );
    });
    this.#before = now;
    return found;
  }
}

/** A link at a moment of its process, in seconds. */
interface Sample {
  readonly link: LinkStatus;
  readonly at: number;
}

/** Shorter times than this, in seconds, say nothing about a rate. */
const SHORTEST_SECONDS = 0.05;

function between(before: Sample | undefined, { link, at }: Sample): Traffic {
  if (before === undefined || at - before.at < SHORTEST_SECONDS) return trafficOf([link]);
  const rate = (direction: 'received' | 'sent', what: 'frames' | 'bytes'): number => {
    const [now, then] = [link[direction][what], before.link[direction][what]];
    // Fewer than before: somebody else is there now.
    return (now < then ? now : now - then) / (at - before.at);
  };
  return {
    framesIn: rate('received', 'frames'),
    bytesIn: rate('received', 'bytes'),
    framesOut: rate('sent', 'frames'),
    bytesOut: rate('sent', 'bytes'),
    dropped: countDrops(link.received) + countDrops(link.sent),
  };
}

/** In the order that was asked for; what is equal stays in that of names. */
export function sortLinks(links: readonly LiveLink[], key: SortKey, isReversed: boolean): LiveLink[] {
  const figures: Readonly<Record<Exclude<SortKey, 'name'>, (traffic: Traffic) => number>> = {
    rate: ({ bytesIn, bytesOut }) => bytesIn + bytesOut,
    in: ({ bytesIn }) => bytesIn,
    out: ({ bytesOut }) => bytesOut,
    dropped: ({ dropped }) => dropped,
  };
  const named = links.toSorted((a, b) => compareNames(a, b));
  const sorted = key === 'name' ? named : named.sort((a, b) => figures[key](b.traffic) - figures[key](a.traffic));
  return isReversed ? sorted.reverse() : sorted;
}

function compareNames(a: LiveLink, b: LiveLink): number {
  return (
    a.name.localeCompare(b.name, 'en', { numeric: true }) || a.link.id.localeCompare(b.link.id, 'en', { numeric: true })
  );
}

const LINK_COLUMNS: readonly TableColumn<LiveLink>[] = [
  { title: 'name', isText: true, value: ({ name }) => printable(name) },
  { title: 'link', isText: true, value: ({ link }) => printable(link.id) },
  live('in/s', 2, ({ framesIn }) => framesIn),
  live('in B/s', 0, ({ bytesIn }) => bytesIn),
  live('out/s', 2, ({ framesOut }) => framesOut),
  live('out B/s', 0, ({ bytesOut }) => bytesOut),
  { title: 'in B', rank: 3, value: ({ link }) => formatQuantity(link.received.bytes) },
  { title: 'out B', rank: 3, value: ({ link }) => formatQuantity(link.sent.bytes) },
  { title: 'dropped', isText: true, rank: 1, value: ({ link }) => formatDrops(link) },
  { title: 'network', isText: true, value: ({ link }) => networkOf(link) },
];

function live(title: string, rank: number, figure: (traffic: Traffic) => number): TableColumn<LiveLink> {
  return { title, rank, value: ({ traffic: now }) => formatQuantity(Math.round(figure(now))) };
}

/** The table of `vde top`, a line for each link, in this order. */
export function formatLinks(links: readonly LiveLink[], room: number | undefined): string[] {
  return formatColumns(LINK_COLUMNS, links, room);
}

/** Such as `in:too-short=1,out:peer-slow=12`; `-` when nothing was dropped. */
function formatDrops({ received, sent }: LinkStatus): string {
  const parts = Object.entries({ in: received.drops, out: sent.drops }).flatMap(([direction, drops]) =>
    Object.entries(drops).map(([reason, frames]) => `${direction}:${printable(reason)}=${frames}`),
  );
  return parts.length === 0 ? NOTHING : parts.join(',');
}

function networkOf(link: LinkStatus): string {
  const peer = link.description === '' || link.description === link.network ? '' : ` ${printable(link.description)}`;
  return `${printable(link.network)}${peer}${stateOf(link)}`;
}
