#include "guest_packet.h"

#include "checksum.h"
#include "hot.h"

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
/* Options of IPv4 (RFC 791, 3.1). */
#define OPTION_END 0
#define OPTION_NONE 1
#define OPTION_LOOSE_ROUTE 131
#define OPTION_STRICT_ROUTE 137

/* Extension headers of IPv6 (RFC 8200, 4). */
#define EXTENSION_HOP_BY_HOP 0
#define EXTENSION_ROUTING 43
#define EXTENSION_FRAGMENT 44
#define EXTENSION_DESTINATION 60
#define EXTENSION_UNIT 8
#define ROUTING_SEGMENTS_LEFT 3
#define MAX_EXTENSIONS 8

#define ICMP_CHECKSUM 2

/* Whether it is 127.0.0.0/8 or 0.0.0.0/8, which are never on a wire (RFC 1122, 3.2.1.3); for connect(2) both are this host. */
HOT static bool is_inside_v4(const uint8_t *address)
{
	return address[0] == 127 || address[0] == 0;
}

/* The same of IPv6: ::1, ::, and the addresses of IPv4, which would be taken for such. */
HOT static bool is_inside_v6(const struct ip_address *address)
{
	static const uint8_t zero[ADDRESS_BYTES - 1];

	return (memcmp(address->bytes, zero, sizeof zero) == 0 && address->bytes[ADDRESS_BYTES - 1] <= 1) ||
	       address_is_v4(address);
}

/* What follows from the addresses alone. */
HOT static enum guest_verdict judge_addresses(const struct guest_packet *packet)
{
	static const struct ip_address none;
	const uint8_t *source = packet->source.bytes + (packet->is_v6 ? 0 : MAPPED_BYTES);
	const uint8_t *destination = packet->destination.bytes + (packet->is_v6 ? 0 : MAPPED_BYTES);

	if (packet->is_v6) {
		if (address_equals(&packet->source, &none))
			return GUEST_NOT_IP;
		if (source[0] == 0xff || is_inside_v6(&packet->source) || is_inside_v6(&packet->destination))
			return GUEST_MALFORMED;
		return GUEST_PACKET;
	}
	if (load_u32(source) == 0)
		return GUEST_NOT_IP;
	/* Groups, 240.0.0.0/4 and broadcast are all beyond. */
	if (source[0] >= 224 || is_inside_v4(source) || is_inside_v4(destination))
		return GUEST_MALFORMED;
	return GUEST_PACKET;
}

/* Walks the options; false when they do not fit their place. */
static bool read_options(const uint8_t *options, uint32_t length, struct guest_packet *packet)
{
	for (uint32_t at = 0; at < length && options[at] != OPTION_END;) {
		if (options[at] == OPTION_NONE) {
			at++;
			continue;
		}
		if (options[at] == OPTION_LOOSE_ROUTE || options[at] == OPTION_STRICT_ROUTE)
			packet->has_options = true;
		if (length - at < 2 || options[at + 1] < 2 || options[at + 1] > length - at)
			return false;
		at += options[at + 1];
	}
	return true;
}

/*
 * The length of a packet, from its header; that of a super-frame is 0 when it is too long for the field (the kernel's
 * "BIG TCP"). 0 when it does not fit the frame.
 */
HOT static uint32_t packet_length(uint32_t said, uint32_t room, const struct offload_header *offload)
{
	if (said == 0 && offload->gso_type != OFFLOAD_GSO_NONE && room > UINT16_MAX)
		return room;
	return said <= room ? said : 0;
}

HOT static enum guest_verdict parse_v4(struct guest_packet *packet)
{
	const uint8_t *ip = packet->frame + packet->network;
	const uint32_t room = packet->length - packet->network;

	if (room < IPV4_HEADER || ip[0] >> 4 != 4)
		return GUEST_MALFORMED;
	const uint32_t header = (uint32_t)(ip[0] & 15) * 4;
	const uint32_t total = packet_length(load_be16(ip + IPV4_TOTAL_LENGTH), room, &packet->offload);
	if (header < IPV4_HEADER || total < header || checksum_fold(checksum_add(0, ip, header)) != 0xffff)
		return GUEST_MALFORMED;
	if (!read_options(ip + IPV4_HEADER, header - IPV4_HEADER, packet))
		return GUEST_MALFORMED;
	const uint16_t fragment = load_be16(ip + IPV4_FRAGMENT);
	packet->transport = packet->network + header;
	packet->end = packet->network + total;
	packet->protocol = ip[IPV4_PROTOCOL];
	packet->traffic_class = ip[IPV4_TOS];
	packet->hop_limit = ip[IPV4_TTL];
	packet->dont_fragment = (fragment & IPV4_DONT_FRAGMENT) != 0;
	packet->source = address_of_v4(ip + IPV4_ADDRESSES);
	packet->destination = address_of_v4(ip + IPV4_ADDRESSES + 4);
	packet->fragment_offset = (fragment & IPV4_FRAGMENT_OFFSET) * 8u;
	packet->has_more = (fragment & IPV4_MORE_FRAGMENTS) != 0;
	packet->identification = load_be16(ip + IPV4_IDENTIFICATION);
	const enum guest_verdict verdict = judge_addresses(packet);
	if (verdict != GUEST_PACKET)
		return verdict;
	return packet->fragment_offset != 0 || packet->has_more ? GUEST_FRAGMENT : GUEST_PACKET;
}

