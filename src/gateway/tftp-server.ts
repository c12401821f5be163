/**
 * TFTP for guests (RFC 1350, 2347-2349, 7440): one directory, read-only.
 *
 * Everything comes from port 69. A server may take another port for each transfer, but the gateway's other ports lead
 * to services of the host; a guest's own port tells its transfers apart.
 */
import { printable } from '../errors.ts';
import { formatIp } from '../net/ip.ts';
import { emitTftp, parseTftp, TFTP_ERROR, TFTP_PORT, type TftpOptions } from '../wire/tftp.ts';
import { bytesKey } from './address-set.ts';
import { emitDatagram, type GuestDatagram } from './guest-frames.ts';
import { ServedFile } from './served-file.ts';
import type { ServiceDoors } from './service-doors.ts';
import { TftpTransfer, type TransferOptions, type TransferState } from './tftp-transfer.ts';

/** Transfers at a time. */
export const MAX_TFTP_SESSIONS = 64;
/** Blocks that are on their way at once. */
export const MAX_TFTP_WINDOW = 16;
/** Seconds that a client may choose for {@link DEFAULT_TIMEOUT_MS}; with more, guests that have gone would fill the table. */
const MAX_TFTP_TIMEOUT = 10;
/** Until what is not acknowledged is sent again. */
const DEFAULT_TIMEOUT_MS = 2000;
/** RFC 1350, and RFC 2348 for the least. */
const DEFAULT_BLOCK_BYTES = 512;
const MIN_BLOCK_BYTES = 8;
const MAX_BLOCK_BYTES = 65_464;
/** UDP header, operation and number of the block. */
const OVERHEAD_BYTES = 12;

type Request = Extract<ReturnType<typeof parseTftp>, { kind: 'read' | 'write' }>;

/** Serves files. */
export class TftpServer {
  readonly #directory: string;
  readonly #mtu: number;
  readonly #mac: Uint8Array;
  readonly #doors: ServiceDoors;
  readonly #transfers = new Map<string, TftpTransfer>();

  /** @param mtu of the guests' network: blocks are not fragmented */
  constructor(directory: string, mtu: number, mac: Uint8Array, doors: ServiceDoors) {
    this.#directory = directory;
    this.#mtu = mtu;
    this.#mac = mac;
    this.#doors = doors;
  }

  /** A datagram to port 69 of the gateway. */
  receive(datagram: GuestDatagram): void {
    const packet = parseTftp(datagram.payload);
    const key = `${bytesKey(datagram.source)} ${bytesKey(datagram.destination)} ${datagram.sourcePort}`;
    switch (packet?.kind) {
      case 'read':
        this.#start(datagram, key, packet);
        break;
      case 'write':
        this.#refuse(datagram, TFTP_ERROR.accessViolation, 'files are only to be read');
        break;
      case 'acknowledgement':
        this.#acknowledge(datagram, key, packet.block);
        break;
      case 'error':
        this.#end(key);
        break;
      case 'data':
      case 'options':
        this.#refuse(datagram, TFTP_ERROR.illegalOperation, 'nothing was asked for');
        break;
      default:
        break;
    }
  }

