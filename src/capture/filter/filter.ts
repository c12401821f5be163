/**
 * Filters of captures, in the words of pcap-filter(7): `tcp port 80 and not host 10.0.0.1`.
 *
 * ```
 * filter    = term { ("and" | "or") term }        both bind alike, from the left
 * term      = "not" term | "(" filter ")" | primitive | bytes [ "&" number ] relation number
 * primitive = [proto] [direction] [type] value | a word that says all
 * bytes     = proto "[" number [ ":" size ] "]"
 * ```
 *
 * A value alone is asked about as the one before it was: `port 80 or 443`, `port http or domain`. What a filter says that
 * is not known here is an error that names the word. It cannot calculate: `ip[2:2] - 20` is not known.
 */
import { readFileSync } from 'node:fs';
import { VdensError } from '../../errors.ts';
import { parseIp } from '../../net/ip.ts';
import { parseMac } from '../../net/mac.ts';
import { parseCNumber } from '../../system/c-number.ts';
import * as tests from './frame-test.ts';
import { type AddressMatch, FilteredFrame, type FrameTest, type Side } from './frame-test.ts';

/** The longest filter, in characters; and how deep parentheses may stand in each other. */
const MAX_FILTER_LENGTH = 4096;
const MAX_DEPTH = 64;
/** Below, an EtherType is a length (IEEE 802.3, 3.2.6). */
const LEAST_ETHERTYPE = 0x600;

const KNOWN =
  'host, net, port, portrange, proto with src or dst; ether, ip, ip6, arp, rarp, tcp, udp, sctp, icmp, icmp6, igmp, esp, ah, vlan, ' +
  'broadcast, multicast, less, greater, inbound, outbound; bytes such as tcp[13] & 2 != 0; and, or, not, parentheses';

const FAMILIES = ['ether', 'ip', 'ip6', 'arp', 'rarp', 'tcp', 'udp', 'sctp'] as const;
type Family = (typeof FAMILIES)[number];
const TYPES = ['host', 'net', 'port', 'portrange', 'proto'] as const;
type Type = (typeof TYPES)[number];

/** What a value is asked about. */
interface Qualifiers {
  readonly family: Family | undefined;
  readonly side: Side;
  readonly type: Type | undefined;
}

const OPERATORS: Readonly<Record<string, 'and' | 'or' | 'not'>> = { '&&': 'and', '||': 'or', '!': 'not' };
/** Numbers that have names where bytes are compared (RFC 9293, 3.1; RFC 792; RFC 4443). */
const NAMED_NUMBERS: ReadonlyMap<string, number> = new Map([
  ['tcpflags', 13],
  ...['fin', 'syn', 'rst', 'push', 'ack', 'urg', 'ece', 'cwr'].map((name, bit) => [`tcp-${name}`, 1 << bit] as const),
  ...['icmp', 'icmp6'].flatMap((name) => [[`${name}type`, 0] as const, [`${name}code`, 1] as const]),
  ['icmp-echo', 8],
  ['icmp-echoreply', 0],
  ['icmp-unreach', 3],
  ['icmp6-echo', 128],
  ['icmp6-echoreply', 129],
]);
const RELATIONS: ReadonlyMap<string, (a: number, b: number) => boolean> = new Map([
  ['=', (a, b) => a === b],
  ['==', (a, b) => a === b],
  ['!=', (a, b) => a !== b],
  ['<', (a, b) => a < b],
  ['>', (a, b) => a > b],
  ['<=', (a, b) => a <= b],
  ['>=', (a, b) => a >= b],
]);
const MAX_NUMBER = 0xffffffff;

/** Whether a frame passes. */
export type CaptureFilter = (bytes: Uint8Array, length: number, isOutbound: boolean) => boolean;

/**
 * Reads a filter. An empty one lets everything pass.
 *
 * @throws VdensError `ERR_USAGE` that names the word it stumbles over
 */
export function parseFilter(text: string): CaptureFilter {
  if (text.length > MAX_FILTER_LENGTH)
    throw new VdensError('ERR_USAGE', `the filter is longer than ${MAX_FILTER_LENGTH} characters`);
  const words = text.match(/\w+\[[^\]]*\]|&&|\|\||[!<>=]=|[^\s!()&|<>=]+|\S/g) ?? [];
  const test = words.length === 0 ? () => true : new Parser(words).parse();
  const frame = new FilteredFrame();
  return (bytes, length, isOutbound) => {
    frame.show(bytes, length, isOutbound);
    return test(frame) && !frame.isShort;
  };
}

