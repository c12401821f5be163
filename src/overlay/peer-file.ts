/**
 * A file of peers, read again whenever it changes.
 *
 * Its directory is watched (inotify(7)), because most programs do not write into a file but put a new one in its
 * place. What cannot be seen from there (the target of a link, a file on another machine) is
 * found by looking from time to time.
 */
import { type FSWatcher, constants as fs, watch } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { printable, VdensError } from '../errors.ts';

/** From the last change seen until the file is read: who writes has mostly finished then. */
const GATHER_MS = 100;
/** How often it is looked at whatever is seen. */
const LOOK_INTERVAL_MS = 10_000;
/** A longer file is none of peers. */
const MAX_FILE_BYTES = 1_048_576;

/** What happens to the file after the first reading. */
export interface PeerFileEvents {
  /** It says something else now. */
  changed(text: string): void;
  /** It cannot be read any more; said once until it can. What it said last holds. */
  trouble(error: VdensError): void;
}

/** The text of one file, and its changes. */
export class PeerFile {
  /** As the user wrote it. */
  readonly path: string;
  readonly #label: string;
  readonly #fullPath: string;
  readonly #events: PeerFileEvents;
  #watcher: FSWatcher | undefined;
  /** Which directory is watched: device and inode. */
  #watched = '';
  #text: string | undefined;
  #isTroubled = false;
  #isReading = false;
  #timer: NodeJS.Timeout | undefined;
  #interval: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param label what errors begin with: the network it is for */
  constructor(label: string, path: string, events: PeerFileEvents) {
    this.#label = label;
    this.path = path;
    this.#fullPath = resolve(path);
    this.#events = events;
  }

  /**
   * What it says now; from here on changes are told.
   *
   * @throws VdensError `ERR_NETWORK_OPEN` when it cannot be read
   */
  async start(): Promise<string> {
    await this.#watchDirectory();
    try {
      this.#text = await readPeerText(this.#fullPath);
    } catch (error) {
      this.close();
      throw this.#unreadable(error, '');
    }
    if (!this.#closed) this.#interval = setInterval(() => void this.#look(), LOOK_INTERVAL_MS);
    return this.#text;
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#interval);
    clearTimeout(this.#timer);
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  /** Watches the directory that bears the name now. Where that is not possible there is still the look from time to time. */
  async #watchDirectory(): Promise<void> {
    const directory = dirname(this.#fullPath);
    const found = await stat(directory).catch(() => undefined);
    const identity = found === undefined ? '' : `${found.dev}:${found.ino}`;
    if (this.#closed || identity === this.#watched) return;
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#watched = '';
    try {
      this.#watcher = watch(directory, (_, name) => this.#noticed(name));
      this.#watcher.on('error', () => undefined);
      this.#watched = identity;
    } catch {
      // No right to, or no watches left (fs.inotify.max_user_watches).
    }
  }

  #noticed(name: string | null): void {
    if (this.#closed) return;
    // Others in the directory may be busy all the time; that must not put it off for ever.
    if (name === basename(this.#fullPath)) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#look();
    }, GATHER_MS);
  }

  async #look(): Promise<void> {
    await this.#watchDirectory();
    await this.#read();
  }

  async #read(): Promise<void> {
    if (this.#closed) return;
    // What changes while it is read is read afterwards.
    if (this.#isReading) return this.#noticed(null);
    this.#isReading = true;
    try {
      const text = await readPeerText(this.#fullPath);
      if (this.#closed) return;
      this.#isTroubled = false;
      const isNew = text !== this.#text;
      this.#text = text;
      if (isNew) this.#events.changed(text);
    } catch (error) {
      if (this.#closed || this.#isTroubled) return;
      this.#isTroubled = true;
      this.#events.trouble(this.#unreadable(error, '. The peers that it named are kept'));
    } finally {
      this.#isReading = false;
    }
  }

  #unreadable(error: unknown, consequence: string): VdensError {
    const { code, syscall } = error as NodeJS.ErrnoException;
    const why = code === undefined ? printable((error as Error).message) : `${meaningOf(code)} (${code})`;
    const message = `${this.#label}: cannot read the list of peers ${printable(this.path)}: ${why}${consequence}`;
    const details = { value: this.path, cause: error, ...(code && { errno: code }), ...(syscall && { syscall }) };
    return new VdensError('ERR_NETWORK_OPEN', message, details);
  }
}

/** The text of a file of peers, which has to be a regular one: to read from others may take for ever. */
export async function readPeerText(path: string): Promise<string> {
  const file = await open(path, fs.O_RDONLY | fs.O_NONBLOCK);
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new Error('it is not a regular file');
    if (found.size > MAX_FILE_BYTES) throw new Error(`it has more than ${MAX_FILE_BYTES} bytes`);
    // Should it grow meanwhile, that is a change, and it is read again.
    const buffer = Buffer.alloc(found.size);
    const { bytesRead } = await file.read(buffer, 0, found.size, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

function meaningOf(code: string): string {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'there is no such file';
    case 'EACCES':
    case 'EPERM':
      return 'we have no permission';
    default:
      return 'the system refuses';
  }
}
