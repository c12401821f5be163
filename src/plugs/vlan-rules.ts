/**
 * Which VLAN becomes which between an interface and its network.
 *
 * One direction is a table: what becomes of frames of each VLAN, and of those without a tag.
 *
 * ```
 * index   0 … 4095  the VLAN of the tag      4096  no tag
 * rule    0 … 4095  the VLAN it has then     PLAIN  none     DROPPED  it does not pass
 * ```
 */

/** The index of frames without a tag. */
export const NO_TAG = 4096;
/** The frame has no tag then. */
export const PLAIN = 4096;
/** The frame does not pass. */
export const DROPPED = 4097;

/** The largest number of the 12 bits in a tag (IEEE 802.1Q, 9.6). */
export const LARGEST_VLAN = 4095;

/** One VLAN, by the numbers that it has on either side. */
export interface VlanPair {
  /** On our side; 1 to 4094, as the other. */
  readonly user: number;
  /** On the network. */
  readonly network: number;
}

/** How VLANs of a network are seen. */
export interface VlanOptions {
  /**
   * The VLAN of the network whose frames have no tag on our side; 4095 for none, and nothing without a tag either.
   * @defaultValue 0: frames without a tag are those that have none on the network
   */
  readonly untagged?: number;
  /** The VLAN that the network's frames without a tag have on our side, up to 4094. @defaultValue 0: they have none */
  readonly untag?: number;
  /** VLANs that have a tag on both sides; of those that share a number, the first counts. */
  readonly tags?: readonly VlanPair[];
  /** Whether all others pass with the tag that they have; 0, 1 and 4095 do not. */
  readonly trunk?: boolean;
  /** Whether it is about service tags, 0x88A8 (IEEE 802.1ad), rather than 0x8100. */
  readonly qinq?: boolean;
}

/** Both directions, as tables. */
export interface VlanRules {
  readonly toNetwork: Uint16Array;
  readonly toUser: Uint16Array;
}

/**
 * Makes the tables. Of several pairs with the same number the first counts, as the original has it.
 *
 * @throws RangeError when a number is that of no VLAN
 */
export function vlanRules({ untagged = 0, untag = 0, tags = [], trunk = false }: VlanOptions): VlanRules {
  requireVlan('untagged', untagged, 0, LARGEST_VLAN);
  requireVlan('untag', untag, 0, LARGEST_VLAN - 1);
  for (const { user, network } of tags) {
    requireVlan('user of tags', user, 1, LARGEST_VLAN - 1);
    requireVlan('network of tags', network, 1, LARGEST_VLAN - 1);
  }
  const toNetwork = new Uint16Array(NO_TAG + 1).fill(DROPPED);
  const toUser = new Uint16Array(NO_TAG + 1).fill(DROPPED);
  for (let vlan = 2; trunk && vlan < LARGEST_VLAN; vlan++) {
    toNetwork[vlan] = vlan;
    toUser[vlan] = vlan;
  }
  for (const { user, network } of tags.toReversed()) {
    toNetwork[user] = network;
    toUser[network] = user;
  }
  toNetwork[untag] = PLAIN;
  toUser[untagged] = PLAIN;
  if (untagged === 0) toNetwork[NO_TAG] = untag === 0 ? PLAIN : DROPPED;
  else toNetwork[NO_TAG] = untagged === LARGEST_VLAN ? DROPPED : untagged;
  if (untag === 0) toUser[NO_TAG] = untagged === 0 ? PLAIN : DROPPED;
  else toUser[NO_TAG] = untag;
  return { toNetwork, toUser };
}

function requireVlan(name: string, vlan: number, smallest: number, largest: number): void {
  if (Number.isInteger(vlan) && vlan >= smallest && vlan <= largest) return;
  throw new RangeError(`${name} is ${vlan}, and no VLAN from ${smallest} to ${largest}`);
}
