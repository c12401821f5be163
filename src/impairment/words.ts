/**
 * The words of `vde tc`: what people type to make a network worse, netem's way or wirefilter's, and what is set in the
 * same words.
 *
 * ```
 * delay=20  delay=20+5N  delay=out:20ms  loss=1%  loss=RL5  burst=4  dup=1%  rate=10mbit  bandwidth=1M
 * delay 20ms 5ms distribution normal loss 1% rate 10mbit
 * ```
 */
import { quote, VdensError } from '../errors.ts';
import { MAX_SEED, readSeed } from './random.ts';
import { isPercentage, QUANTITIES, type Quantity, type Settings, type Values } from './settings.ts';
import { DIRECTIONS, type Direction, isSame, isZero, type PlacedValue, parseValue, type Value } from './value.ts';

/** What words ask for. */
export type Wish =
  | { readonly kind: 'clear' }
  | { readonly kind: 'seed'; readonly seed: number }
  | { readonly kind: 'fifo'; readonly isFifo: boolean }
  | { readonly kind: 'value'; readonly quantity: Quantity; readonly placed: PlacedValue };

/** Names of a quantity; the first is canonical. */
const NAMES: Readonly<Record<Quantity, readonly string[]>> = {
  loss: ['loss'],
  lostburst: ['burst', 'lostburst'],
  delay: ['delay', 'latency'],
  dup: ['dup', 'duplicate'],
  bandwidth: ['bandwidth', 'band'],
  speed: ['speed'],
  noise: ['noise'],
  mtu: ['mtu'],
  capacity: ['capacity', 'chanbufsize', 'bufsize'],
};

/** What tc-netem(8) has and we have not, with what we have. */
const FOREIGN: Readonly<Record<string, string>> = {
  corrupt: 'noise=N turns over N bits in each MiB',
  reorder: 'delay=20+5 with nofifo has frames overtake each other',
  limit: 'capacity=BYTES bounds what may wait',
  gap: 'delay=20+5 with nofifo has frames overtake each other',
  slot: 'bandwidth=N has frames wait for each other',
  ecn: 'loss=N loses frames',
  distribution: 'write delay=20+5N, or delay 20ms 5ms distribution normal',
};

const TIME_UNITS: Readonly<Record<string, number>> = { us: 1e-3, ms: 1, s: 1000 };
const BITS_PER_BYTE = 8;
/** Of tc(8): a `bit` is a bit, a `bps` a byte per second; `k` is 1000. */
const RATE = /^(\d+\.?\d*|\.\d+)([kmgt]?)(i?)(bit|bps)(?:\/s)?$/i;
const PREFIXES = ['', 'k', 'm', 'g', 't'];

/**
 * Reads words.
 *
 * @throws VdensError `ERR_USAGE`
 */
export function readWords(words: readonly string[]): readonly Wish[] {
  const wishes: Wish[] = [];
  const rest = words.flatMap((word) => word.split(/\s+/)).filter(Boolean);
  while (rest.length > 0) wishes.push(...readWish(rest));
  return wishes;
}

/** Takes one wish from the beginning of the words. */
function readWish(rest: string[]): readonly Wish[] {
  const word = rest.shift()!;
  const equals = word.indexOf('=');
  const name = (equals === -1 ? word : word.slice(0, equals)).toLowerCase();
  const value = equals === -1 ? undefined : word.slice(equals + 1);
  if ((name === 'none' || name === 'clear') && value === undefined) return [{ kind: 'clear' }];
  if (name === 'fifo' || name === 'nofifo') return [{ kind: 'fifo', isFifo: isOn(name, value) === (name === 'fifo') }];
  if (value === undefined && /^[\d.]+%?$/.test(word)) throw alone(word);
  const quantity = QUANTITIES.find((each) => NAMES[each].includes(name));
  if (quantity === undefined && name !== 'seed' && name !== 'rate') throw unknown(name);
  const text = value ?? rest.shift();
  if (text === undefined) throw wrong(word, `${quote(word)} needs a value: ${name}=${exampleOf(name)}`);
  if (name === 'seed') return [{ kind: 'seed', seed: requireSeed(text) }];
  if (quantity === undefined) return [readRate(text)];
  return [{ kind: 'value', quantity, placed: readValue(quantity, text, value === undefined ? rest : []) }];
}

function isOn(name: string, value = '1'): boolean {
  if (value === '1' || value === '0') return value === '1';
  throw wrong(value, `${name} is 1 or 0, not ${quote(value)}: write, for example, ${name}=1`);
}

function requireSeed(text: string): number {
  const seed = readSeed(text);
  if (seed !== undefined) return seed;
  throw wrong(text, `the seed ${quote(text)} is not a number from 0 to ${MAX_SEED}`);
}

/** Its direction and its node, and what is between them. */
const PLACED = /^(?:(LR|RL)|(out|in|both)[:=])?(.*?)(?:\[(\d+)\])?$/is;
const SIDES: Readonly<Record<string, readonly Direction[]>> = {
  lr: ['LR'],
  out: ['LR'],
  rl: ['RL'],
  in: ['RL'],
  both: DIRECTIONS,
};

