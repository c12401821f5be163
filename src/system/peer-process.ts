/** Whose process is at the other end of a Unix socket (SO_PEERCRED, unix(7)). */
import { native } from './native.ts';

const CREDENTIAL_WORDS = 3;

/** A process and its user. */
export interface PeerProcess {
  readonly pid: number;
  readonly uid: number;
}

/**
 * The process at the other end of a connection, as it was when it connected; of a connection that we made, as it was
 * when it began to listen. `undefined` when the kernel does not tell.
 */
export function peerProcess(connection: number): PeerProcess | undefined {
  const credentials = new Int32Array(CREDENTIAL_WORDS);
  if (native.peerCredentials(connection, credentials) < 0) return undefined;
  return { pid: credentials[0]!, uid: credentials[1]! >>> 0 };
}
