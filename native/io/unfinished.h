/*
 * Packets with an unfinished checksum, as the kernel hands them on between interfaces of one machine: the field holds
 * the sum of the pseudo-header alone, and a packet may be a super-frame. A VXLAN device sends such packets through a
 * veth pair, and nothing in the datagram says so; what has to be done is found in the packet itself.
 *
 * Pure byte work; no system calls.
 */
#ifndef VDENS_UNFINISHED_H
#define VDENS_UNFINISHED_H

#include <stdbool.h>
#include <stdint.h>

#include "slot.h"

/**
 * note_unfinished() - fills in a frame's offload header when its checksum is left to do.
 * @slot: the frame's; its offload header is all zero
 * @frame: the frame, of the slot's length
 * @longest: a longer frame is a super-frame; TCP is to be cut so that its segments have this length
 * @udp_segment: how many bytes of payload the segments of UDP have; 0 when that is not known
 *
 * One complete packet in 65,536 looks so, too. To it is done what it does not need, and does not harm: its checksum
 * would come out the same.
 */
void note_unfinished(struct frame_slot *slot, const uint8_t *frame, uint32_t longest, uint32_t udp_segment);

/* Whether a frame of that length holds an IP packet to its very end. */
bool is_whole_packet(const uint8_t *frame, uint32_t length, uint32_t expected);

#endif
