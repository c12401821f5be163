/*
 * Turns a batch that may hold super-frames into ordinary frames: cuts TCP and UDP super-frames as
 * the kernel's software segmentation does (net/ipv4/tcp_offload.c, udp_offload.c), completes the
 * checksums that were left to do, and copies everything else byte for byte.
 */
#ifndef VDENS_SEGMENT_H
#define VDENS_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "slot.h"

/**
 * struct segment_result - what became of the slots.
 * @consumed: slots dealt with, counted from the first; less than asked for when the room ran out
 * @produced: frames in the output
 * @malformed: slots dropped: they do not lie in the arena, their offload header does not fit the
 *             frame, or they could not even be put into an empty output
 * @too_long: output frames dropped because they were longer than allowed
 */
struct segment_result {
	uint32_t consumed;
	uint32_t produced;
	uint32_t malformed;
	uint32_t too_long;
};

/**
 * segment_batch() - makes ordinary frames of a batch.
 * @arena: where the slots' frames lie
 * @arena_size: bytes in @arena
 * @slots: the batch
 * @first: the slot to begin with
 * @count: how many slots from @first on
 * @out: where the frames go, end to end; must not overlap @arena
 * @out_size: bytes in @out
 * @out_slots: one slot per output frame, offload header all zero
 * @out_capacity: how many slots @out_slots has
 * @max_frame: the longest frame the other side takes, from the Ethernet header (with any VLAN tag)
 *             to the end of the payload; longer ones are dropped
 * @result: what became of it
 *
 * A slot's frames are produced all together or, when they do not fit the room that is left, not yet:
 * the caller empties the output and calls again from the first slot not consumed.
 */
void segment_batch(const uint8_t *arena, size_t arena_size, const struct frame_slot *slots, uint32_t first,
		   uint32_t count, uint8_t *out, size_t out_size, struct frame_slot *out_slots, uint32_t out_capacity,
		   uint32_t max_frame, struct segment_result *result);

#endif
