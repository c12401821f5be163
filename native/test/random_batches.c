#include "random_batches.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../io/checksum.h"
#include "../io/headers.h"

static uint64_t state;

void expect(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "frames_test: does not hold: %s\n", what);
	exit(1);
}

void seed_random(uint64_t seed)
{
	state = seed | 1;
}

/* xorshift64*: the same numbers everywhere. */
uint32_t next_random(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 0x2545f4914f6cdd1dull) >> 32);
}

uint32_t below(uint32_t limit)
{
	return next_random() % limit;
}

bool one_in(uint32_t chances)
{
	return below(chances) == 0;
}

void *exactly(size_t size)
{
	void *buffer = malloc(size > 0 ? size : 1);

	expect(buffer != NULL, "there is memory");
	return buffer;
}

/* What a made frame is like. */
struct shape {
	bool is_v6;
	bool is_tcp;
	uint32_t tags;
	uint32_t tcp_options;
	uint32_t payload;
	uint32_t sequence;
	uint16_t identification;
	uint8_t flow;
	uint8_t flags;
};

static uint32_t write_ip(uint8_t *ip, const struct shape *shape, uint32_t transport_length)
{
	uint8_t protocol = shape->is_tcp ? PROTOCOL_TCP : PROTOCOL_UDP;

	if (shape->is_v6) {
		ip[0] = 0x60;
		store_be16(ip + IPV6_PAYLOAD_LENGTH, transport_length);
		ip[IPV6_NEXT_HEADER] = protocol;
		ip[IPV6_HOP_LIMIT] = 64;
		ip[IPV6_ADDRESSES + 15] = shape->flow;
		return IPV6_HEADER;
	}
	ip[0] = 0x45;
	store_be16(ip + IPV4_TOTAL_LENGTH, IPV4_HEADER + transport_length);
	store_be16(ip + IPV4_IDENTIFICATION, shape->identification);
	ip[IPV4_TTL] = 64;
	ip[IPV4_PROTOCOL] = protocol;
	ip[IPV4_ADDRESSES + 3] = shape->flow;
	store_u16(ip + IPV4_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(0, ip, IPV4_HEADER)));
	return IPV4_HEADER;
}

uint64_t pseudo_header(const uint8_t *ip, bool is_v6, bool is_tcp, uint32_t length)
{
	uint8_t protocol = is_tcp ? PROTOCOL_TCP : PROTOCOL_UDP;

	return is_v6 ? checksum_pseudo_v6(ip + IPV6_ADDRESSES, protocol, length)
		     : checksum_pseudo_v4(ip + IPV4_ADDRESSES, protocol, length);
}

/**
 * write_frame() - makes a valid frame.
 * @frame: where; enough room and all zero
 * @shape: what it is like
 * @offload: filled for a super-frame; NULL for an ordinary frame
 * @size: payload of a segment, for a super-frame
 *
 * Return: its length.
 */
