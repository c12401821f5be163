/**
 * Messages to the system's log, as syslog(3) sends them: one RFC 3164 record per datagram to `/dev/log`.
 *
 * ```
 * <14>Nov 22 11:05:09 vde_plug[4711]: START: user joe IP 192.0.2.1
 *  ▲   local time      name    pid
 *  └ facility * 8 + severity
 * ```
 *
 * Nothing here waits: what the log does not take at once is kept, up to a bound, and tried again. That there is no log
 * is said once.
 */
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { VdensError } from '../errors.ts';
import { AGAIN, errnoName, native } from './native.ts';
import { AF_UNIX, SOCK_DGRAM, SOCK_STREAM, unixAddress } from './unix-address.ts';

/** Where the system's log listens (_PATH_LOG). */
const LOG_PATH = '/dev/log';
/** LOG_USER, RFC 3164, section 4.1.1. */
const FACILITY_USER = 1;
/** RFC 3164, section 4.1: a record has at most this many bytes. */
const MAX_RECORD_BYTES = 1024;
/** How many records wait while the log takes nothing; more are lost. */
const QUEUE_RECORDS = 256;
/** How long a log that takes nothing is left alone, in milliseconds. */
const QUEUE_PAUSE_MS = 20;
/** How long what waits at the end has to be taken, in milliseconds. */
const CLOSE_TIMEOUT_MS = 500;
/** After a log could not be reached, how long it is left alone, in milliseconds. */
const RETRY_PAUSE_MS = 1000;

/** RFC 3164, section 4.1.1. */
const SEVERITIES = { emerg: 0, alert: 1, crit: 2, err: 3, warning: 4, notice: 5, info: 6, debug: 7 } as const;
export type SyslogSeverity = keyof typeof SEVERITIES;

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** How to log. */
export interface SyslogOptions {
  /** Where the log listens. @defaultValue `/dev/log` */
  readonly path?: string;
  /** Whether our process id stands behind the name. @defaultValue true */
  readonly pid?: boolean;
  /** Called when the log cannot be reached; once, until it is reached again. */
  trouble?(error: VdensError): void;
}

/** A connection to the log. It is made with the first message, and again when the log was restarted. */
export class Syslog {
  readonly #tag: string;
  readonly #path: string;
  readonly #trouble: ((error: VdensError) => void) | undefined;
  #fd: number | undefined;
  #isStream = false;
  #isTroubleTold = false;
  #triedAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;
  /** Records that the log did not take, oldest first. */
  #waiting: Uint8Array[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param ident what the log calls us */
  constructor(ident: string, options: SyslogOptions = {}) {
    this.#tag = options.pid === false ? ident : `${ident}[${process.pid}]`;
    this.#path = options.path ?? LOG_PATH;
    this.#trouble = options.trouble;
  }

  /** Logs a message, of one line. Never waits, never throws. */
  log(severity: SyslogSeverity, message: string): void {
    if (this.#isClosed || this.#waiting.length === QUEUE_RECORDS) return;
    this.#waiting.push(formatRecord(this.#tag, severity, message, new Date()));
    // The earlier ones have their turn soon.
    if (this.#timer === undefined) this.#sendWaiting();
  }

  /** Ends it; what waits has a moment to be taken. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const deadline = performance.now() + CLOSE_TIMEOUT_MS;
    for (this.#sendWaiting(); this.#waiting.length > 0 && performance.now() < deadline; this.#sendWaiting()) {
      await sleep(QUEUE_PAUSE_MS);
    }
    this.#disconnect();
  }

  #sendWaiting(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let sent = 0;
    for (const record of this.#waiting) {
      if (!this.#deliver(record)) break;
      sent += 1;
    }
    this.#waiting = this.#waiting.slice(sent);
    if (this.#waiting.length > 0 && !this.#isClosed) {
      this.#timer = setTimeout(() => this.#sendWaiting(), QUEUE_PAUSE_MS).unref();
    }
  }

  /** False when the log takes nothing now; what no log is there for is lost. */
  #deliver(record: Uint8Array): boolean {
    if (this.#fd !== undefined) {
      const outcome = this.#send(this.#fd, record);
      if (outcome !== 'broken') return outcome === 'sent';
      // The log was restarted, most likely.
      this.#disconnect();
    } else if (performance.now() - this.#triedAt < RETRY_PAUSE_MS) {
      return true;
    }
    const fd = this.#connect();
    if (fd === undefined) return true;
    const outcome = this.#send(fd, record);
    if (outcome === 'broken') this.#disconnect();
    return outcome !== 'full';
  }

  #connect(): number | undefined {
    this.#triedAt = performance.now();
    let errno = '';
    for (const type of [SOCK_DGRAM, SOCK_STREAM]) {
      const fd = native.openSocket(AF_UNIX, type, 0);
      const result = fd < 0 ? fd : native.connectSocket(fd, unixAddress(this.#path));
      if (result >= 0) {
        this.#fd = fd;
        this.#isStream = type === SOCK_STREAM;
        this.#isTroubleTold = false;
        return fd;
      }
      if (fd >= 0) native.closeDescriptor(fd);
      errno = errnoName(result);
      if (errno !== 'EPROTOTYPE') break;
    }
    this.#tell(errno);
    return undefined;
  }

  #disconnect(): void {
    if (this.#fd !== undefined) native.closeDescriptor(this.#fd);
    this.#fd = undefined;
  }

  #send(fd: number, record: Uint8Array): 'sent' | 'full' | 'broken' {
    // In a stream, a NUL ends a record.
    const bytes = this.#isStream ? Buffer.concat([record, Buffer.of(0)]) : record;
    const result = native.send(fd, bytes);
    if (result === AGAIN || result === -constants.errno.ENOBUFS) return 'full';
    // A part of a record in a stream would become one with the next.
    return result === bytes.length ? 'sent' : 'broken';
  }

  #tell(errno: string): void {
    if (this.#isTroubleTold) return;
    this.#isTroubleTold = true;
    const message = `nothing is logged: the system's log does not listen on ${this.#path} (${errno}). Start one, such as rsyslogd or systemd-journald`;
    this.#trouble?.(new VdensError('ERR_NETWORK_OPEN', message, { value: this.#path, errno, syscall: 'connect' }));
  }
}

/** A record of RFC 3164, of at most 1024 bytes; control characters (RFC 3164, section 4.1.3) become spaces. */
export function formatRecord(tag: string, severity: SyslogSeverity, message: string, time: Date): Uint8Array {
  const priority = FACILITY_USER * 8 + SEVERITIES[severity];
  const text = message.replaceAll(/\p{Cc}+/gu, ' ');
  const record = Buffer.from(`<${priority}>${formatTime(time)} ${tag}: ${text}`);
  return record.subarray(0, MAX_RECORD_BYTES);
}

/** `Nov  2 09:05:00`, in local time (RFC 3164, section 4.1.2). */
function formatTime(time: Date): string {
  const two = (value: number): string => `${value}`.padStart(2, '0');
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  return `${MONTHS[time.getMonth()]} ${`${time.getDate()}`.padStart(2)} ${clock}`;
}
