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
 * struct segment_output - where the frames go, end to end behind those that are there already.
 * @headroom: bytes that are left free before each frame
 * @bytes: must not overlap the input's arena
 * @size: bytes in @bytes
 * @used: of which so many are taken
 * @slots: one slot per frame, offload header all zero
 * @capacity: how many slots @slots has
 * @count: of which so many are taken
 * @max_frame: the longest frame the other side takes, from the Ethernet header (with any VLAN tag)
 *             to the end of the payload; longer ones are dropped
 */
struct segment_output {
	uint32_t headroom;
	uint8_t *bytes;
	size_t size;
	size_t used;
	struct frame_slot *slots;
	uint32_t capacity;
	uint32_t count;
	uint32_t max_frame;
};

/**
 * segment_batch() - makes ordinary frames of a batch.
 * @arena: where the slots' frames lie
 * @arena_size: bytes in @arena
 * @slots: the batch
 * @first: the slot to begin with
 * @count: how many slots from @first on
 * @out: where the frames go
 * @result: what became of it
 *
 * A slot's frames are produced all together or, when they do not fit the room that is left, not yet:
 * the caller empties the output and calls again from the first slot not consumed.
 */
void segment_batch(const uint8_t *arena, size_t arena_size, const struct frame_slot *slots, uint32_t first,
		   uint32_t count, struct segment_output *out, struct segment_result *result);

#endif
