/*
 * Feeds segmenting, joining and checksums with random, damaged and valid batches, and uses forwarding tables
 * (table_test.c) and what tunnels (tunnel_test.c) and gateways (gateway_test.c) are made of at random, to be run under
 * AddressSanitizer and UndefinedBehaviorSanitizer: scripts/sanitize.mjs. Every buffer has exactly the
 * size that is promised, so that one byte too far is noticed. What comes out is compared with what
 * must hold for any input; the byte-for-byte comparison with the reference is in test/unit/frames.
 *
 * Usage: frames_test [rounds [seed]]
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../io/checksum.h"
#include "../io/headers.h"
#include "../io/join.h"
#include "../io/segment.h"
#include "capture_test.h"
#include "gateway_test.h"
#include "random_batches.h"
#include "table_test.h"
#include "tunnel_test.h"
#include "unfinished_test.h"
#include "vlan_test.h"

static uint64_t joined_pieces, cut_segments, dropped;

/* Whether the transport checksum of a frame that write_frame() or segmenting made is right. */
static bool is_intact(const uint8_t *frame, uint32_t length)
{
	uint32_t network;
	bool is_v6 = find_network(frame, length, &network) == ETHERTYPE_IPV6;
	const uint8_t *ip = frame + network;
	uint32_t transport = network + (is_v6 ? IPV6_HEADER : IPV4_HEADER);
	bool is_tcp = ip[is_v6 ? IPV6_NEXT_HEADER : IPV4_PROTOCOL] == PROTOCOL_TCP;

	if (!is_v6 && checksum_fold(checksum_add(0, ip, IPV4_HEADER)) != 0xffff)
		return false;
	return checksum_fold(checksum_add(pseudo_header(ip, is_v6, is_tcp, length - transport), frame + transport,
					  length - transport)) == 0xffff;
}

static void try_segment(const struct batch *batch, bool is_valid)
{
	size_t size = one_in(4) ? below(2000) : one_in(2) ? 70000 : 400000;
	uint32_t capacity = one_in(4) ? below(10) : 3000;
	uint8_t *out = exactly(size);
	struct frame_slot *out_slots = exactly(capacity * sizeof(*out_slots));
	uint32_t max_frame = one_in(2) ? 1518 : one_in(2) ? below(2000) : UINT32_MAX;

	for (uint32_t first = 0; first < batch->count;) {
		struct segment_result result;
		size_t end = 0;

		struct segment_output output = {
			.bytes = out, .size = size, .slots = out_slots, .capacity = capacity, .max_frame = max_frame,
		};
		segment_batch(batch->arena, batch->size, batch->slots, first, batch->count - first, &output, &result);
		expect(result.consumed > 0 && result.consumed <= batch->count - first, "an empty output makes progress");
		expect(result.produced <= capacity, "no more frames than there is room for");
		for (uint32_t index = 0; index < result.produced; index++) {
			const struct frame_slot *slot = &out_slots[index];

			expect(slot->offset == end && slot->length <= max_frame, "frames lie end to end");
			end += slot->length;
			if (is_valid)
				expect(is_intact(out + slot->offset, slot->length), "checksums are right");
		}
		expect(end <= size, "frames lie in the output");
		cut_segments += result.produced;
		dropped += result.malformed + result.too_long;
		first += result.consumed;
	}
	free(out);
	free(out_slots);
}

/* Cuts what was joined and looks whether it is what it was, for one group. */
static void expect_same(const struct batch *batch, const struct join_plan *plan, uint32_t group)
{
	static uint8_t whole[70000], out[90000];
	struct frame_slot slot = {.offload = plan->groups[group].offload}, out_slots[JOIN_MAX_PIECES];
	struct segment_result result;
	struct iovec parts[JOIN_MAX_PARTS];
	uint32_t count = join_iovec(plan, group, batch->arena, batch->slots, parts);
	uint32_t at = plan->groups[group].first_slot;

	expect(count == plan->groups[group].pieces + 2, "headers and one part for each piece");
	for (uint32_t part = 1; part < count; part++) {
		memcpy(whole + slot.length, parts[part].iov_base, parts[part].iov_len);
		slot.length += (uint32_t)parts[part].iov_len;
	}
	struct segment_output output = {
		.bytes = out, .size = sizeof(out), .slots = out_slots, .capacity = JOIN_MAX_PIECES, .max_frame = UINT32_MAX,
	};
	segment_batch(whole, sizeof(whole), &slot, 0, 1, &output, &result);
	expect(result.produced == plan->groups[group].pieces, "as many segments as were joined");
	for (uint32_t index = 0; index < result.produced; index++, at = plan->pieces[at].next) {
		const struct frame_slot *original = &batch->slots[at];

		expect(out_slots[index].length == original->length, "the same length");
		expect(memcmp(out + out_slots[index].offset, batch->arena + original->offset, original->length) == 0 ||
			       (load_be16(batch->arena + original->offset + 20) & IPV4_DONT_FRAGMENT) != 0,
		       "the same bytes");
	}
}