class Parser {
  readonly #words: readonly string[];
  #at = 0;
  #depth = 0;
  /** How many VLAN tags were asked about: what follows is about what is behind them. */
  #tags = 0;
  #before: Qualifiers | undefined;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  parse(): FrameTest {
    const test = this.#filter();
    const word = this.#peek();
    if (word !== undefined)
      throw wrong(`does not know what "${word}" means there. Between two conditions stands "and" or "or"`, word);
    return test;
  }

  #filter(): FrameTest {
    let test = this.#term();
    for (;;) {
      const operator = this.#operator();
      if (operator !== 'and' && operator !== 'or') return test;
      this.#at++;
      const right = this.#term();
      test = operator === 'and' ? tests.all(test, right) : tests.any(test, right);
    }
  }

  #term(): FrameTest {
    if (++this.#depth > MAX_DEPTH) throw wrong('has too many parentheses in each other');
    try {
      if (this.#operator() === 'not') {
        this.#at++;
        return tests.not(this.#term());
      }
      if (this.#peek() !== '(') return this.#primitive();
      this.#at++;
      const test = this.#filter();
      if (this.#peek() !== ')') throw wrong('has a "(" without its ")"', '(');
      this.#at++;
      return test;
    } finally {
      this.#depth--;
    }
  }

  #primitive(): FrameTest {
    const start = this.#at;
    const family = this.#oneOf(FAMILIES);
    const side = this.#side();
    const type = this.#oneOf(TYPES);
    if (family !== undefined && side === undefined && type === undefined) return this.#afterFamily(family);
    if (side === undefined && type === undefined) {
      const alone = this.#wordAlone();
      if (alone !== undefined) return alone;
      if (this.#before !== undefined && (this.#isValue() || this.#isService())) return this.#value(this.#before);
    }
    if (!this.#isValue()) throw this.#unknown(start);
    const qualifiers = { family, side: side ?? 'either', type };
    this.#before = qualifiers;
    return this.#value(qualifiers);
  }

  /** `tcp`, or `ip broadcast`, or `ether 02:00:00:00:00:01`. */
  #afterFamily(family: Family): FrameTest {
    const word = this.#peek();
    if (word === 'multicast' || word === 'broadcast') {
      this.#at++;
      return this.#group(family, word);
    }
    if (word !== undefined && this.#isValue()) {
      const qualifiers = { family, side: 'either', type: undefined } as const;
      this.#before = qualifiers;
      return this.#value(qualifiers);
    }
    if (family === 'ether')
      throw wrong('has "ether" without what to look for, such as: ether host 02:00:00:00:00:01', 'ether');
    return this.#protocol(family);
  }

  /** A word that needs no value, or takes its own. */
  #wordAlone(): FrameTest | undefined {
    const word = this.#peek() ?? '';
    if (word.includes('[')) return this.#comparison();
    if (word === 'broadcast' || word === 'multicast') {
      this.#at++;
      return word === 'broadcast' ? tests.etherBroadcast : tests.etherMulticast;
    }
    if (word === 'inbound' || word === 'outbound') {
      this.#at++;
      return (frame) => frame.isOutbound === (word === 'outbound');
    }
    if (word === 'less' || word === 'greater') {
      this.#at++;
      const bytes = this.#number(`"${word}"`, 0xffffffff);
      return word === 'less' ? (frame) => frame.length <= bytes : (frame) => frame.length >= bytes;
    }
    if (word === 'vlan') {
      this.#at++;
      const id = /^(0x[\da-f]+|\d+)$/i.test(this.#peek() ?? '') ? this.#number('"vlan"', 4095) : undefined;
      return tests.vlan(id, this.#tags++);
    }
    if (Object.hasOwn(tests.PROTOCOLS, word)) {
      this.#at++;
      return this.#protocol(word);
    }
    return undefined;
  }

  /** `tcp[13] = 2`, `tcp[tcpflags] & (tcp-syn|tcp-ack) != 0` */
  #comparison(): FrameTest {
    const word = this.#next();
    const [, protocol = '', place = '', size = '1'] = /^(\w+)\[\s*([\w-]+)\s*(?::\s*([124])\s*)?\]$/.exec(word) ?? [];
    if (!tests.WITH_BYTES.includes(protocol))
      throw wrong(
        `cannot read "${word}". Bytes are written so: tcp[13], ip[2:2]; there are those of: ${tests.WITH_BYTES.join(', ')}`,
        word,
      );
    const at = constantIn(place);
    const hasMask = this.#peek() === '&';
    if (hasMask) this.#at++;
    const mask = hasMask ? this.#constant() : MAX_NUMBER;
    const sign = this.#next();
    const relation = RELATIONS.get(sign);
    if (relation === undefined)
      throw wrong(`has "${sign}" where bytes are to be compared, for example so: ${word} & 2 != 0`, sign);
    const other = this.#constant();
    const isAsked = (value: number): boolean => relation((value & mask) >>> 0, other);
    return tests.bytes(protocol, at, Number(size), isAsked, this.#tags);
  }

  /** `2`, `tcp-syn`, `(tcp-syn|tcp-ack)` */
  #constant(): number {
    const word = this.#next();
    if (word !== '(') return constantIn(word);
    let bits = 0;
    for (let sign = '|'; sign === '|'; sign = this.#next()) bits |= constantIn(this.#next());
    if (this.#words[this.#at - 1] !== ')') throw wrong('has a "(" without its ")"', '(');
    return bits >>> 0;
  }

  #protocol(name: string): FrameTest {
    const tags = this.#tags;
    if (Object.hasOwn(tests.ETHERTYPES, name)) return tests.etherType(tests.ETHERTYPES[name]!, tags);
    const number = tests.PROTOCOLS[name]!;
    if (name === 'icmp' || name === 'igmp') return tests.ipProtocol(number, tags);
    if (name === 'icmp6') return tests.ipv6Protocol(number, tags);
    return tests.any(tests.ipProtocol(number, tags), tests.ipv6Protocol(number, tags));
  }

  #group(family: Family, word: 'broadcast' | 'multicast'): FrameTest {
    if (family === 'ether') return word === 'broadcast' ? tests.etherBroadcast : tests.etherMulticast;
    if (word === 'multicast' && family === 'ip') return tests.ipMulticast(this.#tags);
    if (word === 'multicast' && family === 'ip6') return tests.ipv6Multicast(this.#tags);
    throw wrong(`cannot tell "${family} ${word}". Perhaps: ${word}`, word);
  }

  #value({ family, side, type }: Qualifiers): FrameTest {
    const word = this.#next();
    switch (type) {
      case 'port': {
        const { port, protocol } = portOf(word, this.#portProtocol(family, type));
        return tests.ports(port, port, side, protocol, this.#tags);
      }
      case 'portrange': {
        const [first = '', last = '', ...more] = word.split('-');
        if (last === '' || more.length > 0)
          throw wrong(`has "${word}" for a range of ports. It is two of them: 6000-6008`, word);
        const protocol = this.#portProtocol(family, type);
        const [least, most] = [first, last].map((each) => portOf(each, protocol).port).sort((a, b) => a - b);
        return tests.ports(least!, most!, side, protocol, this.#tags);
      }
      case 'proto':
        return this.#proto(family, word);
      default:
        return this.#host(family, side, type, word);
    }
  }

  #portProtocol(family: Family | undefined, type: string): number | undefined {
    if (family === undefined) return undefined;
    if (family === 'tcp' || family === 'udp' || family === 'sctp') return tests.PROTOCOLS[family];
    throw wrong(`cannot look for a ${type} of "${family}"; only tcp, udp and sctp have ports`, family);
  }

  #proto(family: Family | undefined, word: string): FrameTest {
    const name = word.startsWith('\\') ? word.slice(1) : word;
    const tags = this.#tags;
    if (family === 'ether') {
      const type = Object.hasOwn(tests.ETHERTYPES, name) ? tests.ETHERTYPES[name]! : numberIn(name, 0xffff);
      if (type !== undefined && type >= LEAST_ETHERTYPE) return tests.etherType(type, tags);
      throw wrong(
        `has "${word}" for an EtherType. It is a number from 0x600 on, or one of: ${Object.keys(tests.ETHERTYPES).join(', ')}`,
        word,
      );
    }
    const protocol = Object.hasOwn(tests.PROTOCOLS, name) ? tests.PROTOCOLS[name]! : numberIn(name, 255);
    if (protocol === undefined)
      throw wrong(
        `has "${word}" for a protocol. It is a number up to 255, or one of: ${Object.keys(tests.PROTOCOLS).join(', ')}`,
        word,
      );
    if (family === 'ip') return tests.ipProtocol(protocol, tags);
    if (family === 'ip6') return tests.ipv6Protocol(protocol, tags);
    if (family === undefined) return tests.any(tests.ipProtocol(protocol, tags), tests.ipv6Protocol(protocol, tags));
    throw wrong(`cannot tell "${family} proto"; ether, ip and ip6 have protocols`, family);
  }

  #host(family: Family | undefined, side: Side, type: 'host' | 'net' | undefined, word: string): FrameTest {
    if (family === 'ether') {
      if (type === 'net') throw wrong('cannot tell "ether net"; it is: ether host', 'net');
      return tests.etherHost(macOf(word), side);
    }
    if (family === 'tcp' || family === 'udp' || family === 'sctp')
      throw wrong(
        `has "${word}" behind "${family}". Perhaps: ${family} port ${word}, or: ${family} and host ${word}`,
        word,
      );
    const isNetwork = type === 'net' || (type === undefined && word.includes('/'));
    const match = isNetwork ? this.#network(word) : { address: addressOf(word) };
    const isV4 = match.address.length === 4;
    if ((isV4 && family === 'ip6') || (!isV4 && family !== undefined && family !== 'ip6'))
      throw wrong(`has "${word}" behind "${family}", which has other addresses`, word);
    const tags = this.#tags;
    if (family === 'arp' || family === 'rarp') return tests.arpAddress(tests.ETHERTYPES[family]!, match, side, tags);
    const inHeader = tests.ipAddress(match, side, tags);
    if (!isV4 || family === 'ip') return inHeader;
    return tests.any(
      inHeader,
      tests.arpAddress(tests.ETHERTYPE_ARP, match, side, tags),
      tests.arpAddress(tests.ETHERTYPE_RARP, match, side, tags),
    );
  }

  /** `10.0.0.0/8`, `10.0`, `10.0.0.0 mask 255.0.0.0`, `fd00::/8`. */
  #network(word: string): AddressMatch {
    if (this.#peek() === 'mask') {
      this.#at++;
      const mask = addressOf(this.#next());
      return checkedNetwork(word, addressOf(word), mask);
    }
    const [text = '', length] = word.split('/');
    const groups = text.split('.');
    const isShort = !text.includes(':') && groups.length < 4;
    const address = addressOf(isShort ? [...groups, '0', '0', '0'].slice(0, 4).join('.') : text);
    const bits =
      length === undefined ? (isShort ? 8 * groups.length : 8 * address.length) : numberIn(length, 8 * address.length);
    if (bits === undefined) throw wrong(`has "${word}" for a network. It is written so: 10.0.0.0/8`, word);
    return checkedNetwork(word, address, maskOf(bits, address.length));
  }

  #side(): Side | undefined {
    const word = this.#peek();
    if (word !== 'src' && word !== 'dst') return undefined;
    this.#at++;
    const [operator, other] = [this.#operator(), this.#words[this.#at + 1]];
    const isPair = (operator === 'and' || operator === 'or') && other === (word === 'src' ? 'dst' : 'src');
    if (!isPair) return word;
    this.#at += 2;
    return operator === 'and' ? 'both' : 'either';
  }

  #oneOf<T extends string>(words: readonly T[]): T | undefined {
    const found = words.find((word) => word === this.#peek());
    if (found !== undefined) this.#at++;
    return found;
  }

  /** Whether a value may stand here: no word that means something else, and no sign. */
  #isValue(): boolean {
    const word = this.#peek();
    return (
      word !== undefined &&
      word !== '(' &&
      word !== ')' &&
      this.#operator() === undefined &&
      /^[\w\\:.]/.test(word) &&
      !isKeyword(word) &&
      looksLikeValue(word, this.#words[this.#at - 1])
    );
  }

  /** Whether the word is the name of a port, where one was asked about before: `port 80 or domain`. */
  #isService(): boolean {
    return this.#before?.type === 'port' && serviceNames().has(this.#peek() ?? '');
  }

  #number(what: string, most: number): number {
    const word = this.#next();
    const value = numberIn(word, most);
    if (value === undefined) throw wrong(`has "${word}" behind ${what}. It is a number up to ${most}`, word);
    return value;
  }

  #operator(): 'and' | 'or' | 'not' | undefined {
    const word = this.#peek() ?? '';
    if (word === 'and' || word === 'or' || word === 'not') return word;
    return Object.hasOwn(OPERATORS, word) ? OPERATORS[word] : undefined;
  }

  #peek(): string | undefined {
    return this.#words[this.#at];
  }

  #next(): string {
    const word = this.#words[this.#at++];
    if (word === undefined) throw wrong(`ends behind "${this.#words.at(-1)}", where something is missing`);
    return word;
  }

  #unknown(start: number): VdensError {
    const word = this.#peek();
    if (word === undefined) return wrong(`ends behind "${this.#words.at(-1)}", where something is missing`);
    if (this.#at > start)
      return wrong(`has "${word}" behind "${this.#words[this.#at - 1]}", where a value is missing`, word);
    return wrong(`does not know "${word}". It knows: ${KNOWN}`, word);
  }
}