  /** Sends again what is due, and ends transfers of guests that have gone. */
  tick(): void {
    for (const [key, transfer] of this.#transfers) this.#step(key, () => transfer.tick(this.#doors.now()));
  }

  close(): void {
    for (const key of [...this.#transfers.keys()]) this.#end(key);
  }

  #start(datagram: GuestDatagram, key: string, request: Request): void {
    // A request that comes again finds a file that is read from the beginning.
    this.#end(key);
    const name = printable(request.name);
    if (request.mode !== 'octet' && request.mode !== 'netascii') {
      this.#refuse(datagram, TFTP_ERROR.illegalOperation, 'the mode is octet or netascii');
      return;
    }
    if (this.#transfers.size >= MAX_TFTP_SESSIONS) {
      this.#refuse(datagram, TFTP_ERROR.undefined, 'too many transfers at a time');
      return;
    }
    const file = ServedFile.open(this.#directory, request.name);
    if (file === 'not-found') this.#refuse(datagram, TFTP_ERROR.notFound, 'there is no such file');
    else if (file === 'forbidden') this.#refuse(datagram, TFTP_ERROR.accessViolation, 'the file is not served');
    else {
      const options = this.#agree(request, file, datagram.source.length === 4);
      const transfer = new TftpTransfer(file, options, (packet) => this.#send(datagram, packet));
      this.#transfers.set(key, transfer);
      this.#step(key, () => {
        transfer.start(this.#doors.now());
        return 'goes-on';
      });
    }
    const outcome = typeof file === 'string' ? `: ${file}` : '';
    this.#doors.log(`TFTP: ${formatIp(datagram.source)} reads ${name}${outcome}`);
  }

  #acknowledge(datagram: GuestDatagram, key: string, block: number): void {
    const transfer = this.#transfers.get(key);
    // A last acknowledgement that comes twice is no reason for an error.
    if (transfer === undefined) return;
    if (!this.#step(key, () => transfer.acknowledge(block, this.#doors.now()))) {
      this.#refuse(datagram, TFTP_ERROR.undefined, 'the file cannot be read any more');
    }
  }

  /** Goes on with a transfer, and ends it when it is over; false when its file failed. */
  #step(key: string, action: () => TransferState): boolean {
    try {
      if (action() !== 'goes-on') this.#end(key);
      return true;
    } catch {
      this.#end(key);
      return false;
    }
  }

  #end(key: string): void {
    this.#transfers.get(key)?.close();
    this.#transfers.delete(key);
  }

  /** What of the client's options holds; those that are wrong or unknown are passed over (RFC 2347). */
  #agree({ mode, options }: Request, file: ServedFile, isV4: boolean): TransferOptions {
    const isText = mode === 'netascii';
    const accepted = new Map<string, string>();
    const largest = Math.min(MAX_BLOCK_BYTES, this.#mtu - (isV4 ? 20 : 40) - OVERHEAD_BYTES);
    const agreed = (name: string, least: number, most: number): number | undefined => {
      const value = numberIn(options, name);
      if (value === undefined || value < least) return undefined;
      accepted.set(name, String(Math.min(value, most)));
      return Math.min(value, most);
    };
    const blockSize = agreed('blksize', MIN_BLOCK_BYTES, largest) ?? DEFAULT_BLOCK_BYTES;
    const timeout =
      (numberIn(options, 'timeout') ?? 0) <= MAX_TFTP_TIMEOUT ? agreed('timeout', 1, MAX_TFTP_TIMEOUT) : undefined;
    const window = isText ? 1 : (agreed('windowsize', 1, MAX_TFTP_WINDOW) ?? 1);
    // How long it will be as text is not known (RFC 2349: octets as they are transferred).
    if (!isText && numberIn(options, 'tsize') !== undefined) accepted.set('tsize', String(file.size));
    const timeoutMs = timeout === undefined ? DEFAULT_TIMEOUT_MS : timeout * 1000;
    return { isText, blockSize, window, timeoutMs, accepted };
  }

  #refuse(datagram: GuestDatagram, code: number, message: string): void {
    this.#send(datagram, emitTftp({ kind: 'error', code, message }));
  }

  #send(to: GuestDatagram, packet: Uint8Array): void {
    const path = {
      source: to.destination,
      destination: to.source,
      sourceMac: this.#mac,
      destinationMac: to.sourceMac,
    };
    const ports = { sourcePort: TFTP_PORT, destinationPort: to.sourcePort };
    this.#doors.send(emitDatagram(path, ports, packet));
  }
}

function numberIn(options: TftpOptions, name: string): number | undefined {
  const text = options.get(name);
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
