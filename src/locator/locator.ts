/**
 * Virtual Network Locators: the text that names a network, and what it says.
 *
 * ```
 * scheme://PATH[option/option=value]        bracket style
 * scheme://ADDRESS/option/option=value      slash style (brackets work too)
 * scheme://ADDRESS...{LOCATOR}              around another network
 * PATH                                      the same as vde://PATH
 * ```
 *
 * Parsing looks at nothing but the text (and HOME): files, sockets and default networks are for
 * `resolve.ts`. Every scheme of the table parses, whether or not this release can open it.
 */
import type { VdensError } from '../errors.ts';
import { nearest } from './nearest.ts';
import { FOREIGN, isForeignName, OPENABLE_SCHEMES, SCHEMES, type Scheme } from './schemes.ts';
import {
  indexOfBare,
  isBare,
  lastIndexOfBare,
  plainText,
  refuseNul,
  splitAtBare,
  type Unit,
  unitsOf,
} from './units.ts';
import { wrongLocator } from './wrong-locator.ts';

/** A network's name, taken apart. */
export interface Locator {
  /** A key of the table of schemes. */
  readonly scheme: string;
  /** What stands before the options, quoting taken off; empty when nothing does. */
  readonly address: string;
  /** Values by the option's full, canonical name; a flag has the value ''. In the order of their last mention. */
  readonly options: ReadonlyMap<string, string>;
  /** All values, as they came, of each option that was given and may be repeated. */
  readonly repeated: ReadonlyMap<string, readonly string[]>;
  /** The text between the braces, still quoted; `undefined` when there are no braces. */
  readonly inner?: string;
  /** The text that was parsed. */
  readonly text: string;
}

/** What parsing may be told. */
export interface ParseLocatorOptions {
  /** The directory that a leading `~/` means. @defaultValue `$HOME` */
  readonly home?: string;
  /** Whether a scheme that is none of ours may be one of the originals' library. @defaultValue false */
  readonly allowForeign?: boolean;
}

/**
 * Takes a locator apart.
 *
 * @throws {VdensError} `ERR_LOCATOR` for an unknown scheme or option, and for braces that do not match.
 */
export function parseLocator(text: string, options: ParseLocatorOptions = {}): Locator {
  const { HOME = '' } = process.env;
  const home = options.home ?? HOME;
  const { name, scheme, rest } = splitScheme(text, options.allowForeign ?? false);
  if (scheme.style === 'raw') {
    refuseNul(rest, text);
    const isHome = scheme.isPath && home !== '' && rest.startsWith('~/');
    const address = isHome ? home + rest.slice(1) : rest;
    return { scheme: name, address, options: new Map(), repeated: new Map(), text };
  }
  const { outer, inner } = splitBraces(rest, scheme, text);
  const { address, tokens } = scheme.style === 'bracket' ? splitBrackets(outer, text) : splitSlashes(outer, text);
  const plain = plainText(address, text);
  const isHome = scheme.isPath && home !== '' && isBare(address[0], '~') && plain.startsWith('~/');
  return {
    scheme: name,
    address: isHome ? home + plain.slice(1) : plain,
    ...readOptions(tokens, name, scheme, text),
    ...(inner === undefined ? {} : { inner }),
    text,
  };
}

function splitScheme(text: string, allowForeign: boolean): { name: string; scheme: Scheme; rest: string } {
  const end = text.indexOf('://');
  const name = end === -1 ? 'vde' : text.slice(0, end);
  const scheme = SCHEMES.get(name) ?? (allowForeign && isForeignName(name) ? FOREIGN : undefined);
  if (scheme === undefined) throw unknownScheme(name, text);
  return { name, scheme, rest: end === -1 ? text : text.slice(end + 3) };
}

function splitBraces(rest: string, scheme: Scheme, text: string): { outer: Unit[]; inner?: string } {
  const units = unitsOf(rest);
  const open = scheme.nested ? indexOfBare(units, '{') : -1;
  if (open === -1) return { outer: units };
  const close = lastIndexOfBare(units, '}');
  if (close < open) throw wrongLocator(text, 'the brace { is never closed. Add a }', text);
  const after = rest.slice(units[close]!.start + 1);
  if (after !== '') {
    throw wrongLocator(text, `nothing may follow the last }. Take away "${after}"`, text);
  }
  return { outer: units.slice(0, open), inner: rest.slice(units[open]!.start + 1, units[close]!.start) };
}

/** `PATH[options]`: the list ends at the last `]`; a missing one is forgiven, as by the originals. */
function splitBrackets(units: readonly Unit[], text: string): { address: Unit[]; tokens: Unit[][] } {
  const open = indexOfBare(units, '[');
  if (open === -1) return { address: [...units], tokens: [] };
  const close = lastIndexOfBare(units, ']');
  if (close > open && close + 1 < units.length) {
    const after = units
      .slice(close + 1)
      .map((unit) => unit.char)
      .join('');
    throw wrongLocator(text, `nothing may follow the bracket ]. Take away "${after}"`, after);
  }
  if (open + 1 === units.length) {
    throw wrongLocator(text, 'the bracket [ is never closed. Add a port and ], for example [3]', text);
  }
  const list = units.slice(open + 1, close > open ? close : undefined);
  return { address: units.slice(0, open), tokens: splitAtBare(list, '/') };
}

