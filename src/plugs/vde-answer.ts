/** Waiting for the one answer that a VDE switch gives: the 110 bytes of a `struct sockaddr_un`. */
import { native } from '../system/native.ts';
import { HUNG_UP, READABLE, Watch } from '../system/reactor.ts';
import { AF_UNIX, UNIX_ADDRESS_BYTES } from '../system/unix-address.ts';

/** Why there is no address. */
export type NoAnswer = 'timeout' | 'closed' | 'garbage';

/**
 * The address that arrives on a control connection, in however many pieces.
 *
 * @param deadline on the clock of `performance.now()`
 * @throws the signal's reason when it is aborted
 */
export async function receiveAnswer(
  control: number,
  deadline: number,
  signal?: AbortSignal,
): Promise<Uint8Array | NoAnswer> {
  const answer = new Uint8Array(UNIX_ADDRESS_BYTES);
  let received = 0;
  let watch: Watch | undefined;
  let timer: NodeJS.Timeout | undefined;
  let give: (outcome: Uint8Array | NoAnswer | 'aborted') => void = () => undefined;
  const outcome = new Promise<Uint8Array | NoAnswer | 'aborted'>((resolve) => {
    give = resolve;
  });
  const abort = (): void => give('aborted');
  try {
    watch = new Watch(control, READABLE, (events) => {
      const length = native.receive(control, answer.subarray(received));
      if (length > 0) received += length;
      if (received === UNIX_ADDRESS_BYTES) give(isUnixAddress(answer) ? answer : 'garbage');
      else if (length === 0 || (length < 0 && (events & HUNG_UP) !== 0)) give('closed');
      else return;
      watch?.end();
    });
    timer = setTimeout(() => give('timeout'), Math.max(0, deadline - performance.now()));
    signal?.addEventListener('abort', abort);
    if (signal?.aborted === true) abort();
    const end = await outcome;
    if (end === 'aborted') throw signal?.reason;
    return end;
  } finally {
    watch?.end();
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

/** An address of another family would disconnect our socket instead of connecting it (connect(2), AF_UNSPEC). */
function isUnixAddress(address: Uint8Array): boolean {
  return new Uint16Array(address.buffer, 0, 1)[0] === AF_UNIX;
}
