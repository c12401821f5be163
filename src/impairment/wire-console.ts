/**
 * The management console of a wire: the commands of wirefilter(1), with its names, arguments, formats and numbers. The
 * words for people are our own.
 */
import { type CommandCall, type ConsoleCommand, commandError } from '../console/command.ts';
import { LOAD, LOGOUT } from '../console/common-commands.ts';
import type { DebugCategory } from '../console/debug.ts';
import { Interpreter } from '../console/interpreter.ts';
import type { ConsoleService } from '../console/session.ts';
import { readSeed } from './random.ts';
import { MAX_NODE_NAME, MAX_NODES, parseQuantity, QUANTITIES, type Quantity, type Settings } from './settings.ts';
import { type Direction, formatNumber, formatValue } from './value.ts';
import type { ManagedWire } from './wire.ts';

/** As the prompt has it. */
const NAME = 'VDEwf';
const NAME_COLUMN = 12;
const MARKOV_COLUMN = 18;
const LABEL_COLUMN = 7;
/** The longest time between two steps of the chain, in milliseconds. */
const MAX_MARKOV_MS = 3_600_000;
const LARGEST_NODE = 9999;

/** Steps of the Markov chain, of which a session may ask to be told. */
export const STEPS = 'markov';

const CATEGORIES: readonly DebugCategory[] = [
  { path: STEPS, tag: '8', help: 'steps of the Markov chain', format: (text) => text },
];

/** What the console is about. */
export interface WireConsoleOptions {
  readonly managed: ManagedWire;
  /** Whether frames pass both ways. */
  readonly isBidirectional: boolean;
  /** Of this package. */
  readonly version: string;
  /** Ends the wire. */
  shutdown(): void;
}

/** The console, for those who let somebody in. */
export function wireConsole(options: WireConsoleOptions): ConsoleService {
  const echo = (path: string, command: string): string => `${NAME}$  (${path}) ${command}`;
  return {
    name: NAME,
    banner: ['', `VDE wirefilter V.${options.version}`, '(vdens: compatible with wirefilter of VDE 2)'],
    interpreter: new Interpreter(NAME, wireCommands(options), echo),
    categories: CATEGORIES,
    shutdown: options.shutdown,
  };
}

/** What those are told who asked for steps of the chain. */
export function stepLine({ nodes }: Settings, from: number, to: number): string {
  const name = (node: number): string => `"${nodes[node]?.name ?? ''}"`;
  return `38${`${to}`.padStart(2, '0')} Node ${from} ${name(from)} -> ${to} ${name(to)}`;
}

/** How a quantity is set and shown. */
interface Row {
  readonly quantity: Quantity;
  /** Other names come behind the first: of two that fit a line the first is meant. */
  readonly names: readonly string[];
  readonly label: string;
  readonly help: string;
}

const ROWS: Readonly<Record<Quantity, Omit<Row, 'quantity'>>> = {
  loss: { names: ['loss'], label: 'Loss', help: 'lose frames: percent' },
  lostburst: { names: ['lostburst'], label: 'Lburst', help: 'mean length of a burst of losses' },
  delay: { names: ['delay'], label: 'Delay', help: 'delay frames: ms' },
  dup: { names: ['dup'], label: 'Dup', help: 'double frames: percent' },
  bandwidth: { names: ['bandwidth', 'band'], label: 'Bandw', help: 'bottleneck: bytes/s' },
  speed: { names: ['speed'], label: 'Speed', help: 'speed of the interface: bytes/s' },
  noise: { names: ['noise'], label: 'Noise', help: 'wrong bits in a MiB' },
  mtu: { names: ['mtu'], label: 'MTU', help: 'longest frame: bytes' },
  capacity: { names: ['chanbufsize', 'capacity'], label: 'Cap.', help: 'most that waits: bytes' },
};

const rows: readonly Row[] = QUANTITIES.map((quantity) => ({ quantity, ...ROWS[quantity] }));

