/**
 * What `vde switch` shows: a table that fits the terminal, and a report for people and for awk(1).
 *
 * `in` is what came into the switch at a port, `out` what left it there.
 */
import { DROP_REASONS, type DropReason } from '../plugs/counters.ts';
import type { ForwardingEntry } from '../switch/switch.ts';
import { printable } from './standard-streams.ts';
import { cutToWidth, formatDuration, formatQuantity } from './text-table.ts';

/** One direction of a port. */
export interface DirectionStatus {
  readonly frames: number;
  readonly bytes: number;
  /** Frames, by reason. */
  readonly drops: Partial<Record<DropReason, number>>;
}

/** A port, at one moment. */
export interface PortStatus {
  readonly number: number;
  /** What its frames come from: `tap` (handed over), `socket`, `program`. */
  readonly kind: string;
  /** What the client says of itself. */
  readonly description: string;
  readonly in: DirectionStatus;
  readonly out: DirectionStatus;
}

/** A switch, at one moment. */
export interface SegmentStatus {
  readonly path: string;
  readonly isHub: boolean;
  readonly stationCount: number;
  readonly uptimeSeconds: number;
  /** By number. */
  readonly ports: readonly PortStatus[];
}

/** What a terminal has room for. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A column of the table; numbers are set to the right. */
interface Column {
  readonly title: string;
  readonly isText?: boolean;
  /** Those with the highest number are left out first where there is no room. */
  readonly rank: number;
  readonly value: (port: PortStatus, before: PortStatus | undefined, seconds: number) => string;
}

/** What the peer's description is to have room for before another column is left out. */
const MIN_PEER_COLUMNS = 14;
/** `999`, `12.3k`. */
const NUMBER_COLUMNS = 5;
const GAP = 1;

const COLUMNS: readonly Column[] = [
  { title: 'port', rank: 0, value: ({ number }) => String(number) },
  { title: 'kind   ', isText: true, rank: 0, value: ({ kind }) => kind },
  perSecond('in/s', 'in', 'frames', 1),
  perSecond('in B/s', 'in', 'bytes', 0),
  perSecond('out/s', 'out', 'frames', 1),
  perSecond('out B/s', 'out', 'bytes', 0),
  { title: 'in', rank: 3, value: (port) => formatQuantity(port.in.frames) },
  { title: 'in B', rank: 2, value: (port) => formatQuantity(port.in.bytes) },
  { title: 'out', rank: 3, value: (port) => formatQuantity(port.out.frames) },
  { title: 'out B', rank: 2, value: (port) => formatQuantity(port.out.bytes) },
];

function perSecond(title: string, direction: 'in' | 'out', what: 'frames' | 'bytes', rank: number): Column {
  const value: Column['value'] = (port, before, seconds) => {
    const [now, then = 0] = [port[direction][what], before?.[direction][what]];
    // Fewer than before: somebody else is at the port.
    return formatQuantity(Math.round((now < then ? now : now - then) / seconds));
  };
  return { title, rank, value };
}

/**
 * The lines of the table, no longer and no more than the terminal has room for with a line to spare.
 *
 * @param before the switch at the time that rates count from
 */
export function formatTable(status: SegmentStatus, before: SegmentStatus, size: TerminalSize): string[] {
  const { ports, path } = status;
  const lines = [formatTitle(status), ''];
  if (ports.length === 0) lines.push(`Nobody is here yet. Join with: vdens ${printable(path)}`);
  else lines.push(...portLines(status, before, size));
  return lines.slice(0, Math.max(size.rows - 1, 1)).map((line) => cutToWidth(line, size.columns - 1));
}

