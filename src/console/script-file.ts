/** Files of commands, which people name: what is no such file is not read, nor waited for. */
import { closeSync, constants as fs, fstatSync, openSync, readSync } from 'node:fs';
import { commandError } from './command.ts';

/** As large as a file of commands may be, in bytes. */
const MAX_SCRIPT_BYTES = 1_048_576;

/**
 * What is in a file of commands, which has to be a regular one: to read from others may take for ever.
 *
 * @throws VdensError `ERR_USAGE` with an errno, or an error of the system
 */
export function readScriptFile(path: string): Uint8Array {
  const fd = openSync(path, fs.O_RDONLY | fs.O_NONBLOCK | fs.O_NOCTTY);
  try {
    const stats = fstatSync(fd);
    if (stats.isDirectory()) throw commandError('EISDIR', 'it is a directory', path);
    if (!stats.isFile()) throw commandError('EINVAL', 'it is not a regular file', path);
    return readAll(fd, path);
  } finally {
    closeSync(fd);
  }
}

/** Its size says nothing: it may grow, and those of proc(5) have none. */
function readAll(fd: number, path: string): Uint8Array {
  const bytes = Buffer.allocUnsafe(MAX_SCRIPT_BYTES + 1);
  let length = 0;
  for (let count = -1; count !== 0 && length < bytes.length; length += count) {
    count = readSync(fd, bytes, length, bytes.length - length, null);
  }
  if (length > MAX_SCRIPT_BYTES) throw commandError('EFBIG', 'it is too large for a file of commands', path);
  return bytes.subarray(0, length);
}
