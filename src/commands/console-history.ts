/**
 * What was typed at consoles before, across sessions: a file below the user's directory for such state (XDG Base
 * Directory Specification). Where it cannot be read or written, there is a history of the session alone.
 */
import {
  appendFileSync,
  closeSync,
  existsSync,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

/** Lines that are kept. */
export const MAX_HISTORY_LINES = 500;
/** A longer file is not ours. */
const MAX_HISTORY_BYTES = 1_048_576;
const PRIVATE_FILE = 0o600;
const PRIVATE_DIRECTORY = 0o700;

type Environment = Readonly<Record<string, string | undefined>>;

/** The lines of this and of earlier sessions. */
export class ConsoleHistory {
  readonly #path: string;
  #isKept = true;
  /** Lines in the file, as far as we know. */
  #written = 0;
  /** Oldest first. */
  readonly #lines: string[];

  /** @param env - with `$XDG_STATE_HOME` and `$HOME` */
  constructor(env: Environment = process.env) {
    this.#path = join(stateDirectory(env), 'console-history');
    this.#lines = this.#attempt(() => this.#load()) ?? [];
  }

  /** Newest first, as readline wants them. */
  get newestFirst(): string[] {
    return this.#lines.toReversed();
  }

  /** Remembers a line, unless it is the one before again. */
  add(line: string): void {
    if (line === this.#lines.at(-1)) return;
    this.#lines.push(line);
    this.#lines.splice(0, this.#lines.length - MAX_HISTORY_LINES);
    // One write of a line: several sessions may have the file.
    this.#attempt(() => appendFileSync(this.#path, `${line}\n`, { mode: PRIVATE_FILE }));
    this.#written += 1;
    if (this.#written > 2 * MAX_HISTORY_LINES) this.#attempt(() => this.#shorten());
  }

  #load(): string[] {
    makeDirectory(dirname(this.#path));
    const lines = this.#read();
    this.#written = lines.length;
    return lines.slice(-MAX_HISTORY_LINES);
  }

  #read(): string[] {
    const file = openSync(this.#path, 'a+', PRIVATE_FILE);
    try {
      const { mode } = regularFile(file);
      if ((mode & 0o777) !== PRIVATE_FILE) fchmodSync(file, PRIVATE_FILE);
      return readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '');
    } finally {
      closeSync(file);
    }
  }

  /** Other sessions have written to it meanwhile: what stays are the last lines of all. */
  #shorten(): void {
    const kept = this.#read().slice(-MAX_HISTORY_LINES);
    const shorter = `${this.#path}.${process.pid}`;
    writeFileSync(shorter, kept.map((line) => `${line}\n`).join(''), { mode: PRIVATE_FILE });
    renameSync(shorter, this.#path);
    this.#written = kept.length;
  }

  #attempt<T>(act: () => T): T | undefined {
    if (!this.#isKept) return undefined;
    try {
      return act();
    } catch {
      this.#isKept = false;
      return undefined;
    }
  }
}

/** With those above it. The recursive one of Node.js never ends where the kernel has no room for directories, as in /proc. */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path));
  mkdirSync(path, { mode: PRIVATE_DIRECTORY });
}

function regularFile(file: number): Stats {
  const status = fstatSync(file);
  if (!status.isFile() || status.size > MAX_HISTORY_BYTES) throw new Error('not a history');
  return status;
}

/** Where state of this package is kept; a relative path in the variable counts for nothing, as the specification has it. */
function stateDirectory({ XDG_STATE_HOME = '', HOME = '' }: Environment): string {
  const home = HOME === '' ? homedir() : HOME;
  return join(isAbsolute(XDG_STATE_HOME) ? XDG_STATE_HOME : join(home, '.local', 'state'), 'vdens');
}