/* What an extension header is, and how long; false when it does not fit. */
static bool measure_extension(const struct guest_packet *packet, uint32_t *length)
{
	const uint8_t *extension = packet->frame + packet->transport;
	const uint32_t room = packet->end - packet->transport;

	if (room < EXTENSION_UNIT)
		return false;
	*length = packet->protocol == EXTENSION_FRAGMENT ? EXTENSION_UNIT : (extension[1] + 1u) * EXTENSION_UNIT;
	return *length <= room;
}

static void read_fragment_header(struct guest_packet *packet)
{
	const uint8_t *header = packet->frame + packet->transport;

	packet->fragment_offset = load_be16(header + 2) & 0xfff8u;
	packet->has_more = (header[3] & 1) != 0;
	packet->identification = load_be32(header + 4);
}

/* Goes behind the extension headers; a fragment header is the last that a part of a packet has. */
HOT static enum guest_verdict skip_extensions(struct guest_packet *packet)
{
	for (uint32_t count = 0;; count++) {
		const uint8_t kind = packet->protocol;
		const uint8_t *extension = packet->frame + packet->transport;
		uint32_t length;

		if (kind != EXTENSION_HOP_BY_HOP && kind != EXTENSION_ROUTING && kind != EXTENSION_FRAGMENT &&
		    kind != EXTENSION_DESTINATION)
			return GUEST_PACKET;
		if (count == MAX_EXTENSIONS || !measure_extension(packet, &length))
			return GUEST_MALFORMED;
		/* It comes first, or not at all (RFC 8200, 4.1). We are on nobody's route (RFC 5095). */
		if ((kind == EXTENSION_HOP_BY_HOP && count > 0) ||
		    (kind == EXTENSION_ROUTING && extension[ROUTING_SEGMENTS_LEFT] != 0))
			return GUEST_MALFORMED;
		if (kind == EXTENSION_FRAGMENT)
			read_fragment_header(packet);
		packet->protocol = extension[0];
		packet->transport += length;
		/* A fragment header of a packet that is whole has no meaning (RFC 6946). */
		if (packet->fragment_offset != 0 || packet->has_more)
			return GUEST_FRAGMENT;
	}
}

HOT static enum guest_verdict parse_v6(struct guest_packet *packet)
{
	const uint8_t *ip = packet->frame + packet->network;
	const uint32_t room = packet->length - packet->network;

	if (room < IPV6_HEADER || ip[0] >> 4 != 6)
		return GUEST_MALFORMED;
	const uint32_t said = load_be16(ip + IPV6_PAYLOAD_LENGTH);
	const uint32_t payload = packet_length(said, room - IPV6_HEADER, &packet->offload);
	if (payload == 0 && said != 0)
		return GUEST_MALFORMED;
	packet->transport = packet->network + IPV6_HEADER;
	packet->end = packet->transport + payload;
	packet->protocol = ip[IPV6_NEXT_HEADER];
	packet->traffic_class = (uint8_t)(load_be16(ip) >> 4);
	packet->hop_limit = ip[IPV6_HOP_LIMIT];
	packet->dont_fragment = true;
	packet->source = address_of_v6(ip + IPV6_ADDRESSES);
	packet->destination = address_of_v6(ip + IPV6_ADDRESSES + ADDRESS_BYTES);
	const enum guest_verdict verdict = judge_addresses(packet);
	return verdict == GUEST_PACKET ? skip_extensions(packet) : verdict;
}

HOT enum guest_verdict guest_packet_parse(const uint8_t *frame, uint32_t length, const struct offload_header *offload,
					  struct guest_packet *packet)
{
	*packet = (struct guest_packet){ .frame = frame, .length = length, .network = ETHERNET_HEADER, .offload = *offload };
	if (length < ETHERNET_HEADER)
		return GUEST_MALFORMED;
	const uint16_t type = load_be16(frame + ETHERNET_TYPE);
	if (type == ETHERTYPE_IPV4)
		return parse_v4(packet);
	if (type != ETHERTYPE_IPV6)
		return GUEST_NOT_IP;
	packet->is_v6 = true;
	return parse_v6(packet);
}