static void try_join(const struct batch *batch)
{
	struct join_plan *plan = exactly(sizeof(*plan));
	uint32_t pieces = 0;

	memset(plan, 0xa5, sizeof(*plan));
	expect(join_batch(batch->arena, batch->size, batch->slots, batch->count, plan) == batch->count, "all are planned");
	for (uint32_t group = 0; group < plan->count; group++) {
		struct iovec parts[JOIN_MAX_PARTS];
		uint32_t count = join_iovec(plan, group, batch->arena, batch->slots, parts);
		uint64_t sum = 0;

		for (uint32_t part = 0; part < count; part++)
			sum = checksum_add(sum, parts[part].iov_base, parts[part].iov_len);
		expect(checksum_fold(sum) == checksum_fold(sum), "every byte can be read");
		pieces += plan->groups[group].pieces;
		if (plan->groups[group].pieces == 1)
			continue;
		joined_pieces += plan->groups[group].pieces;
		expect_same(batch, plan, group);
	}
	expect(pieces + plan->malformed == batch->count, "every slot is in one group");
	free(plan);
}

static void try_checksum(void)
{
	size_t length = below(200);
	uint8_t *bytes = exactly(length), *copy = exactly(length);
	uint32_t plain = 0;

	for (size_t at = 0; at < length; at++) {
		bytes[at] = one_in(2) ? 0xff : (uint8_t)next_random();
		plain += at % 2 == 0 ? (uint32_t)bytes[at] << 8 : bytes[at];
	}
	while (plain > 0xffff)
		plain = (plain & 0xffff) + (plain >> 16);
	expect(checksum_fold(checksum_add(0, bytes, length)) == htons((uint16_t)plain), "the sum is that of the words");
	expect(checksum_fold(checksum_copy(0, copy, bytes, length)) == htons((uint16_t)plain), "so it is when copying");
	expect(memcmp(bytes, copy, length) == 0, "the copy is one");
	free(bytes);
	free(copy);
}

static void try_tunnel(long round)
{
	try_judging();
	try_headroom();
	try_sending();
	if (round % 60 == 0)
		try_announcing();
	if (round % 6000 == 0)
		try_endpoint_table();
}

static void try_gateway(long round)
{
	try_guest_packets();
	if (round % 150 == 0)
		try_timers();
	if (round % 300 == 0)
		try_fragments();
	if (round % 3000 == 0)
		try_siphash();
	if (round % 3000 == 0)
		try_flow_table();
	if (round % 3000 == 0)
		try_tcp_ahead();
	if (round % 3000 == 0)
		try_forward_peers();
}

int main(int count, char **arguments)
{
	long rounds = count > 1 ? atol(arguments[1]) : 60000;

	seed_random(count > 2 ? strtoull(arguments[2], NULL, 0) : 0x76646e73);
	for (long round = 0; round < rounds; round++) {
		bool is_garbage = one_in(3), is_valid = !is_garbage && one_in(3);
		struct batch batch = is_garbage ? make_garbage() : make_batch(is_valid ? 0 : 3);

		try_segment(&batch, is_valid);
		try_join(&batch);
		try_checksum();
		try_unfinished(&batch, is_valid);
		try_vlan(&batch);
		free_batch(&batch);
		if (round % 20 == 0)
			try_forwarding_table();
		if (round % 15 == 0)
			try_tunnel(round);
		if (round % 15 == 0)
			try_gateway(round);
		if (round % 6000 == 0)
			try_capture();
	}
	expect(rounds < 100 || (joined_pieces > 0 && cut_segments > 0 && dropped > 0), "the batches are worth trying");
	printf("%ld batches: %llu frames out, %llu dropped, %llu joined\n", rounds, (unsigned long long)cut_segments,
	       (unsigned long long)dropped, (unsigned long long)joined_pieces);
	return 0;
}
