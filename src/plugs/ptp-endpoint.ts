/**
 * One end of `ptp://PATH`: finds its other end, whoever that is and whoever comes first, and finds one again when it
 * goes away.
 *
 * One path cannot be both kinds of socket that newcomers of the two original protocols connect to, and each of them
 * fails for good when it finds the wrong kind. But each of them, when there is nothing at PATH, waits there itself.
 * So while we wait we leave PATH free, look at it ten times a second, and join whoever turns up. Our own kind meets
 * at a name beside it:
 *
 * ```
 * PATH.vdens   seqpacket   the first of ours listens here: for others of ours, and to be the only one who waits
 * PATH         -           left free while we wait
 *              seqpacket   an original of the newest kind waits: we connect to it
 *              datagram    a packaged original waits: we connect to it, from PATH+
 *              seqpacket   once two of ours have met: listens for third ones, to refuse them
 * ```
 *
 * What is found stale is removed: PATH.vdens at once, PATH when nobody has answered for a moment, because originals
 * bind a name before they listen. Whoever lost its name by that finds out soon, and joins the one who has it now.
 */
import { realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { VdensError } from '../errors.ts';
import { AGAIN, native } from '../system/native.ts';
import { READABLE, Watch } from '../system/reactor.ts';
import { joinDatagram, knock, letIn, type PtpLine, packetLine, TAKEN, taken } from './ptp-connection.ts';
import { listenAt, lookAt, type NamedSocket, notOurs, removeStale } from './ptp-names.ts';

/** How often whoever waits looks whether somebody came, in milliseconds. */
const LOOK_MS = 100;
/** How often names and datagram lines are looked after while there is a line, and how long a pause after a failure. */
const CARE_MS = 1000;
/** How long nobody answers at PATH before its name is removed. */
const STALE_MS = 300;
/** How long a third one waits for its refusal: it may be that an end that is gone is noticed meanwhile. */
const DOUBT_MS = 50;
/** The kernel takes 107 bytes, of which the names beside PATH need 6 (unix(7)). */
const MAX_PATH_BYTES = 101;
/** As the options of other kinds of networks are written. */
const OPTIONS = /\[[^[\]]*=[^[\]]*\]$/;
/** How often the names may change under our hands before one round gives up. */
const MAX_TURNS = 20;

/** What an endpoint says. */
export interface EndpointEvents {
  /** There is a line, whose descriptor is the listener's from now on; it says {@link PtpEndpoint.lineEnded}. */
  connected(line: PtpLine): void;
  /** The other end is gone, which the descriptor does not tell. */
  left(): void;
}

/** A listener, and what happens when somebody connects to it. */
interface Door {
  readonly name: NamedSocket;
  readonly watch: Watch;
  readonly peer: 'ours' | 'seqpacket';
}

/** One end; it has a line, or looks for one. */
export class PtpEndpoint {
  readonly #label: string;
  readonly #path: string;
  readonly #events: EndpointEvents;
  readonly #abort = new AbortController();
  /** Where others of ours find us. */
  #ours: Door | undefined;
  /** Where originals find that they are too many. */
  #refusing: Door | undefined;
  #line: PtpLine | undefined;
  /** Bound beside a packaged original that is still tied to somebody who is gone. */
  #tied: NamedSocket | undefined;
  /** Since when nobody answers at PATH. */
  #stale: { readonly identity: string; readonly since: number } | undefined;
  /** Connections that are told in a moment whether they are too many. */
  readonly #doubtful = new Map<number, NodeJS.Timeout>();
  #isLooking = false;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #closed = false;

  /**
   * @param path absolute
   * @throws VdensError `ERR_LOCATOR`, `ERR_NETWORK_OPEN` when there is no such directory
   */
  constructor(label: string, path: string, events: EndpointEvents) {
    this.#label = label;
    this.#path = resolvePath(label, path);
    this.#events = events;
  }

  /**
   * Looks for the other end once; without one it goes on waiting.
   *
   * @throws VdensError `ERR_NETWORK_OPEN` when there are two already, or the path is not to be used;
   * `ERR_NETWORK_TIMEOUT`; the signal's reason. The end is closed then
   */
  async open(signal?: AbortSignal): Promise<void> {
    const abort = (): void => this.#abort.abort(signal?.reason);
    signal?.addEventListener('abort', abort);
    try {
      signal?.throwIfAborted();
      await this.#look();
      signal?.throwIfAborted();
      this.#schedule(this.#line === undefined ? LOOK_MS : CARE_MS);
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** The line is over: another is looked for. `lasted` is in milliseconds. */
  lineEnded(lasted: number): void {
    this.#line = undefined;
    this.#close(this.#refusing);
    this.#refusing = undefined;
    // At once; but not again and again where somebody lets everybody in and out.
    this.#schedule(lasted > CARE_MS ? 0 : LOOK_MS);
  }

  /** Stops looking, and removes all names; the line's descriptor stays with its taker. Idempotent. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      clearTimeout(this.#timer);
      this.#close(this.#ours);
      this.#close(this.#refusing);
      this.#forgetTied();
      for (const [fd, timer] of this.#doubtful) {
        clearTimeout(timer);
        native.closeDescriptor(fd);
      }
      this.#doubtful.clear();
      if (!this.#abort.signal.aborted) {
        this.#abort.abort(new VdensError('ERR_CLOSED', `${this.#label}: the network was closed`));
      }
    }
    await this.#round;
  }

  #schedule(pauseMs: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#round ??= this.#goOn().finally(() => {
        this.#round = undefined;
      });
    }, pauseMs);
  }

  /** One round of looking for the other end, or after the line. */
  async #goOn(): Promise<void> {
    let pauseMs = LOOK_MS;
    try {
      if (this.#line === undefined) await this.#look();
      else this.#care(this.#line);
      if (this.#line !== undefined) pauseMs = CARE_MS;
    } catch {
      // As at first somebody is told, but later there is only to wait until it is as it should be.
      pauseMs = CARE_MS;
    }
    this.#schedule(pauseMs);
  }

  /** Looks who is there: one of ours first, then an original. Without anybody, we are the one who waits. */
  async #look(): Promise<void> {
    for (let turn = 0; turn < MAX_TURNS && this.#line === undefined && !this.#closed; turn++) {
      if (this.#ours !== undefined && !this.#ours.name.isInPlace) {
        this.#close(this.#ours);
        this.#ours = undefined;
      }
      if (this.#ours !== undefined) {
        await this.#withDoorShut(() => this.#lookForOriginal());
        return;
      }
      await this.#lookForOurs();
    }
  }

  async #lookForOurs(): Promise<void> {
    const meeting = `${this.#path}.vdens`;
    const present = lookAt(meeting);
    if (present?.isSocket === false) throw notOurs(this.#label, meeting);
    const found = await knock(this.#label, meeting, this.#abort.signal);
    if (found.kind === 'line') return this.#take(packetLine(found.fd, 'connected', 'ours', found.channel));
    if (this.#closed) return;
    if (found.kind === 'taken') throw taken(this.#label, this.#path);
    if (found.kind === 'nobody') this.#ours = this.#listen(meeting, 'ours');
    if (found.kind === 'other-type') throw notOurs(this.#label, meeting);
    if (found.kind === 'stale' && present !== undefined) removeStale(this.#label, meeting, present.identity);
  }

  async #lookForOriginal(): Promise<void> {
    const present = lookAt(this.#path);
    if (present === undefined) return this.#forgetTied();
    if (!present.isSocket) throw notOurs(this.#label, this.#path);
    const found = await knock(this.#label, this.#path, this.#abort.signal);
    if (found.kind === 'line') return this.#take(packetLine(found.fd, 'connected', 'seqpacket', found.channel));
    if (this.#closed) return;
    if (found.kind === 'taken') throw taken(this.#label, this.#path);
    if (found.kind === 'other-type') return this.#joinDatagram();
    this.#forgetTied();
    if (found.kind === 'stale') this.#removeStale(present.identity);
  }

  #joinDatagram(): void {
    const joined = joinDatagram(this.#label, this.#path, this.#tied);
    this.#tied = joined.kind === 'tied' ? joined.own : undefined;
    if (joined.kind === 'taken') throw taken(this.#label, this.#path);
    if (joined.kind === 'line') this.#take(joined.line);
  }

  #removeStale(identity: string): void {
    const now = performance.now();
    if (this.#stale?.identity !== identity) this.#stale = { identity, since: now };
    else if (now - this.#stale.since >= STALE_MS) removeStale(this.#label, this.#path, identity);
  }

  /** While somebody else is asked for the line, nobody is let in. */
  async #withDoorShut(look: () => Promise<void>): Promise<void> {
    this.#isLooking = true;
    try {
      await look();
    } finally {
      this.#isLooking = false;
      if (this.#ours !== undefined && !this.#closed) this.#answer(this.#ours);
    }
  }

  /** While there is a line: are the names still ours, is the other end still there? */
  #care(line: PtpLine): void {
    if (!line.isThere()) {
      this.#events.left();
      return;
    }
    if (line.role === 'connected' && line.peer === 'ours') return;
    if (this.#ours?.name.isInPlace === true) return;
    this.#close(this.#ours);
    this.#ours = undefined;
    const meeting = `${this.#path}.vdens`;
    if (lookAt(meeting) === undefined) this.#ours = this.#listen(meeting, 'ours');
  }

  #take(line: PtpLine): void {
    if (this.#closed || this.#line !== undefined) {
      line.end();
      native.closeDescriptor(line.fd);
      if (line.channel !== undefined) native.closeDescriptor(line.channel);
      return;
    }
    this.#line = line;
    this.#stale = undefined;
    if (line.peer !== 'datagram') this.#forgetTied();
    if (line.role === 'accepted' && line.peer === 'ours') this.#refuseThirds();
    this.#events.connected(line);
  }

  /** Originals that come now are to learn that they are too many; one that is there already just waits. */
  #refuseThirds(): void {
    try {
      this.#refusing ??= this.#listen(this.#path, 'seqpacket');
    } catch {
      // Without it a third one waits, which does no harm.
    }
  }

  #listen(at: string, peer: Door['peer']): Door | undefined {
    const name = listenAt(this.#label, this.#path, at);
    if (name === undefined) return undefined;
    let door: Door | undefined;
    try {
      door = { name, peer, watch: new Watch(name.fd, READABLE, () => door !== undefined && this.#answer(door)) };
      return door;
    } catch (error) {
      name.close();
      throw error;
    }
  }

  #close(door: Door | undefined): void {
    door?.watch.end();
    door?.name.close();
  }

  /** Lets in who came; who comes while there is a line waits a moment for the answer. */
  #answer(door: Door): false {
    door.watch.events = this.#isLooking ? 0 : READABLE;
    while (!this.#isLooking) {
      const fd = native.accept(door.name.fd);
      if (fd === AGAIN) return false;
      if (fd < 0) return this.#answerLater(door);
      if (this.#line === undefined) this.#letIn(fd, door.peer);
      else this.#doubt(fd, door.peer);
    }
    return false;
  }

  /** There are too many open files: asking again and again would not help. */
  #answerLater(door: Door): false {
    door.watch.events = 0;
    const isOpen = (): boolean => door === this.#ours || door === this.#refusing;
    setTimeout(() => !this.#closed && isOpen() && this.#answer(door), CARE_MS).unref();
    return false;
  }

  #doubt(fd: number, peer: Door['peer']): void {
    this.#doubtful.set(
      fd,
      setTimeout(() => this.#decide(fd, peer), DOUBT_MS),
    );
  }

  #decide(fd: number, peer: Door['peer']): void {
    this.#doubtful.delete(fd);
    if (this.#isLooking) this.#doubt(fd, peer);
    else if (this.#line === undefined) this.#letIn(fd, peer);
    else {
      native.send(fd, new Uint8Array([TAKEN]));
      native.closeDescriptor(fd);
    }
  }

  #letIn(fd: number, peer: Door['peer']): void {
    const line = letIn(fd, peer);
    if (line === undefined) native.closeDescriptor(fd);
    else this.#take(line);
  }

  #forgetTied(): void {
    this.#tied?.close();
    this.#tied = undefined;
  }
}

/**
 * The path without links on its way, so that all who mean the same line meet.
 *
 * @throws VdensError `ERR_LOCATOR` when it cannot be meant, `ERR_NETWORK_OPEN` when nobody can meet there
 */
function resolvePath(label: string, path: string): string {
  if (path === '') {
    throw new VdensError('ERR_LOCATOR', `${label}: a line needs a path to meet at, such as ptp:///tmp/line`);
  }
  const [options] = OPTIONS.exec(path) ?? [];
  if (options !== undefined) {
    const remedy = `Leave ${options} out, or, if the path really ends like this, name another one`;
    throw new VdensError('ERR_LOCATOR', `${label}: ptp:// has no options. ${remedy}`, { value: options });
  }
  const resolved = withoutLinks(label, path);
  const length = Buffer.byteLength(resolved);
  if (length <= MAX_PATH_BYTES) return resolved;
  const meant = resolved === path ? path : `${path}, which is ${resolved},`;
  const message = `${label}: the path of a line may have ${MAX_PATH_BYTES} bytes, and ${meant} has ${length}. Use a shorter directory`;
  throw new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno: 'ENAMETOOLONG' });
}

function withoutLinks(label: string, path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // Nobody is there yet.
  }
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? '';
    const message = `${label}: there is no directory ${dirname(path)} to meet in (${errno}). Make it, or name another path`;
    throw new VdensError('ERR_NETWORK_OPEN', message, { value: path, errno, cause });
  }
}