/** @param rest the words behind it, of which netem's variation and distribution are taken */
function readValue(quantity: Quantity, text: string, rest: string[]): PlacedValue {
  const [, code, side, amount = '', node = '0'] = PLACED.exec(text) ?? [];
  const directions = SIDES[(code ?? side ?? 'both').toLowerCase()] ?? DIRECTIONS;
  const plain = quantity === 'delay' ? withoutTimeUnits(amount) : amount.replace(/%/g, '');
  const found = parseValue(plain ?? '');
  const isRight = found !== undefined && (!amount.includes('%') || isPercentage(quantity));
  if (!isRight) {
    const name = NAMES[quantity][0] ?? quantity;
    throw wrong(text, `${name} ${quote(text)} is no value: write, for example, ${name}=${exampleOf(name)}`);
  }
  if (isPercentage(quantity) && found.value.base > 100) {
    throw wrong(text, `${NAMES[quantity][0]} ${quote(text)} is more than 100 %, which is all there are`);
  }
  const value = quantity === 'delay' ? withVariation(found.value, rest) : found.value;
  return { value, directions, node: Number(node) };
}

/** netem's way: `delay 20ms 5ms distribution normal`. */
function withVariation(value: Value, rest: string[]): Value {
  const [next = ''] = rest;
  const variation = /^[\d.]+(us|ms|s)?$/i.test(next) ? withoutTimeUnits(next) : undefined;
  if (variation === undefined) return value;
  rest.shift();
  const [word, distribution = ''] = rest;
  const isNamed = word === 'distribution' && /^(normal|uniform)$/.test(distribution);
  if (isNamed) rest.splice(0, 2);
  return {
    ...value,
    variation: Number(variation),
    distribution: isNamed && distribution === 'normal' ? 'normal' : 'uniform',
  };
}

/** In milliseconds; `undefined` when it is none. */
function withoutTimeUnits(text: string): string | undefined {
  const parts = text.split('+').map((part) => {
    const [, digits, unit = '', end = ''] = /^([\d.]+(?:e[+-]?\d+)?)(us|ms|s)?([KMGUN]*)$/i.exec(part) ?? [];
    if (digits === undefined) return undefined;
    return `${unit === '' ? digits : Number(digits) * (TIME_UNITS[unit.toLowerCase()] ?? 1)}${end}`;
  });
  return parts.includes(undefined) ? undefined : parts.join('+');
}

function readRate(text: string): Wish {
  const [, code, side, amount = ''] = PLACED.exec(text) ?? [];
  const [, digits, prefix = '', binary, unit = ''] = RATE.exec(amount) ?? [];
  if (digits === undefined) {
    throw wrong(text, `the rate ${quote(text)} is none: write, for example, rate=10mbit, or bandwidth=1M in bytes`);
  }
  const factor = (binary === '' ? 1000 : 1024) ** PREFIXES.indexOf(prefix.toLowerCase());
  const bytes = (Number(digits) * factor) / (unit.toLowerCase() === 'bit' ? BITS_PER_BYTE : 1);
  const directions = SIDES[(code ?? side ?? 'both').toLowerCase()] ?? DIRECTIONS;
  const value: Value = { base: bytes, variation: 0, distribution: 'uniform' };
  return { kind: 'value', quantity: 'bandwidth', placed: { value, directions, node: 0 } };
}

/** What is set, in words that set it again; of the first node. */
export function describeSettings(settings: Settings): readonly string[] {
  const { LR: out, RL: back } = settings.node(0).values;
  const words = QUANTITIES.flatMap((quantity) => wordsFor(quantity, out, back));
  if (!settings.isFifo) words.push('nofifo');
  return words;
}

function wordsFor(quantity: Quantity, out: Values, back: Values): readonly string[] {
  const name = NAMES[quantity][0] ?? quantity;
  if (isSame(out[quantity], back[quantity])) {
    return isZero(out[quantity]) ? [] : [`${name}=${textOf(quantity, out[quantity])}`];
  }
  const each = (side: string, value: Value): readonly string[] =>
    isZero(value) ? [] : [`${name}=${side}:${textOf(quantity, value)}`];
  return [...each('out', out[quantity]), ...each('in', back[quantity])];
}

function textOf(quantity: Quantity, { base, variation, distribution }: Value): string {
  const unit = isPercentage(quantity) ? '%' : '';
  if (variation === 0) return `${base}${unit}`;
  return `${base}+${variation}${distribution === 'normal' ? 'N' : ''}`;
}

function exampleOf(name: string): string {
  const examples: Readonly<Record<string, string>> = {
    loss: '1%',
    delay: '20+5',
    rate: '10mbit',
    bandwidth: '1M',
    speed: '1M',
    capacity: '64K',
    mtu: '1400',
    seed: '1',
  };
  return examples[name] ?? '5';
}

/** netem's correlations stand behind the values, as its variation does. */
function alone(word: string): VdensError {
  const what = word.endsWith('%')
    ? 'correlations are not known. Frames that are lost in a row are burst=4'
    : 'it has no name';
  return wrong(word, `${quote(word)}: ${what}`);
}

function unknown(name: string): VdensError {
  const known = [...Object.values(NAMES).map(([first]) => first), 'rate', 'nofifo', 'seed', 'none'].join(', ');
  const instead = FOREIGN[name];
  const message = instead === undefined ? `write one of ${known}` : `instead, ${instead}`;
  return wrong(name, `there is no impairment called ${quote(name)}: ${message}`);
}

function wrong(value: string, message: string): VdensError {
  return new VdensError('ERR_USAGE', message, { value });
}
