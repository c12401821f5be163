/**
 * What a command tells its user: lines on standard error, a text on standard output.
 *
 * Not by process.stderr: a reader that went away or a full disk would end us by an 'error' event, and a pipe that
 * nobody reads would hold up the frames.
 */
import { closeSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { VdensError } from '../errors.ts';
import { openWithoutWaiting } from '../system/open-without-waiting.ts';

/** C0, C1, and what changes the direction or the lines of text (Unicode's Bidi_Control, U+2028, U+2029). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Control characters as `\x1b` or `\u202e` (they could do things to a terminal or a reader), ends of lines as spaces. */
export function printable(text: string): string {
  return text.replaceAll('\n', ' ').replace(UNPRINTABLE, (character) => {
    const code = character.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
  });
}

/** As {@link printable}, of a text whose lines and tabulators stay. */
export function printableText(text: string): string {
  return text.replaceAll(/[^\n\t]+/g, printable);
}

/** Writes a line to standard error. When it cannot be written there is nobody to tell. */
export function writeErrorLine(line: string): void {
  writeLine(2, line);
}

/** As {@link writeErrorLine}, but a line that would have to wait for a reader is dropped. */
export function writeErrorLineNow(line: string): void {
  const own = openWithoutWaiting(2);
  writeLine(own ?? 2, line);
  if (own !== undefined) closeSync(own);
}

function writeLine(fd: number, line: string): void {
  try {
    writeSync(fd, `${printable(line)}\n`);
  } catch {
    // The command that runs is not to end for it.
  }
}

/** How long a reader of standard error may take nothing before the rest of a text is dropped, in milliseconds. */
const READER_TIMEOUT_MS = 2000;
const READER_PAUSE_MS = 10;

/**
 * Writes a text of several lines to standard error, in one piece as far as the reader takes it.
 *
 * @param text safe to print
 */
export async function writeErrorText(text: string): Promise<void> {
  const own = openWithoutWaiting(2);
  try {
    await writeAll(own ?? 2, Buffer.from(text));
  } catch {
    // There is nobody to tell.
  } finally {
    if (own !== undefined) closeSync(own);
  }
}

async function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
  let deadline = performance.now() + READER_TIMEOUT_MS;
  for (let rest = bytes; rest.length > 0 && performance.now() < deadline; ) {
    const written = writeSome(fd, rest);
    rest = rest.subarray(written);
    if (written > 0) deadline = performance.now() + READER_TIMEOUT_MS;
    else await sleep(READER_PAUSE_MS);
  }
}

function writeSome(fd: number, bytes: Uint8Array): number {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}

/** That standard output does not take what is written. */
export function outputError(cause: NodeJS.ErrnoException): VdensError {
  const { code = '' } = cause;
  return new VdensError('ERR_COMMAND', `cannot write to standard output (${code || cause.message})`, {
    errno: code,
    syscall: 'write',
    cause,
  });
}

/** Whether somebody has read what he wanted, and went away: no error, as of programs that end by SIGPIPE. */
export function isReaderGone(error: unknown): boolean {
  return error instanceof VdensError && error.syscall === 'write' && error.errno === 'EPIPE';
}

/**
 * Writes a text to standard output.
 *
 * @throws {VdensError} `ERR_COMMAND` when not all of it could be written
 */
export function writeOutput(text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException): void => {
      reject(outputError(cause));
    };
    process.stdout.on('error', fail);
    process.stdout.write(text, (error) => {
      // The event comes after this.
      if (error) return fail(error);
      process.stdout.off('error', fail);
      resolve();
    });
  });
}
