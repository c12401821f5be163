/**
 * Tells a socket of each frame that has passed, as wirefilter(1) does: one datagram each, `ID LR 44`, with a length that
 * includes the two bytes of it on a stream. Lamps blink that way. Who does not read misses some.
 */
import { VdensError } from '../errors.ts';
import { errnoName, native } from '../system/native.ts';
import { AF_UNIX, SOCK_DGRAM, unixAddress } from '../system/unix-address.ts';
import type { Direction } from './value.ts';

const LENGTH_BYTES = 2;
const PID_DIGITS = 6;

/** How the original identifies itself. */
export function usualBlinkId(): string {
  return `${process.pid}`.padStart(PID_DIGITS, '0');
}

export class Blinker {
  readonly #fd: number;
  readonly #address: Uint8Array;
  readonly #id: string;
  readonly #isBidirectional: boolean;

  /**
   * @param path of the datagram socket
   * @throws VdensError `ERR_NETWORK_OPEN` when the path is too long, or there are no descriptors left
   */
  constructor(path: string, id: string, isBidirectional: boolean) {
    this.#address = unixAddress(path);
    this.#id = id;
    this.#isBidirectional = isBidirectional;
    this.#fd = native.openSocket(AF_UNIX, SOCK_DGRAM, 0);
    if (this.#fd >= 0) return;
    const errno = errnoName(this.#fd);
    throw new VdensError('ERR_NETWORK_OPEN', `${path}: cannot make a socket (${errno})`, { errno, syscall: 'socket' });
  }

  blink(direction: Direction, length: number): void {
    const way = this.#isBidirectional ? direction : '--';
    const text = `${this.#id} ${way} ${length + LENGTH_BYTES}\n`;
    native.sendTo(this.#fd, Buffer.from(text), this.#address);
  }

  close(): void {
    native.closeDescriptor(this.#fd);
  }
}
