#include "unfinished.h"

#include "checksum.h"
#include "headers.h"
#include "hot.h"

/* Where things are in a packet whose headers were looked at. */
struct layout {
	bool is_v6;
	uint8_t protocol;
	uint32_t network;
	uint32_t transport;
	uint32_t end; /* of the packet; what is behind is padding */
};

/* More fragments, or not the first one. */
#define FRAGMENT_MASK 0x3fff

HOT static bool find_layout(const uint8_t *frame, uint32_t length, struct layout *layout)
{
	const uint16_t type = find_network(frame, length, &layout->network);
	const uint8_t *ip = frame + layout->network;

	layout->is_v6 = type == ETHERTYPE_IPV6;
	if (type == ETHERTYPE_IPV4) {
		if (length < layout->network + IPV4_HEADER || ip[0] >> 4 != 4 ||
		    (load_be16(ip + IPV4_FRAGMENT) & FRAGMENT_MASK) != 0)
			return false;
		layout->protocol = ip[IPV4_PROTOCOL];
		layout->transport = layout->network + (uint32_t)(ip[0] & 15) * 4;
		layout->end = layout->network + load_be16(ip + IPV4_TOTAL_LENGTH);
	} else if (type == ETHERTYPE_IPV6) {
		if (length < layout->network + IPV6_HEADER || ip[0] >> 4 != 6)
			return false;
		layout->protocol = ip[IPV6_NEXT_HEADER];
		layout->transport = layout->network + IPV6_HEADER;
		layout->end = layout->transport + load_be16(ip + IPV6_PAYLOAD_LENGTH);
	} else {
		return false;
	}
	return layout->transport >= layout->network + IPV4_HEADER && layout->transport <= layout->end;
}

/* Bytes of the transport header; 0 when it is none of ours, or cut. */
HOT static uint32_t transport_header(const uint8_t *frame, const struct layout *layout)
{
	const uint32_t room = layout->end - layout->transport;
	uint32_t header = 0;

	if (layout->protocol == PROTOCOL_UDP)
		header = UDP_HEADER;
	else if (layout->protocol == PROTOCOL_TCP && room >= TCP_HEADER)
		header = (uint32_t)(frame[layout->transport + TCP_DATA_OFFSET] >> 4) * 4;
	return header <= room && (layout->protocol == PROTOCOL_UDP || header >= TCP_HEADER) ? header : 0;
}

HOT static bool is_unfinished(const uint8_t *frame, const struct layout *layout, uint32_t checksum_offset)
{
	const uint8_t *ip = frame + layout->network;
	const uint32_t length = layout->end - layout->transport;
	const uint64_t sum = layout->is_v6 ? checksum_pseudo_v6(ip + IPV6_ADDRESSES, layout->protocol, length)
					   : checksum_pseudo_v4(ip + IPV4_ADDRESSES, layout->protocol, length);

	return load_u16(frame + layout->transport + checksum_offset) == checksum_fold(sum);
}

HOT void note_unfinished(struct frame_slot *slot, const uint8_t *frame, uint32_t longest, uint32_t udp_segment)
{
	struct layout layout;

	if (!find_layout(frame, slot->length, &layout) || layout.end > slot->length)
		return;
	const uint32_t header = transport_header(frame, &layout);
	const bool is_tcp = layout.protocol == PROTOCOL_TCP;
	const uint32_t headers = layout.transport + header;
	const uint16_t checksum_offset = is_tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
	if (header == 0 || !is_unfinished(frame, &layout, checksum_offset))
		return;
	slot->offload = (struct offload_header){
		.flags = OFFLOAD_FLAG_NEEDS_CHECKSUM, .header_length = (uint16_t)headers,
		.checksum_start = (uint16_t)layout.transport, .checksum_offset = checksum_offset,
	};
	if (is_tcp && layout.end > longest && longest > headers) {
		slot->offload.gso_type = layout.is_v6 ? OFFLOAD_GSO_TCPV6 : OFFLOAD_GSO_TCPV4;
		slot->offload.gso_size = (uint16_t)(longest - headers);
	} else if (!is_tcp && udp_segment > 0 && udp_segment < layout.end - headers) {
		slot->offload.gso_type = OFFLOAD_GSO_UDP_L4;
		slot->offload.gso_size = (uint16_t)udp_segment;
	}
	/* A super-frame ends with its packet (virtio 1.2, 5.1.6). */
	if (slot->offload.gso_type != OFFLOAD_GSO_NONE)
		slot->length = layout.end;
}

bool is_whole_packet(const uint8_t *frame, uint32_t length, uint32_t expected)
{
	struct layout layout;

	return find_layout(frame, length, &layout) && layout.end == expected;
}
