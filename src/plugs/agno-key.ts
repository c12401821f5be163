/**
 * Keys of `agno://`: 32 hexadecimal digits in a file that nobody else may read.
 *
 * Whatever is no digit is left out, so the digits may stand in groups; digits that are missing are zero. One quirk of the
 * original is part of the format: an upper-case `A` counts as 1.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { quote, VdensError } from '../errors.ts';

/** Of AES-128. */
export const AGNO_KEY_BYTES = 16;

const DIGITS = 2 * AGNO_KEY_BYTES;
/** Fewer make no byte. */
const FEWEST_DIGITS = 2;
/** Bytes of a key file that are looked at. */
const MAX_KEY_FILE_BYTES = 65_536;

const OTHER_FILE = `Name a file of yours with ${DIGITS} hexadecimal digits`;

/** A key, and how much of it was given. */
export interface AgnoKey {
  /** 16 bytes. */
  readonly key: Uint8Array;
  /** Of 32. */
  readonly digits: number;
}

/** The key that a text has; `undefined` when there is none in it. */
export function parseAgnoKey(text: string): AgnoKey | undefined {
  const digits = [...text].filter((char) => /[\da-f]/i.test(char)).slice(0, DIGITS);
  if (digits.length < FEWEST_DIGITS) return undefined;
  const hex = digits.map((digit) => (digit === 'A' ? '1' : digit)).join('');
  return { key: Buffer.from(hex.padEnd(DIGITS, '0'), 'hex'), digits: digits.length };
}

/**
 * Reads the key in a file. A link is followed; the file that it leads to has to be ours or root's, and nobody but its
 * owner and, for reading, its group may get at it.
 *
 * @param label what people call the network
 * @throws VdensError `ERR_KEY` when there is no such file, no key in it, or others have or had their hands on it
 */
export function readAgnoKey(path: string, label: string = path): AgnoKey {
  const fail = (problem: string, errno?: string): VdensError => {
    const details = { value: path, ...(errno === undefined ? {} : { errno }) };
    return new VdensError('ERR_KEY', `${label}: ${problem}`, details);
  };
  const text = read(path, fail);
  const key = parseAgnoKey(text);
  if (key !== undefined) return key;
  throw fail(`there is no key in ${quote(path)}. ${howToMakeOne(path)}`);
}

type Fail = (problem: string, errno?: string) => VdensError;

function read(path: string, fail: Fail): string {
  let fd: number | undefined;
  try {
    // Whoever waits at the other end of a FIFO would be waited for.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const problem = mistrust(path, fstatSync(fd));
    if (problem !== undefined) throw fail(problem);
    const buffer = Buffer.alloc(MAX_KEY_FILE_BYTES);
    return buffer.toString('latin1', 0, readSync(fd, buffer));
  } catch (error) {
    if (error instanceof VdensError) throw error;
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    const remedy = errno === 'ENOENT' ? howToMakeOne(path) : OTHER_FILE;
    throw fail(`cannot read the key ${quote(path)} (${errno}). ${remedy}`, errno);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Why the file cannot be taken for a secret of ours, if that is so. */
function mistrust(path: string, { mode, uid }: Stats): string | undefined {
  const file = quote(path);
  if ((mode & constants.S_IFMT) !== constants.S_IFREG) {
    return `the key ${file} is not a regular file. ${OTHER_FILE}`;
  }
  if (uid !== process.geteuid?.() && uid !== 0) {
    return `the key ${file} belongs to another user (${uid}), who can change it. Take a file of your own`;
  }
  if ((mode & 0o022) !== 0) return `others may change the key ${file}. See who did, then: chmod 600 ${path}`;
  if ((mode & 0o004) === 0) return undefined;
  return `others may read the key ${file}. If they must not have it, make a new one; then: chmod 600 ${path}`;
}

function howToMakeOne(path: string): string {
  return `Make one with: (umask 077; od -An -N16 -tx1 /dev/urandom > ${path})`;
}
