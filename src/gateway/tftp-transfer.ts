/**
 * One file on its way to one guest (RFC 1350): blocks, their numbers, and when they are sent again.
 *
 * Blocks are read when they are sent, so a transfer is as large as one block, whatever the file is.
 */
import { emitTftp, type TftpOptions } from '../wire/tftp.ts';
import type { ServedFile } from './served-file.ts';

/** How often what is not acknowledged is sent again before the guest is taken for gone. */
export const MAX_TFTP_RETRIES = 5;

/** What client and server agreed on. */
export interface TransferOptions {
  /** Line ends as on a terminal: CR LF (RFC 764); `octet` otherwise. */
  readonly isText: boolean;
  /** Bytes. */
  readonly blockSize: number;
  /** Blocks that are sent before one is acknowledged (RFC 7440); 1 for text. */
  readonly window: number;
  readonly timeoutMs: number;
  /** What is acknowledged of the client's options; empty for none. */
  readonly accepted: TftpOptions;
}

/** Whether a transfer goes on. */
export type TransferState = 'goes-on' | 'complete' | 'given-up';

/** The sending side of one transfer. */
export class TftpTransfer {
  readonly #file: ServedFile;
  readonly #options: TransferOptions;
  readonly #send: (packet: Uint8Array) => void;
  /** Blocks that the guest has, from 1 on and not modulo 2^16. */
  #acknowledged = 0;
  /** Blocks that were sent. */
  #sent = 0;
  /** The number of the last block, when it is known: it is a short one. */
  #last = Number.POSITIVE_INFINITY;
  #areOptionsOpen: boolean;
  #retries = 0;
  #dueAt = 0;
  /** Of text, which has no fixed places: the block that is on its way, and where the next one begins. */
  #textNumber = 0;
  #textBlock: Uint8Array = new Uint8Array();
  #textPosition = 0;
  #textRest: readonly number[] = [];

  /** @param send takes UDP payloads */
  constructor(file: ServedFile, options: TransferOptions, send: (packet: Uint8Array) => void) {
    this.#file = file;
    this.#options = options;
    this.#send = send;
    this.#areOptionsOpen = options.accepted.size > 0;
  }

  /** @throws Error of the system when the file cannot be read; so with the others */
  start(now: number): void {
    this.#transmit(now);
  }

  /** The guest has everything up to this block, whose number is modulo 2^16. */
  acknowledge(block: number, now: number): TransferState {
    if (this.#areOptionsOpen) {
      if (block !== 0) return 'goes-on';
      this.#areOptionsOpen = false;
    } else {
      const ahead = (block - this.#acknowledged) & 0xffff;
      // What is late is not answered: each of two would call for an answer from then on (RFC 1123, 4.2.3.1).
      if (ahead === 0 || this.#acknowledged + ahead > this.#sent) return 'goes-on';
      this.#acknowledged += ahead;
      if (this.#acknowledged >= this.#last) return 'complete';
      // A window that was not taken as a whole is sent again from the gap on.
      this.#sent = this.#acknowledged;
    }
    this.#retries = 0;
    this.#transmit(now);
    return 'goes-on';
  }

  /** Sends again what was not acknowledged in time. */
  tick(now: number): TransferState {
    if (now < this.#dueAt) return 'goes-on';
    if (this.#retries === MAX_TFTP_RETRIES) return 'given-up';
    this.#retries++;
    this.#sent = this.#acknowledged;
    this.#transmit(now);
    return 'goes-on';
  }

  close(): void {
    this.#file.close();
  }

  #transmit(now: number): void {
    this.#dueAt = now + this.#options.timeoutMs;
    if (this.#areOptionsOpen) {
      this.#send(emitTftp({ kind: 'options', options: this.#options.accepted }));
      return;
    }
    const end = this.#acknowledged + this.#options.window;
    while (this.#sent < Math.min(end, this.#last)) {
      const number = this.#sent + 1;
      const data = this.#blockAt(number);
      if (data.length < this.#options.blockSize) this.#last = number;
      this.#send(emitTftp({ kind: 'data', block: number & 0xffff, data }));
      this.#sent = number;
    }
  }

  #blockAt(number: number): Uint8Array {
    const { isText, blockSize } = this.#options;
    return isText ? this.#textAt(number) : this.#file.read((number - 1) * blockSize, blockSize);
  }

  /** Text is read once and kept: the window is one block. */
  #textAt(number: number): Uint8Array {
    if (number === this.#textNumber) return this.#textBlock;
    const { blockSize } = this.#options;
    const block: number[] = [...this.#textRest];
    while (block.length < blockSize) {
      const piece = this.#file.read(this.#textPosition, blockSize - block.length);
      if (piece.length === 0) break;
      this.#textPosition += piece.length;
      for (const byte of piece) block.push(...asText(byte));
    }
    this.#textNumber = number;
    this.#textBlock = Uint8Array.from(block.slice(0, blockSize));
    this.#textRest = block.slice(blockSize);
    return this.#textBlock;
  }
}

function asText(byte: number): number[] {
  if (byte === 0x0a) return [0x0d, 0x0a];
  return byte === 0x0d ? [0x0d, 0] : [byte];
}
