/**
 * TFTP (RFC 1350) with options (RFC 2347), in both directions.
 */
import { concatenate, read16, write16 } from './bytes.ts';

export const TFTP_PORT = 69;

/** Error codes (RFC 1350, 5; RFC 2347). */
export const TFTP_ERROR = {
  undefined: 0,
  notFound: 1,
  accessViolation: 2,
  illegalOperation: 4,
  unknownTransfer: 5,
  optionsRefused: 8,
} as const;

const READ = 1;
const WRITE = 2;
const DATA = 3;
const ACKNOWLEDGEMENT = 4;
const ERROR = 5;
const OPTIONS = 6;

const HEADER = 4;
/** Longer requests are none (RFC 2347: they have to fit 512 bytes). */
const MAX_REQUEST_BYTES = 512;

/** Options by their names in lower case, in the order of the message. */
export type TftpOptions = ReadonlyMap<string, string>;

/** A packet. */
export type TftpPacket =
  | {
      readonly kind: 'read' | 'write';
      readonly name: string;
      /** In lower case: `octet`, `netascii`. */
      readonly mode: string;
      readonly options: TftpOptions;
    }
  | { readonly kind: 'data'; readonly block: number; readonly data: Uint8Array }
  | { readonly kind: 'acknowledgement'; readonly block: number }
  | { readonly kind: 'error'; readonly code: number; readonly message: string }
  | { readonly kind: 'options'; readonly options: TftpOptions };

/** Reads a whole UDP payload; undefined when it is no packet of TFTP. */
export function parseTftp(bytes: Uint8Array): TftpPacket | undefined {
  if (bytes.length < 2) return undefined;
  const operation = read16(bytes, 0);
  if (operation === READ || operation === WRITE) return parseRequest(bytes, operation === READ ? 'read' : 'write');
  if (operation === OPTIONS) {
    const options = parseOptions(textsOf(bytes.subarray(2)));
    return options && { kind: 'options', options };
  }
  if (bytes.length < HEADER) return undefined;
  switch (operation) {
    case DATA:
      return { kind: 'data', block: read16(bytes, 2), data: bytes.slice(HEADER) };
    case ACKNOWLEDGEMENT:
      return { kind: 'acknowledgement', block: read16(bytes, 2) };
    case ERROR: {
      // Some leave the final zero out.
      const [message = ''] = textsOf(concatenate(bytes.subarray(HEADER), Uint8Array.of(0))) ?? [];
      return { kind: 'error', code: read16(bytes, 2), message };
    }
    default:
      return undefined;
  }
}

/** Makes a packet. Texts end at their first zero. */
export function emitTftp(packet: TftpPacket): Uint8Array {
  switch (packet.kind) {
    case 'read':
    case 'write': {
      const operation = number16(packet.kind === 'read' ? READ : WRITE);
      return concatenate(operation, emitText(packet.name), emitText(packet.mode), ...emitOptions(packet.options));
    }
    case 'data':
      return concatenate(number16(DATA), number16(packet.block), packet.data);
    case 'acknowledgement':
      return concatenate(number16(ACKNOWLEDGEMENT), number16(packet.block));
    case 'error':
      return concatenate(number16(ERROR), number16(packet.code), emitText(packet.message));
    case 'options':
      return concatenate(number16(OPTIONS), ...emitOptions(packet.options));
  }
}

function parseRequest(bytes: Uint8Array, kind: 'read' | 'write'): TftpPacket | undefined {
  if (bytes.length > MAX_REQUEST_BYTES) return undefined;
  const texts = textsOf(bytes.subarray(2));
  if (texts === undefined) return undefined;
  const [name, mode, ...rest] = texts;
  const options = parseOptions(rest);
  if (name === undefined || mode === undefined || options === undefined) return undefined;
  return { kind, name, mode: mode.toLowerCase(), options };
}

function parseOptions(texts: readonly string[] | undefined): TftpOptions | undefined {
  if (texts === undefined || texts.length % 2 !== 0) return undefined;
  const options = new Map<string, string>();
  for (let i = 0; i < texts.length; i += 2) options.set(texts[i]!.toLowerCase(), texts[i + 1]!);
  return options;
}

/** Texts that each end with a zero; undefined when the last one does not. */
function textsOf(bytes: Uint8Array): string[] | undefined {
  const texts: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf(0, at);
    if (end === -1) return undefined;
    texts.push(Buffer.from(bytes.subarray(at, end)).toString());
    at = end + 1;
  }
  return texts;
}

function emitOptions(options: TftpOptions): Uint8Array[] {
  return Array.from(options).flatMap(([name, value]) => [emitText(name), emitText(value)]);
}

function emitText(text: string): Uint8Array {
  const [before = ''] = text.split('\0');
  return concatenate(Buffer.from(before), Uint8Array.of(0));
}

function number16(value: number): Uint8Array {
  const bytes = new Uint8Array(2);
  write16(bytes, 0, value);
  return bytes;
}
