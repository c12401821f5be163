/** A wire with something the matter: two channels, the settings for both, and the Markov chain that changes them. */
import { VdensError } from '../errors.ts';
import type { FrameBatch } from '../frames/batch.ts';
import { Channel, type Losses, type Measure, noLosses } from './channel.ts';
import { Random } from './random.ts';
import { Settings } from './settings.ts';
import { DIRECTIONS, type Direction } from './value.ts';
import { describeSettings, readWords, type Wish } from './words.ts';

const STREAMS: Readonly<Record<Direction, number>> = { LR: 0, RL: 1 };
const MARKOV_STREAM = 2;
/** As many steps are taken at a time when the process stood still. */
const MAX_STEPS = 1000;
const MAX_RANDOM_SEED = 2 ** 32;

/** Frames as they are. */
export const PLAIN: Measure = { extra: 0, mtuExtra: -14 };
/** As wirefilter(1) measures: with the two bytes of their length on a stream. */
export const ON_STREAM: Measure = { extra: 2, mtuExtra: 2 };

/** A wire that is in use. */
export interface ManagedWire {
  readonly wire: Wire;
  /** To be called when something was set. */
  changed(): void;
  cut(): void;
  join(): void;
}

export class Wire {
  readonly settings: Settings = new Settings();
  readonly channels: Readonly<Record<Direction, Channel>>;
  /** Called when the chain has taken a step to another node. */
  stepped: (from: number, to: number) => void = () => undefined;
  #seed: number;
  #random: Random;
  #steps = 0;
  #stepAt = Number.POSITIVE_INFINITY;

  /**
   * @param measure how frames are measured. @defaultValue as they are
   * @param seed @defaultValue a random one
   */
  constructor(measure: Measure = PLAIN, seed: number = Math.floor(Math.random() * MAX_RANDOM_SEED)) {
    this.#seed = seed;
    this.channels = { LR: new Channel(measure, seed, STREAMS.LR), RL: new Channel(measure, seed, STREAMS.RL) };
    this.#random = new Random(seed, MARKOV_STREAM);
  }

  get seed(): number {
    return this.#seed;
  }

  /** Begins anew with the random numbers of this seed. */
  set seed(seed: number) {
    this.#seed = seed;
    for (const direction of DIRECTIONS) this.channels[direction].restart(seed, STREAMS[direction]);
    this.#random = new Random(seed, MARKOV_STREAM);
    this.#steps = 0;
  }

  /** What is set, in canonical words. */
  get words(): readonly string[] {
    return describeSettings(this.settings);
  }

  /**
   * Sets what the words say, and leaves the rest as it is.
   *
   * @param words such as `delay=20`, `loss=1%`; none, or `none`, clears everything
   * @throws VdensError `ERR_USAGE`, and nothing is set
   */
  impair(words: readonly string[]): void {
    const wishes = readWords(words);
    for (const wish of wishes) requireNode(wish, this.settings);
    if (wishes.length === 0) this.settings.clear();
    for (const wish of wishes) this.#grant(wish);
  }

  #grant(wish: Wish): void {
    switch (wish.kind) {
      case 'clear':
        this.settings.clear();
        break;
      case 'fifo':
        this.settings.isFifo = wish.isFifo;
        break;
      case 'seed':
        this.seed = wish.seed;
        break;
      case 'value':
        this.settings.set(wish.quantity, wish.placed);
        break;
    }
  }

  /** Takes frames in. Returns what was not let through, and what came to be more; valid until the next call. */
  take(direction: Direction, batch: FrameBatch, maxFrameBytes: number, now: number): Losses {
    const channel = this.channels[direction];
    Object.assign(channel.losses, NONE);
    channel.take(batch, maxFrameBytes, now, this.settings.values(direction), this.settings.isFifo);
    return channel.losses;
  }

  /** To be called when something was set to something else. */
  follow(now: number): void {
    for (const direction of DIRECTIONS) this.channels[direction].follow(this.settings.values(direction), now);
  }

  /** When the chain takes its next step. */
  get stepAt(): number {
    return this.#stepAt;
  }

  /** The chain takes the steps that are due. */
  step(now: number): void {
    const { settings } = this;
    if (settings.nodes.length === 1) {
      this.#stepAt = Number.POSITIVE_INFINITY;
      return;
    }
    if (this.#stepAt === Number.POSITIVE_INFINITY) this.#stepAt = now + settings.markovMs;
    const { current } = settings;
    for (let steps = 0; this.#stepAt <= now; steps++) {
      this.#stepAt = steps < MAX_STEPS ? this.#stepAt + settings.markovMs : now + settings.markovMs;
      this.#random.begin(this.#steps++);
      this.goTo(settings.successor(this.#random.next()));
    }
    if (settings.current !== current) this.follow(now);
  }

  /** To be called when how often it takes a step was changed. */
  restartSteps(): void {
    this.#stepAt = Number.POSITIVE_INFINITY;
  }

  goTo(node: number): void {
    const { settings } = this;
    const from = settings.current;
    if (node === from) return;
    settings.current = node;
    this.stepped(from, node);
  }
}

const NONE: Readonly<Losses> = noLosses();

function requireNode(wish: Wish, settings: Settings): void {
  if (wish.kind !== 'value' || settings.hasNode(wish.placed.node)) return;
  const { node } = wish.placed;
  const message = `there is no state ${node} in its Markov chain: the last one is ${settings.nodes.length - 1}. Leave [${node}] out`;
  throw new VdensError('ERR_USAGE', message, { value: `${node}` });
}