function portLines({ ports, uptimeSeconds }: SegmentStatus, before: SegmentStatus, size: TerminalSize): string[] {
  // The title, the line below it, the heading, and the line below the table.
  const room = Math.max(size.rows - 4, 1);
  const shown = ports.length <= room ? ports : ports.slice(0, Math.max(room - 1, 0));
  const drops = ports.map(formatDrops);
  const isDropping = drops.some((text) => text !== NO_DROPS);
  const dropColumns = isDropping ? Math.max('dropped'.length, ...drops.map((text) => text.length)) + GAP : 0;
  const columns = fittingColumns(size.columns - dropColumns - MIN_PEER_COLUMNS);
  const earlier = new Map(before.ports.map((port) => [port.number, port]));
  const seconds = Math.max(uptimeSeconds - before.uptimeSeconds, 0.001);
  const rows = shown.map((port, index) => [
    ...columns.map(({ value }) => value(port, earlier.get(port.number), seconds)),
    ...(isDropping ? [drops[index]!] : []),
    port.description,
  ]);
  const isText = [...columns.map((column) => column.isText === true), ...(isDropping ? [true] : []), true];
  const heading = [...columns.map(({ title }) => title), ...(isDropping ? ['dropped'] : []), 'peer'];
  const widths = [...columns.map(widthOf), ...(isDropping ? [dropColumns - GAP] : []), 0];
  const lines = [heading, ...rows].map((cells) => joinCells(cells, widths, isText));
  const hidden = ports.length - shown.length;
  return hidden === 0 ? lines : [...lines, `… and ${hidden} more: kill -USR1 ${process.pid} lists all`];
}

function joinCells(cells: readonly string[], widths: readonly number[], isText: readonly boolean[]): string {
  const padded = cells.map((cell, i) => (isText[i] === true ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)));
  return padded.join(' '.repeat(GAP)).trimEnd();
}

function fittingColumns(room: number): readonly Column[] {
  for (let rank = 3; rank > 0; rank--) {
    const columns = COLUMNS.filter((column) => column.rank <= rank);
    if (columns.reduce((sum, column) => sum + widthOf(column) + GAP, 0) <= room) return columns;
  }
  return COLUMNS.filter(({ rank }) => rank === 0);
}

function widthOf({ title, isText }: Column): number {
  return isText === true ? title.length : Math.max(title.length, title === 'port' ? 0 : NUMBER_COLUMNS);
}

/** Everything about the switch, as text for the standard error: fields in columns, the description last. */
export function formatReport(status: SegmentStatus, table: readonly ForwardingEntry[]): string {
  const heading = ['# port', 'kind', 'in-frames', 'in-bytes', 'out-frames', 'out-bytes', 'dropped', 'description'];
  const ports = status.ports.map((port) => [
    `port ${port.number}`,
    port.kind,
    ...[port.in.frames, port.in.bytes, port.out.frames, port.out.bytes].map(String),
    formatDrops(port),
    port.description,
  ]);
  const stations = table.map(({ mac, vlan, port, ageSeconds }) => [
    `station ${mac}`,
    String(vlan),
    String(port),
    ageSeconds.toFixed(1),
  ]);
  return [
    `# ${formatTitle(status)}`,
    ...alignRows([heading, ...ports]),
    ...alignRows([['# station', 'vlan', 'port', 'age-seconds'], ...stations]),
    '',
  ].join('\n');
}

/** Columns as wide as their widest cell. */
function alignRows(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => rows.reduce((widest, row) => Math.max(widest, row[i]!.length), 0));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join(' ')
      .trimEnd(),
  );
}

function formatTitle({ path, isHub, ports, stationCount, uptimeSeconds }: SegmentStatus): string {
  // A hub does not look at who is where.
  const stations = isHub ? [] : [formatNumber(stationCount, 'station')];
  const facts = [isHub ? 'hub' : 'switch', formatNumber(ports.length, 'port'), ...stations];
  return `${printable(path)}: ${facts.join(', ')}, up ${formatDuration(uptimeSeconds)}`;
}

function formatNumber(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

const NO_DROPS = '-';

/** Such as `in:too-short=1,out:peer-slow=12`; `-` when nothing was dropped. */
function formatDrops(port: PortStatus): string {
  const parts = (['in', 'out'] as const).flatMap((direction) => {
    const { drops } = port[direction];
    const reasons = DROP_REASONS.filter((reason) => drops[reason] !== undefined);
    return reasons.map((reason) => `${direction}:${reason}=${drops[reason]}`);
  });
  return parts.length === 0 ? NO_DROPS : parts.join(',');
}
