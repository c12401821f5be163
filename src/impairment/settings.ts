/**
 * What is the matter with a wire: values for each direction, in each node of a Markov chain (one node, as long as nobody
 * asks for more).
 */
import { type Direction, isZero, type PlacedValue, parseValue, type Value, ZERO } from './value.ts';

/** What can be the matter, in the order in which `showinfo` lists it. */
export const QUANTITIES = [
  /** Percent of the frames. */
  'loss',
  /** Mean length of a burst of lost frames; 0: each is lost or not on its own. */
  'lostburst',
  /** Milliseconds. */
  'delay',
  /** Percent of the frames that come once more, of those once more again. */
  'dup',
  /** Bytes per second of a bottleneck further on: frames wait there. */
  'bandwidth',
  /** Bytes per second of the interface: who sends has to wait. */
  'speed',
  /** Bits that are wrong in 2^20 bytes. */
  'noise',
  /** The longest frame, in bytes; 0: any. */
  'mtu',
  /** Bytes that may wait; 0: any number. */
  'capacity',
] as const;

export type Quantity = (typeof QUANTITIES)[number];

/** What is a share of the frames, and may be written with a `%`. */
export function isPercentage(quantity: Quantity): boolean {
  return quantity === 'loss' || quantity === 'dup';
}

/** Reads a value of a quantity as wirefilter(1) writes it; `undefined` when it is none. */
export function parseQuantity(quantity: Quantity, text: string): PlacedValue | undefined {
  return parseValue(isPercentage(quantity) ? text.replace(/%(?=\s*(?:\[\d+\])?\s*$)/, '') : text);
}

/** The values of one direction in one node. */
export type Values = Record<Quantity, Value>;

/** One state of the Markov chain. */
export interface WireNode {
  name: string;
  readonly values: Readonly<Record<Direction, Values>>;
  /** Percent with which each other node follows, by its number; the rest stays. */
  readonly edges: Map<number, number>;
}

/** As many states as the chain may have. */
export const MAX_NODES = 100;
/** As long as the name of a state may be, in characters. */
export const MAX_NODE_NAME = 64;
const DEFAULT_MARKOV_MS = 100;

export class Settings {
  readonly nodes: WireNode[] = [newNode()];
  /** Whether frames keep their order whatever their delays are. */
  isFifo = true;
  /** How often the chain takes a step, in milliseconds. */
  markovMs: number = DEFAULT_MARKOV_MS;
  /** The state that is in force. */
  current = 0;

  /** The values in force. */
  values(direction: Direction): Values {
    return this.node(this.current).values[direction];
  }

  /** A state that there is. */
  node(number: number): WireNode {
    return this.nodes[number] ?? this.nodes[0]!;
  }

  /** Whether there is such a state. */
  hasNode(number: number): boolean {
    return Number.isInteger(number) && number >= 0 && number < this.nodes.length;
  }

  /** Sets a quantity. The node is there. */
  set(quantity: Quantity, { value, directions, node }: PlacedValue): void {
    for (const direction of directions) this.node(node).values[direction][quantity] = value;
  }

  /** Makes more states, which nothing leads to, or less: what led to those stays where it is. */
  resize(count: number): void {
    while (this.nodes.length < count) this.nodes.push(newNode());
    this.nodes.length = count;
    for (const { edges } of this.nodes) {
      for (const to of edges.keys()) if (to >= count) edges.delete(to);
    }
    if (this.current >= count) this.current = 0;
  }

  /** Percent with which `to` follows `from`. */
  weight(from: number, to: number): number {
    const { edges } = this.node(from);
    if (from !== to) return edges.get(to) ?? 0;
    return 100 - [...edges.values()].reduce((sum, weight) => sum + weight, 0);
  }

  /** The node that follows the current one, for a number from 0 to 1. */
  successor(chance: number): number {
    let left = 100 * chance;
    for (const [to, weight] of this.node(this.current).edges) {
      left -= weight;
      if (left < 0) return to;
    }
    return this.current;
  }

  /** Whether nothing is the matter, in any state. */
  get isClear(): boolean {
    return (
      this.isFifo &&
      this.nodes.length === 1 &&
      Object.values(this.node(0).values).every((values) => Object.values(values).every(isZero))
    );
  }

  /** As it was at first. */
  clear(): void {
    this.nodes.splice(0, this.nodes.length, newNode());
    this.isFifo = true;
    this.markovMs = DEFAULT_MARKOV_MS;
    this.current = 0;
  }
}

function newNode(): WireNode {
  return { name: '', values: { LR: zeroes(), RL: zeroes() }, edges: new Map() };
}

function zeroes(): Values {
  return Object.fromEntries(QUANTITIES.map((quantity) => [quantity, ZERO])) as Values;
}
