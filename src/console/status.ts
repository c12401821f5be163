/**
 * The line that ends an answer: a number of four digits and a text. `1000 Success`, or 1 and the kernel's number for what
 * went wrong, with the text that strerror(3) of glibc has for it: scripts compare both.
 */
import { constants } from 'node:os';
import { VdensError } from '../errors.ts';

const SUCCESS = 1000;
/** Says that a session is over; no newline follows it. */
export const END_OF_SESSION = '9999 END OF SESSION';

/** The texts of glibc for what can go wrong here. */
const TEXTS: Readonly<Record<string, string>> = {
  EPERM: 'Operation not permitted',
  ENOENT: 'No such file or directory',
  EIO: 'Input/output error',
  ENXIO: 'No such device or address',
  E2BIG: 'Argument list too long',
  EAGAIN: 'Resource temporarily unavailable',
  ENOMEM: 'Cannot allocate memory',
  EACCES: 'Permission denied',
  EBUSY: 'Device or resource busy',
  EEXIST: 'File exists',
  ENODEV: 'No such device',
  ENOTDIR: 'Not a directory',
  EISDIR: 'Is a directory',
  EINVAL: 'Invalid argument',
  ENFILE: 'Too many open files in system',
  EMFILE: 'Too many open files',
  EFBIG: 'File too large',
  ENOSPC: 'No space left on device',
  ERANGE: 'Numerical result out of range',
  ENAMETOOLONG: 'File name too long',
  ENOSYS: 'Function not implemented',
  ELOOP: 'Too many levels of symbolic links',
  ENOBUFS: 'No buffer space available',
  EADDRINUSE: 'Address already in use',
  EOPNOTSUPP: 'Operation not supported',
};

/** The status line for an errno by name, without a newline; success without one. */
export function statusLine(errno?: string): string {
  if (errno === undefined) return `${SUCCESS} Success`;
  const number = numberOf(errno) ?? numberOf('EIO') ?? 0;
  return `${SUCCESS + number} ${TEXTS[errno] ?? errno}`;
}

/** What a command that threw answers. */
export function errnoOf(error: unknown): string {
  const errno = error instanceof VdensError ? error.errno : (error as NodeJS.ErrnoException | undefined)?.code;
  return errno !== undefined && numberOf(errno) !== undefined ? errno : 'EIO';
}

function numberOf(errno: string): number | undefined {
  return (constants.errno as Readonly<Record<string, number>>)[errno];
}
