/**
 * An address with the length of its network prefix: `10.0.0.1/24`, `fd00::1/64`.
 *
 * The address keeps its host bits: this is how an interface is given its address (RFC 4632, RFC 4291, 2.3).
 */
import { VdensError } from '../errors.ts';
import { formatIp, IPV4_LENGTH, parseIp } from './ip.ts';

/** An address and how many of its leading bits name the network. */
export interface IpPrefix {
  /** 4 or 16 bytes, network order. */
  readonly address: Uint8Array;
  /** In bits: 0 to 32, or 0 to 128. */
  readonly prefixLength: number;
}

/**
 * Reads `ADDRESS/LENGTH`.
 *
 * @throws {VdensError} `ERR_ADDRESS` when the address is wrong, or the length missing or too large.
 */
export function parsePrefix(text: string): IpPrefix {
  const slash = text.lastIndexOf('/');
  const address = parseIp(slash === -1 ? text : text.slice(0, slash));
  const bits = address.length * 8;
  const usual = `${formatIp(address)}/${address.length === IPV4_LENGTH ? 24 : 64}`;
  if (slash === -1) {
    throw new VdensError('ERR_ADDRESS', `"${text}" has no prefix length. Write, for example, ${usual}`, {
      value: text,
    });
  }
  const length = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(length) || Number(length) > bits) {
    const message = `"${text}": the prefix length is a number from 0 to ${bits}. Write, for example, ${usual}`;
    throw new VdensError('ERR_ADDRESS', message, { value: text });
  }
  return { address, prefixLength: Number(length) };
}

/** Writes `10.0.0.1/24`. */
export function formatPrefix(prefix: IpPrefix): string {
  return `${formatIp(prefix.address)}/${prefix.prefixLength}`;
}

/** Whether the address is in the network; never, when it is of the other family. */
export function prefixContains(prefix: IpPrefix, address: Uint8Array): boolean {
  if (address.length !== prefix.address.length) return false;
  for (let i = 0; i * 8 < prefix.prefixLength; i++) {
    const bits = Math.min(8, prefix.prefixLength - i * 8);
    const mask = (0xff00 >> bits) & 0xff;
    if ((address[i]! & mask) !== (prefix.address[i]! & mask)) return false;
  }
  return true;
}