/** `ADDRESS/options` or `ADDRESS[options]`, whichever begins first; `[ff05::1]` at the beginning is an IPv6 address. */
function splitSlashes(units: readonly Unit[], text: string): { address: Unit[]; tokens: Unit[][] } {
  const close = indexOfBare(units, ']');
  const literal = units.slice(1, Math.max(close, 1));
  if (isBare(units[0], '[') && /^[0-9a-f.]*:[0-9a-f.]*:[0-9a-f:.]*$/i.test(literal.map((unit) => unit.char).join(''))) {
    const { address, tokens } = splitSlashes(units.slice(close + 1), text);
    // What else follows the bracket, such as a port, is for the scheme to refuse.
    return { address: address.length === 0 ? literal : [...units.slice(0, close + 1), ...address], tokens };
  }
  const bracket = indexOfBare(units, '[');
  const slash = indexOfBare(units, '/');
  if (bracket !== -1 && (slash === -1 || bracket < slash)) return splitBrackets(units, text);
  const [address = [], ...tokens] = splitAtBare(units, '/');
  return { address, tokens };
}

function readOptions(
  tokens: readonly Unit[][],
  name: string,
  scheme: Scheme,
  text: string,
): Pick<Locator, 'options' | 'repeated'> {
  const options = new Map<string, string>();
  const repeated = new Map<string, string[]>();
  const words = tokens.map((units) => plainText(units, text));
  for (const [index, word] of words.entries()) {
    const equals = word.indexOf('=');
    if (word === '' || equals === 0) continue;
    const isPositional = equals === -1 && scheme.positionalKey !== undefined;
    const key = isPositional ? scheme.positionalKey : canonicalKey(keyOf(word), scheme);
    if (key === undefined) throw unknownOption(word, name, scheme, text);
    const value = isPositional ? word : equals === -1 ? '' : word.slice(equals + 1);
    if (scheme.pathKeys?.includes(key)) refuseBareSlashes(key, value, words.slice(index + 1), scheme, text);
    // The last one wins; deleting first keeps the order of the last mentions.
    options.delete(key);
    options.set(key, value);
    if (scheme.repeatableKeys?.includes(key)) repeated.set(key, [...(repeated.get(key) ?? []), value]);
  }
  return { options, repeated };
}

/** A bare slash ends a path, and what follows it would be read as options. */
function refuseBareSlashes(key: string, value: string, next: readonly string[], scheme: Scheme, text: string): void {
  const end = next.findIndex((word) => word.includes('=') || scheme.optionKeys.includes(word));
  const rest = end === -1 ? next : next.slice(0, end);
  const isPath = rest.some((word) => word !== '' && (value === '' || canonicalKey(word, scheme) === undefined));
  if (!isPath) return;
  const right = `${key}=${[value, ...rest].join('%2f')}`;
  const message = `a slash ends the value of "${key}", unless it is quoted. Write ${right}`;
  throw wrongLocator(text, message, [value, ...rest].join('/'));
}

function keyOf(word: string): string {
  return word.split('=', 1)[0]!;
}

function canonicalKey(word: string, scheme: Scheme): string | undefined {
  const key = scheme.optionKeys.find((candidate) => candidate.startsWith(word));
  return key === undefined ? undefined : (scheme.aliases?.[key] ?? key);
}

/** @param besides who else does not know it: one clause */
export function unknownScheme(name: string, text: string, besides?: string): VdensError {
  const lower = name.toLowerCase();
  const known = [...SCHEMES.keys()].filter((scheme) => scheme !== name);
  const meant = known.includes(lower) ? lower : nearest(lower, known);
  const remedy =
    meant === undefined
      ? `Write one of ${OPENABLE_SCHEMES.map((scheme) => `${scheme}://`).join(', ')}, or the path of a switch`
      : `${meant === lower ? 'Schemes are in lower case: write' : 'Did you mean'} ${meant}://${meant === lower ? '' : '?'}`;
  const others = besides === undefined ? '' : `, ${besides}`;
  return wrongLocator(text, `there is no kind of network called "${name}"${others}. ${remedy}`, name);
}

function unknownOption(token: string, name: string, scheme: Scheme, text: string): VdensError {
  const key = keyOf(token);
  const keys = scheme.optionKeys.join(', ');
  const remedy = keys === '' ? `${name}:// takes no options` : `${name}:// takes ${keys}`;
  return wrongLocator(text, `unknown option "${key}". ${remedy}`, key);
}
