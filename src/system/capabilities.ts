/** Capabilities by name and by number, capabilities(7), as the programs of the cado suite write them. */

/** By number, without the `cap_` (linux/capability.h). */
export const CAPABILITY_NAMES: readonly string[] = [
  'chown',
  'dac_override',
  'dac_read_search',
  'fowner',
  'fsetid',
  'kill',
  'setgid',
  'setuid',
  'setpcap',
  'linux_immutable',
  'net_bind_service',
  'net_broadcast',
  'net_admin',
  'net_raw',
  'ipc_lock',
  'ipc_owner',
  'sys_module',
  'sys_rawio',
  'sys_chroot',
  'sys_ptrace',
  'sys_pacct',
  'sys_admin',
  'sys_boot',
  'sys_nice',
  'sys_resource',
  'sys_time',
  'sys_tty_config',
  'mknod',
  'lease',
  'audit_write',
  'audit_control',
  'setfcap',
  'mac_override',
  'mac_admin',
  'syslog',
  'wake_alarm',
  'block_suspend',
  'audit_read',
  'perfmon',
  'bpf',
  'checkpoint_restore',
];

/** A set with every capability, whether it has a name or not. */
export const ALL_CAPABILITIES: bigint = (1n << 64n) - 1n;

/** The numbers in a set that have names, in order. */
export function namedCapabilities(set: bigint): readonly number[] {
  return [...CAPABILITY_NAMES.keys()].filter((capability) => (set & capabilityBit(capability)) !== 0n);
}

/** The set of one capability. */
export function capabilityBit(capability: number): bigint {
  return 1n << BigInt(capability);
}

/**
 * Reads a list: names, and sets in hexadecimal, with commas between them. Names may begin with `cap_`, and upper case
 * is as good as lower in what follows it; of an item, what is behind a blank is not looked at, and empty items are nothing.
 *
 * @returns the set, or the item that is neither a name nor a number
 */
export function parseCapabilityList(text: string): bigint | string {
  let set = 0n;
  for (const item of text.split(',')) {
    const [word = ''] = item.replace(/^[ \t]+/, '').split(/[ \t]/);
    if (word === '') continue;
    const found = parseMask(word) ?? parseName(word);
    if (found === undefined) return word;
    set |= found;
  }
  return set;
}

/** As strtoull(3) reads it in base 16: with a sign, and a number that is too large is the largest one. */
function parseMask(word: string): bigint | undefined {
  const [, sign, digits] = /^([+-]?)(?:0x)?([0-9a-f]+)$/i.exec(word) ?? [];
  if (digits === undefined) return undefined;
  const value = BigInt(`0x${digits}`);
  if (value > ALL_CAPABILITIES) return ALL_CAPABILITIES;
  return sign === '-' ? BigInt.asUintN(64, -value) : value;
}

function parseName(word: string): bigint | undefined {
  const capability = CAPABILITY_NAMES.indexOf(word.replace(/^cap_/, '').toLowerCase());
  return capability === -1 ? undefined : capabilityBit(capability);
}
