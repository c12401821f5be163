/**
 * The one error class of this package: text for people, a `code` for programs.
 *
 * The message is a single line that says what was tried, on what, what happened and what to do.
 * Programs match on `code`; the codes are listed in docs/errors.md with cause and remedy.
 */

/** Facts behind an error, for programs; all optional. */
export interface VdensErrorDetails {
  /** The value that was wrong, as it was given. */
  readonly value?: string;
  /** The kernel's name for what failed, such as `ECONNREFUSED`. */
  readonly errno?: string;
  /** The system call that failed. */
  readonly syscall?: string;
  /** The error this one was made from. */
  readonly cause?: unknown;
}

/** Codes that a {@link VdensError} can carry. */
export type VdensErrorCode =
  | 'ERR_USAGE'
  | 'ERR_LOCATOR'
  | 'ERR_ADDRESS'
  | 'ERR_NETWORK_OPEN'
  | 'ERR_NETWORK_TIMEOUT'
  | 'ERR_PATH'
  | 'ERR_KEY'
  | 'ERR_CONTROL'
  | 'ERR_NAMESPACE'
  | 'ERR_TAP'
  | 'ERR_NETLINK'
  | 'ERR_COMMAND'
  | 'ERR_NATIVE'
  | 'ERR_SWITCH'
  | 'ERR_CLOSED';

const brand = Symbol.for('vdens.error');

/** An error of this package. `instanceof` works across copies of the package. */
export class VdensError extends Error {
  readonly code: VdensErrorCode;
  readonly value: string | undefined;
  readonly errno: string | undefined;
  readonly syscall: string | undefined;

  constructor(code: VdensErrorCode, message: string, details: VdensErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'VdensError';
    this.code = code;
    this.value = details.value;
    this.errno = details.errno;
    this.syscall = details.syscall;
    Object.defineProperty(this, brand, { value: true });
  }

  static override [Symbol.hasInstance](candidate: unknown): boolean {
    return typeof candidate === 'object' && candidate !== null && brand in candidate;
  }
}

/** What is shown of a text that is wrong, in characters. */
const LONGEST_QUOTE = 80;

/** A text in quotes, for a message: on one line, and not too long. */
export function quote(text: string): string {
  return `"${printable(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text)}"`;
}

/** The text with its control characters written out: it stays on one line, and does nothing to a terminal. */
export function printable(text: string): string {
  const hex = (char: string): string => char.charCodeAt(0).toString(16).padStart(2, '0');
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (char) => `\\x${hex(char)}`);
}
