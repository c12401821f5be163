/*
 * Cuts super-frames and completes checksums.
 *
 *   super-frame   | Ethernet, tags | IP | TCP or UDP | payload ...............................|
 *                 0              network  transport  headers                              length
 *   segments      | the same headers, patched        | gso_size bytes |
 *                 | the same headers, patched                         | gso_size bytes |
 *                 | ...                                                                | rest |
 *
 * Every offset comes from outside and is checked against the frame in parse_super(); after it
 * nothing is looked at that was not checked.
 */
#include "segment.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "checksum.h"
#include "headers.h"

/* A super-frame whose headers have been checked. */
struct super_frame {
	const uint8_t *frame;
	uint32_t network;
	uint32_t transport;
	uint32_t headers;
	uint32_t payload;
	uint32_t segment_size;
	uint32_t segments;
	bool is_v6;
	bool is_tcp;
};

enum outcome { DONE, NO_ROOM, MALFORMED };

static bool check_ip(struct super_frame *super, uint32_t length, uint8_t protocol)
{
	const uint8_t *ip = super->frame + super->network;
	uint32_t ip_header, ip_length;

	if (length < super->network + (super->is_v6 ? IPV6_HEADER : IPV4_HEADER))
		return false;
	if (super->is_v6) {
		ip_length = IPV6_HEADER + (uint32_t)load_be16(ip + IPV6_PAYLOAD_LENGTH);
		if (ip[0] >> 4 != 6 || super->transport < super->network + IPV6_HEADER)
			return false;
		/* Extension headers may lie between: their chain is the sender's business. */
		if (super->transport == super->network + IPV6_HEADER && ip[IPV6_NEXT_HEADER] != protocol)
			return false;
	} else {
		ip_length = load_be16(ip + IPV4_TOTAL_LENGTH);
		ip_header = (uint32_t)(ip[0] & 15) * 4;
		if (ip[0] >> 4 != 4 || ip_header < IPV4_HEADER || super->transport != super->network + ip_header)
			return false;
		if (ip[IPV4_PROTOCOL] != protocol || (load_be16(ip + IPV4_FRAGMENT) & 0x3fff) != 0)
			return false;
	}
	return ip_length == length - super->network;
}

static bool check_transport(struct super_frame *super, uint32_t length, uint32_t checksum_offset)
{
	const uint8_t *header = super->frame + super->transport;
	uint32_t header_length = UDP_HEADER;

	if (length < super->transport + (super->is_tcp ? TCP_HEADER : UDP_HEADER))
		return false;
	if (super->is_tcp) {
		header_length = (uint32_t)(header[TCP_DATA_OFFSET] >> 4) * 4;
		if (header_length < TCP_HEADER || checksum_offset != TCP_CHECKSUM)
			return false;
	} else if (load_be16(header + UDP_LENGTH) != length - super->transport || checksum_offset != UDP_CHECKSUM) {
		return false;
	}
	super->headers = super->transport + header_length;
	return super->headers <= length;
}

/**
 * parse_super() - checks a super-frame's headers against its offload header.
 * @frame: the frame
 * @length: its bytes
 * @offload: its offload header
 * @super: filled
 *
 * Return: whether everything fits together.
 */
static bool parse_super(const uint8_t *frame, uint32_t length, const struct offload_header *offload,
			struct super_frame *super)
{
	uint8_t kind = offload->gso_type & (uint8_t)~OFFLOAD_GSO_ECN;
	uint16_t ether_type;