/* The sum of the pseudo-header of what a guest sent. */
HOT static uint64_t pseudo_sum(const struct guest_packet *packet, uint32_t length)
{
	const uint8_t *ip = packet->frame + packet->network;

	return packet->is_v6 ? checksum_pseudo_v6(ip + IPV6_ADDRESSES, packet->protocol, length)
			     : checksum_pseudo_v4(ip + IPV4_ADDRESSES, packet->protocol, length);
}

HOT bool guest_packet_is_intact(const struct guest_packet *packet)
{
	const uint8_t *transport = packet->frame + packet->transport;
	uint32_t length = packet->end - packet->transport;
	uint64_t sum = 0;

	if (packet->offload.flags & (OFFLOAD_FLAG_NEEDS_CHECKSUM | OFFLOAD_FLAG_DATA_VALID))
		return true;
	if (packet->protocol == PROTOCOL_UDP) {
		if (length < UDP_HEADER || load_be16(transport + UDP_LENGTH) > length)
			return false;
		length = load_be16(transport + UDP_LENGTH);
		if (length < UDP_HEADER)
			return false;
		if (load_u16(transport + UDP_CHECKSUM) == 0)
			return !packet->is_v6;
	} else if (packet->protocol != PROTOCOL_TCP && packet->protocol != PROTOCOL_ICMP &&
		   packet->protocol != PROTOCOL_ICMPV6) {
		return true;
	}
	if (packet->protocol != PROTOCOL_ICMP)
		sum = pseudo_sum(packet, length);
	return checksum_fold(checksum_add(sum, transport, length)) == 0xffff;
}

HOT static void write_v4(uint8_t *ip, const struct packet_path *path, uint8_t protocol, uint32_t payload_length)
{
	memset(ip, 0, IPV4_HEADER);
	ip[0] = 0x45;
	ip[IPV4_TOS] = path->traffic_class;
	store_be16(ip + IPV4_TOTAL_LENGTH, IPV4_HEADER + payload_length);
	store_be16(ip + IPV4_FRAGMENT, IPV4_DONT_FRAGMENT);
	ip[IPV4_TTL] = path->hop_limit;
	ip[IPV4_PROTOCOL] = protocol;
	memcpy(ip + IPV4_ADDRESSES, path->source->bytes + MAPPED_BYTES, 4);
	memcpy(ip + IPV4_ADDRESSES + 4, path->guest->bytes + MAPPED_BYTES, 4);
	store_u16(ip + IPV4_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(0, ip, IPV4_HEADER)));
}

HOT static void write_v6(uint8_t *ip, const struct packet_path *path, uint8_t protocol, uint32_t payload_length)
{
	store_be32(ip, 0x60000000u | (uint32_t)path->traffic_class << 20);
	store_be16(ip + IPV6_PAYLOAD_LENGTH, payload_length);
	ip[IPV6_NEXT_HEADER] = protocol;
	ip[IPV6_HOP_LIMIT] = path->hop_limit;
	memcpy(ip + IPV6_ADDRESSES, path->source->bytes, ADDRESS_BYTES);
	memcpy(ip + IPV6_ADDRESSES + ADDRESS_BYTES, path->guest->bytes, ADDRESS_BYTES);
}

HOT uint32_t packet_write_headers(uint8_t *frame, const struct packet_path *path, uint8_t protocol,
				  uint32_t payload_length)
{
	memcpy(frame, path->guest_mac, MAC_BYTES);
	memcpy(frame + MAC_BYTES, path->gateway_mac, MAC_BYTES);
	store_be16(frame + ETHERNET_TYPE, path->is_v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	if (path->is_v6)
		write_v6(frame + ETHERNET_HEADER, path, protocol, payload_length);
	else
		write_v4(frame + ETHERNET_HEADER, path, protocol, payload_length);
	return packet_headers(path->is_v6);
}

HOT uint64_t packet_path_sum(const struct packet_path *path, uint8_t protocol, uint32_t length)
{
	uint8_t addresses[2 * ADDRESS_BYTES];
	const uint32_t size = path->is_v6 ? ADDRESS_BYTES : 4;
	const uint32_t skipped = ADDRESS_BYTES - size;

	memcpy(addresses, path->source->bytes + skipped, size);
	memcpy(addresses + size, path->guest->bytes + skipped, size);
	return path->is_v6 ? checksum_pseudo_v6(addresses, protocol, length)
			   : checksum_pseudo_v4(addresses, protocol, length);
}
