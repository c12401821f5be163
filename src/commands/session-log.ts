/**
 * What `vde_plug` tells the system's log, in the words of the original: who plugged in from where, and which IP
 * addresses came through.
 *
 * ```
 * START: user joe IP 192.0.2.1
 * user joe Real-IP 192.0.2.1 has got VDE-IP4 10.0.0.7 on vlan 0
 * STOP: user joe IP 192.0.2.1
 * ```
 */
import { userInfo } from 'node:os';
import type { FrameBatch } from '../frames/batch.ts';
import { formatIp } from '../net/ip.ts';
import { Syslog } from '../system/syslog.ts';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, parseEthernet } from '../wire/ethernet.ts';

/** How many addresses are remembered as told; then the one that was seen longest ago is forgotten. */
const MAX_TOLD_ADDRESSES = 1024;
/** How many addresses are told within one second: a stream can hold any number of forged ones. */
const MAX_ADDRESS_LINES = 100;
const LINES_PERIOD_MS = 1000;

/** Where the source address lies in the header (RFC 791, section 3.1; RFC 8200, section 3), and how long it is. */
const SOURCE_IPV4 = { name: 'VDE-IP4', version: 4, start: 12, end: 16 };
const SOURCE_IPV6 = { name: 'VDE-IP6', version: 6, start: 8, end: 24 };

/** The log of one run. */
export class SessionLog {
  readonly #syslog: Syslog;
  readonly #user = userName();
  /** As sshd(8) tells it. */
  readonly #address = process.env['SSH_CLIENT']?.split(' ')[0] || 'UNKNOWN_IP_ADDRESS';
  readonly #told = new Set<string>();
  #lines = 0;
  #unwritten = 0;
  #periodStart = Number.NEGATIVE_INFINITY;
  #isStarted = false;

  /** @param trouble called when there is no log; once */
  constructor(name: string, trouble: (message: string) => void) {
    this.#syslog = new Syslog(name, { pid: false, trouble: (error) => trouble(error.message) });
  }

  start(): void {
    this.#isStarted = true;
    this.#tellSession('START');
  }

  /** The end of what was started, and of the log. */
  async stop(): Promise<void> {
    if (!this.#isStarted) return;
    this.#isStarted = false;
    this.#tellUnwritten();
    this.#tellSession('STOP');
    await this.#syslog.close();
  }

  /** Somebody wanted more than this program gives. */
  fail(): void {
    this.#tellSession('FAILED');
  }

  /** What would be on standard error, were there one. */
  say(line: string): void {
    this.#syslog.log('info', line);
  }

  /** Tells the source addresses of frames that came from the stream, each once. */
  see(batch: FrameBatch): void {
    for (let index = 0; index < batch.count; index++) this.#seeFrame(batch.frame(index));
  }

  #seeFrame(frame: Uint8Array): void {
    const header = parseEthernet(frame);
    if (header === undefined) return;
    const { etherType, payloadOffset, tags } = header;
    const field = etherType === ETHERTYPE_IPV4 ? SOURCE_IPV4 : etherType === ETHERTYPE_IPV6 ? SOURCE_IPV6 : undefined;
    if (field === undefined || frame.length < payloadOffset + field.end) return;
    if ((frame[payloadOffset] ?? 0) >>> 4 !== field.version) return;
    const source = frame.subarray(payloadOffset + field.start, payloadOffset + field.end);
    this.#tellAddress(field.name, source, tags[0]?.vlan ?? 0);
  }

  #tellAddress(name: string, source: Uint8Array, vlan: number): void {
    const key = `${vlan} ${Buffer.from(source).toString('latin1')}`;
    // Told again, it is the last to be forgotten.
    const isTold = this.#told.delete(key);
    this.#told.add(key);
    if (isTold) return;
    for (const oldest of this.#told) {
      if (this.#told.size <= MAX_TOLD_ADDRESSES) break;
      this.#told.delete(oldest);
    }
    if (!this.#mayWrite()) {
      this.#unwritten += 1;
      return;
    }
    const who = `user ${this.#user} Real-IP ${this.#address}`;
    this.#syslog.log('info', `${who} has got ${name} ${formatIp(source)} on vlan ${vlan}`);
  }

  #mayWrite(): boolean {
    const now = performance.now();
    if (now - this.#periodStart >= LINES_PERIOD_MS) {
      this.#tellUnwritten();
      this.#periodStart = now;
      this.#lines = 0;
    }
    this.#lines += 1;
    return this.#lines <= MAX_ADDRESS_LINES;
  }

  #tellUnwritten(): void {
    if (this.#unwritten === 0) return;
    const who = `user ${this.#user} Real-IP ${this.#address}`;
    this.#syslog.log('warning', `${who} has got ${this.#unwritten} more addresses, too fast to be written one by one`);
    this.#unwritten = 0;
  }

  #tellSession(what: string): void {
    this.#syslog.log('info', `${what}: user ${this.#user} IP ${this.#address}`);
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `${process.geteuid?.() ?? ''}`; // An id without a name.
  }
}
