/*
 * Theory of operation.
 *
 * The slots are looked at once, in order. Every slot begins a group of its own, or is added to an
 * open group: one that began with a TCP segment of the same flow and can still grow. A flow is the
 * addresses and ports; it has at most one open group, found by a hash. What comes to a flow and
 * cannot be added closes its group, so that nothing overtakes anything within a flow. What might
 * belong to any flow (fragments, IP options, extension headers, super-frames) closes all of them.
 *
 * Most batches hold nothing to join, so what is cheap is asked first: EtherType, protocol and flags,
 * then the flow, then the other header fields; the checksums of both segments only when all fits.
 */
#include "join.h"

#include <stdbool.h>
#include <string.h>

#include "checksum.h"
#include "headers.h"
#include "packet.h"

/* The segment a group began with, as a packet. */
static struct packet first_packet(const struct join_candidate *candidate, const uint8_t *arena)
{
	return (struct packet){
		.frame = arena + candidate->frame,
		.network = candidate->network,
		.transport = candidate->transport,
		.headers = candidate->headers,
		.payload = candidate->payload,
		.is_v6 = candidate->transport - candidate->network == IPV6_HEADER,
	};
}

/* Where the number of the flow's open group stands; it holds JOIN_END when the flow has none. */
static uint32_t *find_open(struct join_plan *plan, const uint8_t *arena, const struct packet *packet)
{
	uint32_t *link = &plan->buckets[packet_flow_hash(packet) % JOIN_BUCKETS];

	while (*link != JOIN_END) {
		struct packet first = first_packet(&plan->candidates[*link], arena);

		if (packet_is_same_flow(&first, packet))
			break;
		link = &plan->candidates[*link].chain;
	}
	return link;
}

/* With Don't Fragment the identification has no meaning (RFC 6864, 4.1); otherwise it has to count on. */
static bool continues_ip(const struct join_candidate *candidate, const uint8_t *first, const uint8_t *ip, bool is_v6)
{
	if (is_v6)
		return load_u32(first) == load_u32(ip) && first[IPV6_HOP_LIMIT] == ip[IPV6_HOP_LIMIT];
	if (first[IPV4_TOS] != ip[IPV4_TOS] || first[IPV4_TTL] != ip[IPV4_TTL])
		return false;
	if (load_u16(first + IPV4_FRAGMENT) != load_u16(ip + IPV4_FRAGMENT))
		return false;
	return (load_be16(ip + IPV4_FRAGMENT) & IPV4_DONT_FRAGMENT) != 0 ||
	       load_be16(ip + IPV4_IDENTIFICATION) == candidate->next_identification;
}

/* Whether a joinable segment of the same flow continues the group, going by the headers. */
static bool continues(const struct join_candidate *candidate, const struct packet *first, const struct packet *packet)
{
	const uint8_t *first_tcp = first->frame + first->transport;
	const uint8_t *tcp = packet->frame + packet->transport;

	if (first->network != packet->network || first->headers != packet->headers)
		return false;
	if (packet->payload > first->payload || load_be32(tcp + TCP_SEQUENCE) != candidate->next_sequence)
		return false;
	if (packet->headers - packet->network + candidate->total + packet->payload > UINT16_MAX)
		return false;
	if (load_u32(first_tcp + TCP_ACKNOWLEDGEMENT) != load_u32(tcp + TCP_ACKNOWLEDGEMENT) ||
	    load_u16(first_tcp + TCP_WINDOW) != load_u16(tcp + TCP_WINDOW))
		return false;
	/* Urgent pointer and options. */
	if (memcmp(first_tcp + TCP_URGENT, tcp + TCP_URGENT, first->headers - first->transport - TCP_URGENT) != 0)
		return false;
	/* Addresses of Ethernet, tags, EtherType. */
	return memcmp(first->frame, packet->frame, packet->network) == 0 &&
	       continues_ip(candidate, first->frame + first->network, packet->frame + packet->network, packet->is_v6);
}