function constantIn(word: string): number {
  const value = NAMED_NUMBERS.get(word) ?? numberIn(word, MAX_NUMBER);
  if (value !== undefined) return value;
  throw wrong(
    `has "${word}" for a number. It is one up to ${MAX_NUMBER}, or a name: ${[...NAMED_NUMBERS.keys()].join(', ')}`,
    word,
  );
}

function isKeyword(word: string): boolean {
  const words: readonly string[] = [
    ...FAMILIES,
    ...TYPES,
    'src',
    'dst',
    'vlan',
    'less',
    'greater',
    'broadcast',
    'multicast',
    'inbound',
    'outbound',
    'mask',
  ];
  return words.includes(word);
}

/** Alone, a word that is neither an address nor a number is rather one that is not known; behind a qualifier it is a value. */
function looksLikeValue(word: string, before: string | undefined): boolean {
  const isQualified = before !== undefined && (isKeyword(before) || TYPES.some((type) => type === before));
  return isQualified || /^\d|:/.test(word);
}

function numberIn(word: string, most: number): number | undefined {
  const value = parseCNumber(word);
  return value <= most ? value : undefined;
}

function addressOf(word: string): Uint8Array {
  try {
    return parseIp(word);
  } catch {
    throw wrong(`has "${word}" where an address is to be, such as 10.0.0.1 or fd00::1. Names are not looked up`, word);
  }
}