	/* The checksum cannot be anything but left to do (virtio 1.2, 5.1.6.2.1). */
	if (!(offload->flags & OFFLOAD_FLAG_NEEDS_CHECKSUM) || offload->gso_size == 0)
		return false;
	if (kind != OFFLOAD_GSO_TCPV4 && kind != OFFLOAD_GSO_TCPV6 && offload->gso_type != OFFLOAD_GSO_UDP_L4)
		return false;
	ether_type = find_network(frame, length, &super->network);
	if (ether_type != ETHERTYPE_IPV4 && ether_type != ETHERTYPE_IPV6)
		return false;
	super->frame = frame;
	super->is_v6 = ether_type == ETHERTYPE_IPV6;
	super->is_tcp = kind != OFFLOAD_GSO_UDP_L4;
	if (super->is_tcp && super->is_v6 != (kind == OFFLOAD_GSO_TCPV6))
		return false;
	super->transport = offload->checksum_start;
	if (!check_ip(super, length, super->is_tcp ? PROTOCOL_TCP : PROTOCOL_UDP))
		return false;
	if (!check_transport(super, length, offload->checksum_offset))
		return false;
	super->payload = length - super->headers;
	super->segment_size = offload->gso_size;
	super->segments = (super->payload + super->segment_size - 1) / super->segment_size;
	if (super->segments == 0)
		super->segments = 1;
	return true;
}

/* Where the next frame goes; the caller knows that it fits. */
static uint8_t *append(struct segment_output *out, uint32_t length)
{
	const size_t offset = out->used + out->headroom;

	out->slots[out->count++] = (struct frame_slot){.offset = (uint32_t)offset, .length = length};
	out->used = offset + length;
	return out->bytes + offset;
}

/* Whether so much fits now (DONE), later (NO_ROOM), or never (MALFORMED). */
static enum outcome room_for(const struct segment_output *out, uint32_t frames, uint64_t frame_bytes)
{
	const uint64_t bytes = frame_bytes + (uint64_t)frames * out->headroom;

	if (frames > out->capacity || bytes > out->size)
		return MALFORMED;
	return frames > out->capacity - out->count || bytes > out->size - out->used ? NO_ROOM : DONE;
}

static void patch_ip(const struct super_frame *super, uint8_t *segment, uint32_t index, uint32_t length)
{
	uint8_t *ip = segment + super->network;

	if (super->is_v6) {
		store_be16(ip + IPV6_PAYLOAD_LENGTH, length - super->network - IPV6_HEADER);
		return;
	}
	store_be16(ip + IPV4_TOTAL_LENGTH, length - super->network);
	store_be16(ip + IPV4_IDENTIFICATION, load_be16(ip + IPV4_IDENTIFICATION) + index);
	store_u16(ip + IPV4_CHECKSUM, 0);
	store_u16(ip + IPV4_CHECKSUM,
		  (uint16_t)~checksum_fold(checksum_add(0, ip, super->transport - super->network)));
}

/**
 * write_segment() - makes one frame of a super-frame.
 * @super: the super-frame
 * @index: which of its segments
 * @segment: where it goes
 * @payload: how many bytes of payload it gets
 *
 * The checksum field holds the sum of the pseudo-header for the whole length; only the length in it
 * is replaced, so that addresses in IPv6 routing headers need not be looked for.
 */
