/**
 * The multicast groups that interfaces of this process's network namespace are in, as /proc/net shows them.
 *
 * A socket goes on listing a group after its interface went, or lost its protocol: only here it can be seen that
 * nothing arrives for it any more.
 *
 * ```
 * /proc/net/igmp     Idx  Device  : Count Querier  Group     Users …      /proc/net/igmp6
 *                    2    eth0    :     2      V3                         2  eth0  ff0556de…0001  1 00000004 0
 *                                               010000EF      1 …
 * ```
 */
import { readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { IPV4_LENGTH } from '../net/ip.ts';

/** Whether an interface is in the group; true, too, when the kernel does not tell. */
export function isMember(group: Uint8Array, interfaceIndex: number): boolean {
  const isIpv4 = group.length === IPV4_LENGTH;
  try {
    const text = readFileSync(isIpv4 ? '/proc/net/igmp' : '/proc/net/igmp6', 'latin1');
    return isIpv4 ? isListed(text, group, interfaceIndex) : isListed6(text, group, interfaceIndex);
  } catch {
    return true;
  }
}

function isListed(text: string, group: Uint8Array, interfaceIndex: number): boolean {
  // The address as a number of this machine.
  const bytes = endianness() === 'LE' ? Buffer.from(group).reverse() : Buffer.from(group);
  const wanted = bytes.toString('hex').toUpperCase();
  let index = 0;
  for (const line of text.split('\n')) {
    const [first = ''] = line.trim().split(/\s+/);
    if (/^\s/.test(line)) {
      if (index === interfaceIndex && first === wanted) return true;
    } else {
      index = Number(first);
    }
  }
  return false;
}

function isListed6(text: string, group: Uint8Array, interfaceIndex: number): boolean {
  const wanted = Buffer.from(group).toString('hex');
  return text.split('\n').some((line) => {
    const [index, , address] = line.trim().split(/\s+/);
    return Number(index) === interfaceIndex && address === wanted;
  });
}
