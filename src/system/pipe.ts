/** Pipes, as pairs of descriptors that nobody inherits. */
import { VdensError } from '../errors.ts';
import { errnoName, native } from './native.ts';

/** The descriptors of both ends. */
export interface Pipe {
  readonly read: number;
  readonly write: number;
}

/**
 * @param label what people call the network that it is for
 * @throws VdensError `ERR_NETWORK_OPEN` when there are no descriptors left
 */
export function openPipe(label: string): Pipe {
  const ends = new Int32Array(2);
  const result = native.openPipe(ends);
  if (result < 0) {
    const errno = errnoName(result);
    throw new VdensError('ERR_NETWORK_OPEN', `${label}: cannot make a pipe (${errno})`, { errno, syscall: 'pipe2' });
  }
  return { read: ends[0]!, write: ends[1]! };
}
