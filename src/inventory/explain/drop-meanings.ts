/** Why frames are dropped, in clauses for people. */

/** By reason (`DropReason`). */
const MEANINGS: Readonly<Record<string, string>> = {
  'peer-slow': 'the other side did not take them in time',
  'queue-full': 'there was no room left in the queue',
  'too-long': 'they are longer than the other side takes: use a smaller --mtu',
  'too-short': 'they are shorter than an Ethernet header',
  malformed: 'what describes them does not fit them',
  down: 'nobody was at the other end',
  refused: 'the kernel refused them',
  'foreign-vni': 'they belong to another VXLAN network',
  'foreign-sender': 'somebody sent them who is not at the other end of the line',
  'bad-header': 'they do not begin with the header of this network',
  echo: 'they were our own, sent to a group that we are in',
  'foreign-vlan': 'they belong to a VLAN that the port is not in',
  blocked: 'the spanning tree keeps the port closed',
  undeciphered: 'the key does not open them: is it the same on both sides',
  'out-of-window': 'they were enciphered at another time than now: do the clocks of both agree',
  replayed: 'they had been here before',
  impaired: 'they were lost on purpose, by vde tc or wirefilter',
};

/** Such as are no sign of trouble. */
const HARMLESS: ReadonlySet<string> = new Set(['echo', 'foreign-vni']);

/** What a reason for a drop means; the reason itself, when it is a newer one. */
export function meaningOfDrop(reason: string): string {
  return MEANINGS[reason] ?? reason;
}

/** Whether frames are dropped for this reason although all is well. */
export function isHarmlessDrop(reason: string): boolean {
  return HARMLESS.has(reason);
}

/** Whether it has a sentence of its own. */
export function isKnownDrop(reason: string): boolean {
  return MEANINGS[reason] !== undefined;
}
