/*
 * Reads the headers of a frame: each length is checked before what it covers is looked at.
 */
#include "packet.h"

#include <string.h>

#include "checksum.h"
#include "headers.h"

static enum packet_kind parse_ipv4(const uint8_t *ip, uint32_t length, uint32_t *ip_length)
{
	if (length < IPV4_HEADER)
		return PACKET_ANY_FLOW;
	if (ip[IPV4_PROTOCOL] != PROTOCOL_TCP)
		return PACKET_OTHER;
	*ip_length = load_be16(ip + IPV4_TOTAL_LENGTH);
	if (ip[0] != 0x45 || (load_be16(ip + IPV4_FRAGMENT) & ~IPV4_DONT_FRAGMENT) != 0)
		return PACKET_ANY_FLOW;
	return PACKET_SEGMENT;
}

static enum packet_kind parse_ipv6(const uint8_t *ip, uint32_t length, uint32_t *ip_length)
{
	if (length < IPV6_HEADER)
		return PACKET_ANY_FLOW;
	if (ip[IPV6_NEXT_HEADER] == PROTOCOL_UDP || ip[IPV6_NEXT_HEADER] == PROTOCOL_ICMPV6)
		return PACKET_OTHER;
	*ip_length = IPV6_HEADER + (uint32_t)load_be16(ip + IPV6_PAYLOAD_LENGTH);
	if (ip[0] >> 4 != 6 || ip[IPV6_NEXT_HEADER] != PROTOCOL_TCP)
		return PACKET_ANY_FLOW;
	return PACKET_SEGMENT;
}

enum packet_kind packet_parse(const uint8_t *frame, uint32_t length, struct packet *packet)
{
	uint16_t ether_type = find_network(frame, length, &packet->network);
	uint32_t ip_header, ip_length = 0, tcp_header;
	const uint8_t *tcp;
	enum packet_kind kind;

	if (ether_type != ETHERTYPE_IPV4 && ether_type != ETHERTYPE_IPV6)
		return PACKET_OTHER;
	packet->frame = frame;
	packet->is_v6 = ether_type == ETHERTYPE_IPV6;
	length -= packet->network;
	ip_header = packet->is_v6 ? IPV6_HEADER : IPV4_HEADER;
	kind = packet->is_v6 ? parse_ipv6(frame + packet->network, length, &ip_length)
			     : parse_ipv4(frame + packet->network, length, &ip_length);
	if (kind != PACKET_SEGMENT)
		return kind;
	if (ip_length > length || ip_length < ip_header + TCP_HEADER)
		return PACKET_ANY_FLOW;
	packet->transport = packet->network + ip_header;
	tcp = frame + packet->transport;
	tcp_header = (uint32_t)(tcp[TCP_DATA_OFFSET] >> 4) * 4;
	packet->headers = packet->transport + tcp_header;
	/* A frame padded to the Ethernet minimum stays as it is, as do reserved bits and every other flag. */
	packet->is_joinable = tcp_header >= TCP_HEADER && ip_header + tcp_header < ip_length && ip_length == length &&
			      ip_length <= UINT16_MAX && (tcp[TCP_DATA_OFFSET] & 15) == 0 &&
			      (tcp[TCP_FLAGS] & ~TCP_FLAG_PSH) == TCP_FLAG_ACK;
	packet->payload = packet->is_joinable ? ip_length - ip_header - tcp_header : 0;
	return PACKET_SEGMENT;
}

/* Addresses and ports follow each other, because there are no options between them. */
static const uint8_t *flow_of(const struct packet *packet, uint32_t *length)
{
	*length = packet->is_v6 ? 36 : 12;
	return packet->frame + packet->network + (packet->is_v6 ? IPV6_ADDRESSES : IPV4_ADDRESSES);
}

uint32_t packet_flow_hash(const struct packet *packet)
{
	uint32_t length;
	const uint8_t *flow = flow_of(packet, &length);
	uint32_t hash = 0;

	for (uint32_t at = 0; at < length; at += 4)
		hash = (hash ^ load_u32(flow + at)) * 0x9e3779b1u;
	return hash >> 16;
}

bool packet_is_same_flow(const struct packet *one, const struct packet *other)
{
	uint32_t one_length, other_length;
	const uint8_t *one_flow = flow_of(one, &one_length);
	const uint8_t *other_flow = flow_of(other, &other_length);

	return one_length == other_length && memcmp(one_flow, other_flow, one_length) == 0;
}

uint64_t packet_pseudo_header(const uint8_t *ip, bool is_v6, uint32_t tcp_length)
{
	return is_v6 ? checksum_pseudo_v6(ip + IPV6_ADDRESSES, PROTOCOL_TCP, tcp_length)
		     : checksum_pseudo_v4(ip + IPV4_ADDRESSES, PROTOCOL_TCP, tcp_length);
}

bool packet_checksums_verify(const struct packet *packet)
{
	const uint8_t *ip = packet->frame + packet->network;
	uint32_t tcp_length = packet->headers - packet->transport + packet->payload;

	if (!packet->is_v6 && checksum_fold(checksum_add(0, ip, IPV4_HEADER)) != 0xffff)
		return false;
	return checksum_fold(checksum_add(packet_pseudo_header(ip, packet->is_v6, tcp_length),
					  packet->frame + packet->transport, tcp_length)) == 0xffff;
}