static uint32_t add_group(struct join_plan *plan, uint32_t slot, const struct offload_header *offload)
{
	plan->groups[plan->count] = (struct join_group){.first_slot = slot, .pieces = 1, .offload = *offload};
	return plan->count++;
}

static void close_all(struct join_plan *plan)
{
	memset(plan->buckets, 0xff, sizeof(plan->buckets));
}

static void set_piece(struct join_plan *plan, uint32_t slot, const uint8_t *arena, const struct packet *packet)
{
	plan->pieces[slot] = (struct join_piece){
		.next = JOIN_END,
		.payload = (uint32_t)(packet->frame - arena) + packet->headers,
		.length = packet->payload,
	};
}

/* Lets the group grow. @link is the end of the flow's bucket. */
static void open_group(struct join_plan *plan, uint32_t group, uint32_t *link, const uint8_t *arena,
		       const struct packet *packet)
{
	const uint8_t *ip = packet->frame + packet->network;

	plan->candidates[group] = (struct join_candidate){
		.frame = (uint32_t)(packet->frame - arena),
		.network = (uint16_t)packet->network,
		.transport = (uint16_t)packet->transport,
		.headers = (uint16_t)packet->headers,
		.payload = (uint16_t)packet->payload,
		.total = packet->payload,
		.next_sequence = load_be32(packet->frame + packet->transport + TCP_SEQUENCE) + packet->payload,
		.next_identification = (uint16_t)(load_be16(ip + IPV4_IDENTIFICATION) + 1),
		.last_slot = plan->groups[group].first_slot,
		.chain = JOIN_END,
	};
	set_piece(plan, plan->groups[group].first_slot, arena, packet);
	*link = group;
}

/**
 * extend_group() - adds a segment to the open group of its flow.
 * @plan: the plan
 * @link: where the open group's number stands; JOIN_END is put there when the group is full
 * @slot: the segment's slot
 * @arena: where the frames lie
 * @packet: the segment, which continues the group and verifies
 */
static void extend_group(struct join_plan *plan, uint32_t *link, uint32_t slot, const uint8_t *arena,
			 const struct packet *packet)
{
	struct join_candidate *candidate = &plan->candidates[*link];
	struct join_group *group = &plan->groups[*link];

	set_piece(plan, slot, arena, packet);
	plan->pieces[candidate->last_slot].next = slot;
	candidate->last_slot = slot;
	candidate->total += packet->payload;
	candidate->next_sequence += packet->payload;
	candidate->next_identification++;
	group->pieces++;
	if (packet->payload < candidate->payload || group->pieces == JOIN_MAX_PIECES ||
	    (packet->frame[packet->transport + TCP_FLAGS] & TCP_FLAG_PSH) != 0)
		*link = candidate->chain;
}

static void plan_segment(struct join_plan *plan, uint32_t slot, const uint8_t *arena, const struct packet *packet,
			 const struct offload_header *offload)
{
	uint32_t *link = find_open(plan, arena, packet);
	bool is_corrupt = false;
	uint32_t group;

	if (*link != JOIN_END) {
		struct join_candidate *candidate = &plan->candidates[*link];
		struct packet first = first_packet(candidate, arena);

		if (packet->is_joinable && continues(candidate, &first, packet)) {
			candidate->verified = candidate->verified || packet_checksums_verify(&first);
			is_corrupt = candidate->verified && !packet_checksums_verify(packet);
			if (candidate->verified && !is_corrupt) {
				extend_group(plan, link, slot, arena, packet);
				return;
			}
		}
		*link = candidate->chain;
	}
	group = add_group(plan, slot, offload);
	if (!packet->is_joinable || is_corrupt || (packet->frame[packet->transport + TCP_FLAGS] & TCP_FLAG_PSH) != 0)
		return;
	while (*link != JOIN_END)
		link = &plan->candidates[*link].chain;
	open_group(plan, group, link, arena, packet);
}