static uint32_t write_frame(uint8_t *frame, const struct shape *shape, struct offload_header *offload, uint32_t size)
{
	uint32_t network = ETHERNET_HEADER + shape->tags * VLAN_TAG;
	uint32_t header = shape->is_tcp ? TCP_HEADER + shape->tcp_options : UDP_HEADER;
	uint32_t length = header + shape->payload;
	uint8_t *ip = frame + network;
	uint8_t *transport;
	uint8_t *field;
	uint16_t sum;

	for (uint32_t tag = 0; tag < shape->tags; tag++)
		store_be16(frame + ETHERNET_TYPE + tag * VLAN_TAG, tag == 0 ? ETHERTYPE_SVLAN : ETHERTYPE_CVLAN);
	store_be16(ip - 2, shape->is_v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	transport = ip + write_ip(ip, shape, length);
	store_be16(transport, 1000);
	store_be16(transport + 2, 80);
	if (shape->is_tcp) {
		store_be32(transport + TCP_SEQUENCE, shape->sequence);
		transport[TCP_DATA_OFFSET] = (uint8_t)(header << 2);
		transport[TCP_FLAGS] = shape->flags;
	} else {
		store_be16(transport + UDP_LENGTH, length);
	}
	for (uint32_t at = 0; at < shape->payload; at++)
		transport[header + at] = (uint8_t)(shape->sequence + at);
	field = transport + (shape->is_tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
	sum = checksum_fold(pseudo_header(ip, shape->is_v6, shape->is_tcp, length));
	if (offload == NULL) {
		sum = (uint16_t)~checksum_fold(checksum_add(sum, transport, length));
		store_u16(field, sum == 0 ? 0xffff : sum);
		return (uint32_t)(transport - frame) + length;
	}
	store_u16(field, sum);
	*offload = (struct offload_header){
		.flags = OFFLOAD_FLAG_NEEDS_CHECKSUM,
		.gso_type = !shape->is_tcp ? OFFLOAD_GSO_UDP_L4 : shape->is_v6 ? OFFLOAD_GSO_TCPV6 : OFFLOAD_GSO_TCPV4,
		.header_length = (uint16_t)(transport - frame + header),
		.gso_size = (uint16_t)size,
		.checksum_start = (uint16_t)(transport - frame),
		.checksum_offset = (uint16_t)(field - transport),
	};
	return (uint32_t)(transport - frame) + length;
}

static void damage(uint8_t *frame, struct frame_slot *slot)
{
	if (one_in(2) && slot->length > 0)
		frame[below(slot->length < 80 ? slot->length : 80)] = (uint8_t)next_random();
	if (one_in(4))
		slot->length = below(slot->length + 1);
	if (one_in(4))
		((uint8_t *)&slot->offload)[below(sizeof(slot->offload))] = (uint8_t)next_random();
	if (one_in(16))
		slot->offset = next_random();
	if (one_in(16))
		slot->length = next_random();
}

struct batch make_batch(uint32_t harm)
{
	static uint8_t frame[70000], arena[MAX_SLOTS * sizeof(frame)];
	struct batch batch = {.slots = exactly(MAX_SLOTS * sizeof(struct frame_slot)), .count = 1 + below(MAX_SLOTS)};
	uint32_t sequences[3] = {0xffffff00, 0, 0};
	uint16_t identification = (uint16_t)next_random();
	bool has_options = one_in(2);

	for (uint32_t index = 0; index < batch.count; index++) {
		bool is_super = one_in(8);
		uint8_t flow = (uint8_t)below(3);
		struct frame_slot *slot = &batch.slots[index];
		uint32_t length;
		struct shape shape = {
			.is_v6 = flow == 1, .is_tcp = !one_in(10), .tags = flow, .flow = flow, .flags = TCP_FLAG_ACK,
			.tcp_options = has_options ? 12 : 0, .sequence = sequences[flow],
			.payload = one_in(10) ? below(1400) : 100, .identification = identification++,
		};

		if (is_super)
			shape.payload = one_in(10) ? 65000 : below(4000);
		if (is_super || one_in(12))
			shape.flags = (uint8_t)next_random();
		memset(frame, 0, 14 + 8 + 40 + 60);
		*slot = (struct frame_slot){.offset = (uint32_t)batch.size};
		slot->length = write_frame(frame, &shape, is_super ? &slot->offload : NULL, 1 + below(1500));
		sequences[flow] += shape.payload;
		length = slot->length;
		memcpy(arena + batch.size, frame, length);
		if (harm > 0 && one_in(harm))
			damage(arena + batch.size, slot);
		/* A frame that was cut short ends there, so that the last one ends with the arena. */
		batch.size += slot->length < length ? slot->length : length;
	}
	batch.arena = exactly(batch.size);
	memcpy(batch.arena, arena, batch.size);
	return batch;
}

struct batch make_garbage(void)
{
	struct batch batch = {.size = below(300), .count = 1 + below(MAX_SLOTS)};

	batch.arena = exactly(batch.size);
	batch.slots = exactly(batch.count * sizeof(struct frame_slot));
	for (size_t at = 0; at < batch.size; at++)
		batch.arena[at] = (uint8_t)next_random();
	for (uint32_t index = 0; index < batch.count; index++) {
		uint8_t *bytes = (uint8_t *)&batch.slots[index];

		for (size_t at = 0; at < sizeof(struct frame_slot); at++)
			bytes[at] = one_in(3) ? (uint8_t)next_random() : 0;
		batch.slots[index].offset = one_in(8) ? next_random() : below(300);
		batch.slots[index].length = one_in(8) ? next_random() : below(300);
	}
	return batch;
}

void free_batch(struct batch *batch)
{
	free(batch->arena);
	free(batch->slots);
}
