/**
 * From what somebody wrote to the network that is meant: default networks and alias files.
 *
 * An *alias file* is a regular file whose first line is a locator; naming the file names that network.
 * The empty locator means `~/.vdeplug/default`, else `~/.vde2/default.switch`, else whichever standard
 * switch directory answers. The two files may be a switch's directory, a link to one, or an alias file.
 */
import { closeSync, lstatSync, openSync, readSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { VdensError } from '../errors.ts';
import { type Locator, parseLocator } from './locator.ts';
import { SCHEMES } from './schemes.ts';

/** A locator that names its network itself. */
export interface ResolvedLocator extends Locator {
  /** The alias files that led to it, outermost first. */
  readonly aliases: readonly string[];
}

/** Where to look. */
export interface ResolveLocatorOptions {
  /** The user's home directory. @defaultValue `$HOME` */
  readonly home?: string;
  /** What relative paths are relative to. @defaultValue the process's own */
  readonly cwd?: string;
}

/** More aliases of aliases than anybody means. */
const MAX_ALIASES = 8;
/** Bytes of an alias file that are looked at. */
const MAX_LINE_BYTES = 4096;

/** The directories in which a switch of the whole machine is looked for, in this order, when no path is given. */
export function defaultSwitchDirectories(): string[] {
  return ['/var/run/vde.ctl', '/tmp/vde.ctl'];
}

/**
 * Finds out which network a text means. Paths in the result are absolute; an empty address with scheme
 * `vde` means {@link defaultSwitchDirectories}.
 *
 * @throws {VdensError} `ERR_LOCATOR` when the text, or the text in an alias file, is not a locator.
 */
export function resolveLocator(text: string, options: ResolveLocatorOptions = {}): ResolvedLocator {
  const { HOME = '' } = process.env;
  const home = options.home ?? HOME;
  const aliases: string[] = [];
  let word = text === '' ? (defaultNetwork(home) ?? 'vde://') : text;
  for (;;) {
    const file = word.includes('://') ? undefined : absolutePath(expandHome(word, home), options.cwd);
    if (file === undefined || !isFile(file)) break;
    if (aliases.includes(file) || aliases.length === MAX_ALIASES) throw aliasLoop(file, aliases);
    aliases.push(file);
    word = firstLine(file);
  }
  // The path of a default network is the user's own, and may hold brackets: it is not locator text.
  const locator =
    text === '' && aliases.length === 0 && word !== 'vde://'
      ? {
          scheme: 'vde',
          address: word,
          options: new Map<string, string>(),
          repeated: new Map<string, string[]>(),
          text: word,
        }
      : parse(word, home, aliases.at(-1));
  const isPath = SCHEMES.get(locator.scheme)?.isPath === true && locator.address !== '';
  return { ...locator, address: isPath ? absolutePath(locator.address, options.cwd) : locator.address, aliases };
}

/** The working directory is asked for only when it matters: it may have been removed. */
function absolutePath(path: string, cwd: string | undefined): string {
  if (isAbsolute(path)) return path;
  try {
    return resolve(cwd ?? process.cwd(), path);
  } catch (cause) {
    const message = `${path}: the working directory is gone. Name the network by its absolute path, or cd to another directory`;
    throw new VdensError('ERR_LOCATOR', message, { value: path, errno: 'ENOENT', cause });
  }
}

function defaultNetwork(home: string): string | undefined {
  if (home === '') return undefined;
  const candidates = [join(home, '.vdeplug', 'default'), join(home, '.vde2', 'default.switch')];
  // A dangling link counts: opening it fails with an error that names it.
  return candidates.find((candidate) => tryStat(() => lstatSync(candidate)) !== undefined);
}

function parse(word: string, home: string, alias: string | undefined): Locator {
  try {
    return parseLocator(word, { home, allowForeign: true });
  } catch (error) {
    if (alias === undefined || !(error instanceof VdensError)) throw error;
    throw new VdensError(error.code, `in the alias file ${alias}: ${error.message}`, {
      value: error.value ?? word,
      cause: error,
    });
  }
}

function expandHome(word: string, home: string): string {
  return home !== '' && word.startsWith('~/') ? home + word.slice(1) : word;
}

function isFile(path: string): boolean {
  return tryStat(() => statSync(path))?.isFile() === true;
}

/** A path that cannot be looked at is no alias; opening it as a switch tells why. */
function tryStat<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

function firstLine(file: string): string {
  const line = readStart(file).split('\n', 1)[0]!.replace(/\r$/, '');
  if (line !== '') return line;
  const message = `the alias file ${file} names no network. Write one on its first line, for example vde:///run/sw`;
  throw new VdensError('ERR_LOCATOR', message, { value: file });
}

function readStart(file: string): string {
  const buffer = Buffer.alloc(MAX_LINE_BYTES);
  try {
    const descriptor = openSync(file, 'r');
    try {
      return buffer.toString('utf8', 0, readSync(descriptor, buffer));
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new VdensError(
      'ERR_LOCATOR',
      `cannot read the alias file ${file} (${errno}). Name the network itself, or chmod the file`,
      {
        value: file,
        errno,
        cause: error,
      },
    );
  }
}

function aliasLoop(file: string, aliases: readonly string[]): VdensError {
  const chain = [...aliases, file].join(' -> ');
  const what = aliases.includes(file)
    ? 'the alias files go round in a circle'
    : `more than ${MAX_ALIASES} alias files in a row`;
  return new VdensError('ERR_LOCATOR', `${what}: ${chain}. Write the network itself into one of them`, { value: file });
}
