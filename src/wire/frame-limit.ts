/**
 * What a switch of ours says in its answer besides the address: how long a frame it takes.
 *
 *     family:16  path NUL  "vdens" NUL  longest frame:32
 *
 * It stands in the part of a `struct sockaddr_un` that nobody reads (unix(7): the path ends at its NUL), in host byte
 * order, because it never leaves the machine. Other switches leave that part empty, or as it happens to be.
 */

const PATH_OFFSET = 2;
const MARK: Uint8Array = Buffer.from('\0vdens\0');
const LIMIT_BYTES = 4;
/** What everybody takes (an MTU of 1500, with a tag); less is no limit but chance. */
const LEAST_FRAME_BYTES = 1518;
const MOST_FRAME_BYTES = 65_600;

/** The address with that behind its path, as far as there is room. */
export function withFrameLimit(address: Uint8Array, maxFrameBytes: number): Uint8Array {
  const end = address.indexOf(0, PATH_OFFSET);
  if (end < 0 || end + MARK.length + LIMIT_BYTES > address.length) return address;
  const noted = Uint8Array.from(address);
  noted.set(MARK, end);
  noted.set(new Uint8Array(Uint32Array.of(maxFrameBytes).buffer), end + MARK.length);
  return noted;
}

/** The longest frame, in bytes, when the answer says that. */
export function frameLimitIn(address: Uint8Array): number | undefined {
  const end = address.indexOf(0, PATH_OFFSET);
  const at = end + MARK.length;
  if (end < 0 || at + LIMIT_BYTES > address.length) return undefined;
  if (Buffer.compare(address.subarray(end, at), MARK) !== 0) return undefined;
  const limit = new Uint32Array(address.slice(at, at + LIMIT_BYTES).buffer)[0]!;
  return limit >= LEAST_FRAME_BYTES && limit <= MOST_FRAME_BYTES ? limit : undefined;
}