static void write_segment(const struct super_frame *super, uint32_t index, uint8_t *segment, uint32_t payload)
{
	const uint32_t skipped = index * super->segment_size;
	const uint32_t header_length = super->headers - super->transport;
	uint8_t *transport = segment + super->transport;
	uint8_t *checksum_at = transport + (super->is_tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
	uint64_t sum = (uint64_t)htonl(header_length + payload) + (uint32_t)~htonl(header_length + super->payload);
	uint16_t checksum;

	memcpy(segment, super->frame, super->headers);
	patch_ip(super, segment, index, super->headers + payload);
	if (super->is_tcp) {
		store_be32(transport + TCP_SEQUENCE, load_be32(transport + TCP_SEQUENCE) + skipped);
		if (index > 0)
			transport[TCP_FLAGS] &= (uint8_t)~TCP_FLAG_CWR;
		if (index + 1 < super->segments)
			transport[TCP_FLAGS] &= (uint8_t)~(TCP_FLAG_FIN | TCP_FLAG_PSH);
	} else {
		store_be16(transport + UDP_LENGTH, header_length + payload);
	}
	sum = checksum_add(sum, transport, header_length);
	sum = checksum_copy(sum, segment + super->headers, super->frame + super->headers + skipped, payload);
	checksum = (uint16_t)~checksum_fold(sum);
	/* Zero would say that there is none (RFC 768). */
	store_u16(checksum_at, checksum == 0 && !super->is_tcp ? 0xffff : checksum);
}

static enum outcome segment_super(const struct super_frame *super, struct segment_output *out, uint32_t *too_long)
{
	const uint32_t full = super->headers + super->segment_size;
	const uint32_t last_payload = super->payload - (super->segments - 1) * super->segment_size;
	const uint32_t last = super->headers + last_payload;
	const uint32_t full_frames = full <= out->max_frame ? super->segments - 1 : 0;
	const uint32_t last_frames = last <= out->max_frame ? 1 : 0;
	const uint64_t bytes = (uint64_t)full_frames * full + (uint64_t)last_frames * last;
	enum outcome room = room_for(out, full_frames + last_frames, bytes);

	if (room != DONE)
		return room;
	for (uint32_t index = 0; index < full_frames; index++)
		write_segment(super, index, append(out, full), super->segment_size);
	if (last_frames == 1)
		write_segment(super, super->segments - 1, append(out, last), last_payload);
	*too_long += super->segments - full_frames - last_frames;
	return DONE;
}

/* An ordinary frame, its checksum to be completed or not. */
static enum outcome copy_frame(const uint8_t *frame, uint32_t length, const struct offload_header *offload,
			       struct segment_output *out, uint32_t *too_long)
{
	const bool completes = offload->flags & OFFLOAD_FLAG_NEEDS_CHECKSUM;
	const uint32_t start = offload->checksum_start;
	enum outcome room;
	uint8_t *copy;
	uint16_t checksum;

	if (completes && (start < ETHERNET_HEADER || start + offload->checksum_offset + 2u > length))
		return MALFORMED;
	if (length > out->max_frame) {
		(*too_long)++;
		return DONE;
	}
	room = room_for(out, 1, length);
	if (room != DONE)
		return room;
	copy = append(out, length);
	if (!completes) {
		if (length > 0)
			memcpy(copy, frame, length);
		return DONE;
	}
	memcpy(copy, frame, start);
	checksum = (uint16_t)~checksum_fold(checksum_copy(0, copy + start, frame + start, length - start));
	/* Both stand for zero, but in UDP 0 says that there is none; the kernel does so for every protocol. */
	store_u16(copy + start + offload->checksum_offset, checksum == 0 ? 0xffff : checksum);
	return DONE;
}

static enum outcome segment_slot(const uint8_t *arena, size_t arena_size, const struct frame_slot *slot,
				 struct segment_output *out, uint32_t *too_long)
{
	const struct offload_header *offload = &slot->offload;
	const bool has_work =
		(offload->flags & OFFLOAD_FLAG_NEEDS_CHECKSUM) != 0 || offload->gso_type != OFFLOAD_GSO_NONE;
	struct super_frame super;
	const uint8_t *frame;

	if (slot->offset > arena_size || slot->length > arena_size - slot->offset)
		return MALFORMED;
	frame = arena + slot->offset;
	if (has_work && offload->header_length > slot->length)
		return MALFORMED;
	if (offload->gso_type == OFFLOAD_GSO_NONE)
		return copy_frame(frame, slot->length, offload, out, too_long);
	if (!parse_super(frame, slot->length, offload, &super))
		return MALFORMED;
	return segment_super(&super, out, too_long);
}

void segment_batch(const uint8_t *arena, size_t arena_size, const struct frame_slot *slots, uint32_t first,
		   uint32_t count, struct segment_output *out, struct segment_result *result)
{
	const uint32_t before = out->count;

	*result = (struct segment_result){0};
	while (result->consumed < count) {
		enum outcome outcome =
			segment_slot(arena, arena_size, &slots[first + result->consumed], out, &result->too_long);

		if (outcome == NO_ROOM)
			break;
		result->malformed += outcome == MALFORMED;
		result->consumed++;
	}
	result->produced = out->count - before;
}