/* Makes the headers and the virtio-net header of a group of several pieces. */
static void finish_group(struct join_plan *plan, uint32_t group, uint16_t index, const uint8_t *arena,
			 const struct frame_slot *slots)
{
	const struct join_candidate *candidate = &plan->candidates[group];
	const uint8_t *last = arena + slots[candidate->last_slot].offset;
	uint8_t *headers = plan->headers[index];
	uint8_t *ip = headers + candidate->network;
	uint8_t *tcp = headers + candidate->transport;
	uint32_t tcp_length = (uint32_t)candidate->headers - candidate->transport + candidate->total;
	bool is_v6 = candidate->transport - candidate->network == IPV6_HEADER;

	memcpy(headers, arena + candidate->frame, candidate->headers);
	tcp[TCP_FLAGS] |= last[candidate->transport + TCP_FLAGS] & TCP_FLAG_PSH;
	store_u16(tcp + TCP_CHECKSUM, checksum_fold(packet_pseudo_header(ip, is_v6, tcp_length)));
	if (is_v6) {
		store_be16(ip + IPV6_PAYLOAD_LENGTH, tcp_length);
	} else {
		store_be16(ip + IPV4_TOTAL_LENGTH, IPV4_HEADER + tcp_length);
		store_u16(ip + IPV4_CHECKSUM, 0);
		store_u16(ip + IPV4_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(0, ip, IPV4_HEADER)));
	}
	plan->header_of[group] = index;
	plan->header_lengths[index] = candidate->headers;
	plan->groups[group].offload = (struct offload_header){
		.flags = OFFLOAD_FLAG_NEEDS_CHECKSUM,
		.gso_type = is_v6 ? OFFLOAD_GSO_TCPV6 : OFFLOAD_GSO_TCPV4,
		.header_length = candidate->headers,
		.gso_size = candidate->payload,
		.checksum_start = candidate->transport,
		.checksum_offset = TCP_CHECKSUM,
	};
}

uint32_t join_batch(const uint8_t *arena, size_t arena_size, const struct frame_slot *slots, uint32_t count,
		    struct join_plan *plan)
{
	uint16_t joined = 0;

	if (count > JOIN_MAX_SLOTS)
		count = JOIN_MAX_SLOTS;
	plan->count = 0;
	plan->malformed = 0;
	close_all(plan);
	for (uint32_t index = 0; index < count; index++) {
		const struct frame_slot *slot = &slots[index];
		const struct offload_header *offload = &slot->offload;
		struct packet packet;
		enum packet_kind kind;

		if (slot->offset > arena_size || slot->length > arena_size - slot->offset) {
			plan->malformed++;
			continue;
		}
		kind = offload->flags != 0 || offload->gso_type != OFFLOAD_GSO_NONE
			       ? PACKET_ANY_FLOW
			       : packet_parse(arena + slot->offset, slot->length, &packet);
		if (kind == PACKET_SEGMENT) {
			plan_segment(plan, index, arena, &packet, offload);
			continue;
		}
		if (kind == PACKET_ANY_FLOW)
			close_all(plan);
		add_group(plan, index, offload);
	}
	for (uint32_t group = 0; group < plan->count; group++)
		if (plan->groups[group].pieces > 1)
			finish_group(plan, group, joined++, arena, slots);
	return count;
}

uint32_t join_iovec(const struct join_plan *plan, uint32_t group, const uint8_t *arena, const struct frame_slot *slots,
		    struct iovec *parts)
{
	const struct join_group *it = &plan->groups[group];
	const struct frame_slot *slot = &slots[it->first_slot];
	uint32_t count = 1;
	uint16_t index;

	/* iovec has no const; writing does not change what it points to. */
	parts[0] = (struct iovec){(void *)(uintptr_t)&it->offload, sizeof(it->offload)};
	if (it->pieces == 1) {
		parts[count++] = (struct iovec){(void *)(uintptr_t)(arena + slot->offset), slot->length};
		return count;
	}
	index = plan->header_of[group];
	parts[count++] = (struct iovec){(void *)(uintptr_t)plan->headers[index], plan->header_lengths[index]};
	for (uint32_t at = it->first_slot; at != JOIN_END; at = plan->pieces[at].next)
		parts[count++] = (struct iovec){(void *)(uintptr_t)(arena + plan->pieces[at].payload),
						plan->pieces[at].length};
	return count;
}