/** Its commands. Their order says which is meant when a line begins with several. */
function wireCommands(options: WireConsoleOptions): readonly ConsoleCommand[] {
  const { managed } = options;
  const commands: readonly ConsoleCommand[] = [
    {
      path: 'help',
      help: 'list the commands',
      hasData: true,
      run: ({ print }) => {
        for (const line of helpLines(commands)) print(line);
      },
    },
    LOAD,
    {
      path: 'showinfo',
      syntax: 'n',
      help: 'show what is set, in state n',
      hasData: true,
      run: (call) => showInfo(options, call),
    },
    ...rows.flatMap((row) => row.names.map((path) => setCommand(managed, path, row))),
    {
      path: 'fifo',
      help: '1: frames keep their order, 0: not',
      run: ({ argument }) => {
        managed.wire.settings.isFifo = numberOf(argument === '' ? '0' : argument) !== 0;
        managed.changed();
      },
    },
    { path: 'shutdown', help: 'end the wire', run: () => 'shutdown' },
    LOGOUT,
    ...markovCommands(managed),
    ...ownCommands(managed),
  ];
  return commands;
}

function helpLines(commands: readonly ConsoleCommand[]): readonly string[] {
  const lines = commands.map(({ path, syntax, help }) => {
    const isMarkov = path.startsWith('markov') || path.includes('edge') || path === 'showcurrent';
    const typed = syntax === undefined ? path : `${path} ${syntax}`;
    return `${typed.padEnd(isMarkov ? MARKOV_COLUMN : NAME_COLUMN)} ${help}`;
  });
  return [`${'COMMAND'.padEnd(NAME_COLUMN)} HELP`, `${'-'.repeat(NAME_COLUMN)} ------------`, ...lines];
}

function setCommand(managed: ManagedWire, path: string, { quantity, help }: Row): ConsoleCommand {
  return {
    path,
    help,
    run: ({ argument }) => {
      const { settings } = managed.wire;
      const placed = parseQuantity(quantity, argument);
      if (placed === undefined) throw commandError('EINVAL', 'this is no value', argument);
      requireNode(settings, placed.node);
      settings.set(quantity, placed);
      managed.changed();
    },
  };
}

function showInfo({ managed, isBidirectional }: WireConsoleOptions, { argument, print }: CommandCall): void {
  const { wire } = managed;
  const { settings, channels } = wire;
  const number = /^\d/.test(argument) ? nodeOf(settings, argument) : settings.current;
  const { name, values } = settings.node(number);
  const last = settings.nodes.length - 1;
  print(`WireFilter: ${isBidirectional ? 'bidirectional' : 'monodirectional'}`);
  if (last > 0) print(`Node ${number} "${name}" (0,..,${last}) Markov-time ${formatNumber(settings.markovMs)}`);
  for (const { quantity, label } of rows) {
    const text = (direction: Direction): string => {
      const value = values[direction][quantity];
      return quantity === 'mtu' ? formatNumber(value.base) : formatValue(value);
    };
    const [gap, end] = quantity === 'mtu' ? ['     ', '   '] : ['   ', ''];
    print(`${label.padEnd(LABEL_COLUMN)}${sides(isBidirectional, text, gap, end)}`);
  }
  const waiting = (direction: Direction): string => `${channels[direction].waitingBytes}`;
  print(`Current Delay Queue size:   ${sides(isBidirectional, waiting, '      ', '   ')}`);
  print(`Fifoness ${settings.isFifo ? 'TRUE' : 'FALSE'}`);
  print(`Waiting packets in delay queues ${channels.LR.store.count + channels.RL.store.count}`);
}

function sides(isBoth: boolean, text: (direction: Direction) => string, gap: string, end: string): string {
  return isBoth ? `L->R ${text('LR')}${gap}R->L ${text('RL')}${end}` : text('LR');
}

