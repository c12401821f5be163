/*
 * Finds the TCP segments of a batch that can be handed to a TAP as one super-frame, as the kernel's
 * receive offload would (net/ipv4/tcp_offload.c, tcp_gro_receive()). Nothing is copied but headers:
 * the outcome is a plan, and join_iovec() says for each of its groups what to write.
 *
 * The arena is only read, so one batch can go to several TAPs.
 */
#ifndef VDENS_JOIN_H
#define VDENS_JOIN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "slot.h"

/* How many slots one plan can cover. */
#define JOIN_MAX_SLOTS 256
/* How many segments one super-frame can be made of. */
#define JOIN_MAX_PIECES 64
/* How many parts join_iovec() can fill: virtio-net header, frame headers, payloads. */
#define JOIN_MAX_PARTS (2 + JOIN_MAX_PIECES)
/* Ethernet with two VLAN tags, the larger IP header (no options), TCP with all its options. */
#define JOIN_MAX_HEADERS (14 + 8 + 40 + 60)
/* Ends a chain of pieces. */
#define JOIN_END UINT32_MAX

/**
 * struct join_group - what goes into one write.
 * @first_slot: the slot it begins with
 * @pieces: of how many slots it consists
 * @offload: the virtio-net header to write before it; that of the slot when there is one piece
 */
struct join_group {
	uint32_t first_slot;
	uint32_t pieces;
	struct offload_header offload;
};

/**
 * struct join_piece - the payload of a slot that is in a group of several.
 * @next: the slot of the group's next piece, or JOIN_END
 * @payload: where in the arena its TCP payload begins
 * @length: bytes of payload
 */
struct join_piece {
	uint32_t next;
	uint32_t payload;
	uint32_t length;
};

/**
 * struct join_candidate - while planning: the TCP segment a group began with, and how far it got.
 * @frame: where the first segment's frame begins in the arena
 * @network: the IP header's offset in the frame
 * @transport: the TCP header's offset in the frame
 * @headers: bytes from the frame's begin to the payload
 * @payload: bytes of payload of the first segment: every later one but the last has as many
 * @total: bytes of payload so far
 * @next_sequence: the sequence number that continues it
 * @next_identification: the IPv4 identification that continues it
 * @last_slot: the piece that came last
 * @chain: the next open group in the same bucket, or JOIN_END
 * @verified: the first segment's checksums were looked at, and are right
 */
struct join_candidate {
	uint32_t frame;
	uint16_t network;
	uint16_t transport;
	uint16_t headers;
	uint16_t payload;
	uint32_t total;
	uint32_t next_sequence;
	uint16_t next_identification;
	uint16_t verified;
	uint32_t last_slot;
	uint32_t chain;
};

#define JOIN_BUCKETS 64

/**
 * struct join_plan - the caller's memory for a plan, about 45 KiB; needs no initialisation.
 * @count: how many groups there are
 * @malformed: slots left out because they do not lie in the arena
 * @groups: in the order in which to write them
 * @pieces: indexed by slot; meaningful for the slots of groups of several pieces
 * @candidates: while planning, indexed as @groups
 * @buckets: while planning, the open groups by a hash of their flow
 * @headers: for the nth group of several pieces, its frame headers, patched
 * @header_lengths: how many bytes of them
 * @header_of: which of them belongs to a group, indexed as @groups
 */
struct join_plan {
	uint32_t count;
	uint32_t malformed;
	struct join_group groups[JOIN_MAX_SLOTS];
	struct join_piece pieces[JOIN_MAX_SLOTS];
	struct join_candidate candidates[JOIN_MAX_SLOTS];
	uint32_t buckets[JOIN_BUCKETS];
	uint8_t headers[JOIN_MAX_SLOTS / 2][JOIN_MAX_HEADERS];
	uint16_t header_lengths[JOIN_MAX_SLOTS / 2];
	uint16_t header_of[JOIN_MAX_SLOTS];
};

/**
 * join_batch() - plans what to join.
 * @arena: where the slots' frames lie
 * @arena_size: bytes in @arena
 * @slots: the batch
 * @count: how many slots; beyond JOIN_MAX_SLOTS they are left for the next call
 * @plan: filled
 *
 * The frames of one TCP flow stay in order; so do all frames that were not joined. Frames that
 * cannot be joined, or whose checksum is wrong, are groups of one piece.
 *
 * Return: how many slots the plan covers.
 */
uint32_t join_batch(const uint8_t *arena, size_t arena_size, const struct frame_slot *slots, uint32_t count,
		    struct join_plan *plan);

/**
 * join_iovec() - what to write for a group.
 * @plan: made by join_batch() from the same arena and slots, unchanged since
 * @group: which group, from 0 to plan->count - 1
 * @arena: where the frames lie
 * @slots: the batch
 * @parts: filled: the virtio-net header (10 bytes) first, then the frame; JOIN_MAX_PARTS of room
 *
 * The parts point into @plan and @arena. For a TAP without virtio-net header skip the first part
 * (and plan nothing to be joined).
 *
 * Return: how many parts there are.
 */
uint32_t join_iovec(const struct join_plan *plan, uint32_t group, const uint8_t *arena, const struct frame_slot *slots,
		    struct iovec *parts);

#endif