function macOf(word: string): Uint8Array {
  try {
    return parseMac(word);
  } catch {
    throw wrong(`has "${word}" where a MAC address is to be, such as 02:00:00:00:00:01`, word);
  }
}

function maskOf(bits: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (0xff00 >> Math.min(8, Math.max(0, bits - 8 * i))) & 0xff);
}

function checkedNetwork(word: string, address: Uint8Array, mask: Uint8Array): AddressMatch {
  if (mask.length !== address.length) throw wrong(`has a mask of another kind behind "${word}"`, word);
  if (address.some((byte, i) => (byte & ~mask[i]!) !== 0))
    throw wrong(`has "${word}" for a network, which has bits behind its mask. For one address it is: host`, word);
  return { address, mask };
}

/** A port, and the one protocol that services(5) has it for; `undefined` when it may be any. */
interface Port {
  readonly port: number;
  readonly protocol: number | undefined;
}

let services: ReadonlyMap<string, Port> | undefined;

/** A number, or a name of services(5). */
function portOf(word: string, asked: number | undefined): Port {
  const port = numberIn(word, 0xffff);
  if (port !== undefined) return { port, protocol: asked };
  const named = serviceNames().get(word);
  if (named === undefined)
    throw wrong(`has "${word}" for a port. It is a number up to 65535, or a name in /etc/services`, word);
  if (asked !== undefined && named.protocol !== undefined && named.protocol !== asked)
    throw wrong(
      `has "${word}", which is a port of another protocol in /etc/services. Name its number: ${named.port}`,
      word,
    );
  return { port: named.port, protocol: asked ?? named.protocol };
}

function serviceNames(): ReadonlyMap<string, Port> {
  services ??= readServices();
  return services;
}

function readServices(): ReadonlyMap<string, Port> {
  const found = new Map<string, Port>();
  let text = '';
  try {
    text = readFileSync('/etc/services', 'utf8');
  } catch {
    // Then there are numbers only.
  }
  for (const line of text.split('\n')) {
    const [name = '', number = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    const [digits = '', transport = ''] = number.split('/');
    const protocol = tests.PROTOCOLS[transport];
    const port = numberIn(digits, 0xffff);
    if (port === undefined || (transport !== 'tcp' && transport !== 'udp')) continue;
    for (const each of [name, ...aliases]) {
      const before = found.get(each);
      if (before === undefined) found.set(each, { port, protocol });
      else if (before.port === port && before.protocol !== protocol) found.set(each, { port, protocol: undefined });
    }
  }
  return found;
}

function wrong(problem: string, value?: string): VdensError {
  return new VdensError('ERR_USAGE', `the filter ${problem}`, value === undefined ? {} : { value });
}