function markovCommands(managed: ManagedWire): readonly ConsoleCommand[] {
  const { wire } = managed;
  const { settings } = wire;
  return [
    {
      path: 'markov-numnodes',
      syntax: 'n',
      help: 'set the number of states',
      run: ({ argument }) => {
        const count = numberOf(argument);
        if (!Number.isInteger(count) || count < 1 || count > MAX_NODES) {
          throw commandError('EINVAL', 'there can be 1 to 100 states', argument);
        }
        settings.resize(count);
        managed.changed();
      },
    },
    {
      path: 'markov-setnode',
      syntax: 'n',
      help: 'go to a state',
      run: ({ argument }) => {
        wire.goTo(nodeOf(settings, argument === '' ? '0' : argument));
        managed.changed();
      },
    },
    {
      path: 'markov-name',
      syntax: 'n,name',
      help: 'give a state a name',
      run: ({ argument }) => {
        const [, number = '', name = ''] = /^([^,]*)(?:,(.*))?$/s.exec(argument) ?? [];
        settings.node(nodeOf(settings, number)).name = name.slice(0, MAX_NODE_NAME);
      },
    },
    {
      path: 'markov-time',
      syntax: 'ms',
      help: 'set how often it takes a step',
      run: ({ argument }) => {
        const ms = numberOf(argument);
        if (!(ms > 0 && ms <= MAX_MARKOV_MS)) throw commandError('EINVAL', 'this is no time', argument);
        settings.markovMs = ms;
        wire.restartSteps();
        managed.changed();
      },
    },
    {
      path: 'setedge',
      syntax: 'n1,n2,w',
      help: 'w percent of the steps from n1 go to n2',
      run: ({ argument }) => setEdge(settings, argument),
    },
    {
      path: 'showedges',
      syntax: 'n',
      help: 'show where state n leads',
      hasData: true,
      run: ({ argument, print }) => {
        const from = argument === '' ? settings.current : nodeOf(settings, argument);
        for (const line of edgeLines(settings, from)) print(line);
      },
    },
    {
      path: 'showcurrent',
      help: 'show the current state',
      hasData: true,
      run: ({ print }) => {
        const { current, nodes } = settings;
        print(`Current Markov Node ${current} "${settings.node(current).name}" (0,..,${nodes.length - 1})`);
      },
    },
    {
      path: 'markov-debug',
      syntax: 'n',
      help: '1: be told of each step, 0: not',
      run: ({ argument, selection }) => {
        const isWanted = argument !== '' && numberOf(argument) > 0;
        if (isWanted === selection.wants(STEPS)) return;
        if (isWanted) selection.add(STEPS);
        else selection.remove(STEPS);
      },
    },
  ];
}

/** What the original has not. */
function ownCommands(managed: ManagedWire): readonly ConsoleCommand[] {
  return [
    { path: 'cut', help: 'pull the cable out', run: () => managed.cut() },
    { path: 'join', help: 'put it back', run: () => managed.join() },
    {
      path: 'clear',
      help: 'set everything back',
      run: () => {
        managed.wire.settings.clear();
        managed.changed();
      },
    },
    {
      path: 'seed',
      syntax: 'n',
      help: 'begin with the random numbers of a seed',
      run: ({ argument }) => {
        managed.wire.seed = seedOf(argument);
      },
    },
  ];
}

function seedOf(text: string): number {
  const seed = readSeed(text);
  if (seed === undefined) throw commandError('EINVAL', 'this is no seed', text);
  return seed;
}

function setEdge(settings: Settings, argument: string): void {
  const [from = '', to = '', weight = '0', extra] = argument.split(',');
  const percent = numberOf(weight);
  if (extra !== undefined || percent < 0 || percent > 100) {
    throw commandError('EINVAL', 'it is: from, to, percent', argument);
  }
  const source = nodeOf(settings, from);
  const target = nodeOf(settings, to);
  // What is left for staying is what the others leave.
  if (source === target) return;
  const { edges } = settings.node(source);
  if (percent === 0) edges.delete(target);
  else edges.set(target, percent);
}

function edgeLines(settings: Settings, from: number): readonly string[] {
  return settings.nodes.flatMap(({ name }, to) => {
    const weight = settings.weight(from, to);
    if (weight === 0) return [];
    const ends = `${`${from}`.padEnd(2)}->${`${to}`.padEnd(2)} "${settings.node(from).name}"->"${name}"`;
    return [`Edge ${ends} weigth ${formatNumber(weight)}`];
  });
}

function numberOf(text: string): number {
  const value = /^-?(\d+\.?\d*|\.\d+)$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw commandError('EINVAL', 'this is no number', text);
  return value;
}

function nodeOf(settings: Settings, text: string): number {
  const number = /^\s*\d+\s*$/.test(text) ? Number(text) : LARGEST_NODE;
  requireNode(settings, number);
  return number;
}

function requireNode(settings: Settings, number: number): void {
  if (!settings.hasNode(number)) throw commandError('EINVAL', 'there is no such state', `${number}`);
}
