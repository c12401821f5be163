/*
 * IP packets of a guest, in Ethernet frames: reading their headers, and writing those of the answers.
 * Every length is checked before what it covers is looked at.
 */
#ifndef VDENS_GUEST_PACKET_H
#define VDENS_GUEST_PACKET_H

#include "address.h"
#include "headers.h"
#include "slot.h"

#define MAC_BYTES 6
#define PROTOCOL_ICMP 1
/* The TTL of what the gateway itself says. */
#define OWN_HOP_LIMIT 64

/* What a frame is to a gateway. */
enum guest_verdict {
	GUEST_PACKET,	 /* a whole IP packet */
	GUEST_FRAGMENT,	 /* a part of one: transport and protocol are those of the fragment's payload */
	GUEST_NOT_IP,	 /* ARP and others, tagged frames, and packets of who has no address yet */
	GUEST_MALFORMED, /* lengths or the header's checksum are wrong, or its addresses are never on a wire */
};

/**
 * struct guest_packet - where things are. All offsets from the begin of the frame.
 * @frame: the frame
 * @length: its bytes
 * @network: the IP header
 * @transport: what is behind the IP header, its options and extension headers
 * @end: where the packet ends; padding of the frame may follow
 * @is_v6: which kind
 * @has_options: IPv4 options that route (source route): such a packet is not forwarded
 * @protocol: of the transport
 * @traffic_class: TOS, or traffic class
 * @hop_limit: TTL, or hop limit
 * @dont_fragment: always for IPv6
 * @source: the guest
 * @destination: whom it wants
 * @offload: what is left to do with it
 * @fragment_offset: of a GUEST_FRAGMENT, in bytes
 * @has_more: of a GUEST_FRAGMENT: it is not the last
 * @identification: of a GUEST_FRAGMENT
 * @is_gathered: its fragments were put together: it does not outlive the next one
 */
struct guest_packet {
	const uint8_t *frame;
	uint32_t length;
	uint32_t network;
	uint32_t transport;
	uint32_t end;
	bool is_v6;
	bool has_options;
	uint8_t protocol;
	uint8_t traffic_class;
	uint8_t hop_limit;
	bool dont_fragment;
	struct ip_address source;
	struct ip_address destination;
	struct offload_header offload;
	uint32_t fragment_offset;
	bool has_more;
	uint32_t identification;
	bool is_gathered;
};

/* Reads a frame's headers. */
enum guest_verdict guest_packet_parse(const uint8_t *frame, uint32_t length, const struct offload_header *offload,
				      struct guest_packet *packet);

/* Whether the checksum over the transport is right, or is left to do by us. UDP over IPv4 may have none. */
bool guest_packet_is_intact(const struct guest_packet *packet);

/**
 * struct packet_path - the headers of a packet to a guest.
 * @guest_mac: whose frame it is to be
 * @gateway_mac: ours
 * @is_v6: which kind
 * @source: whom the guest hears
 * @guest: the guest
 * @hop_limit: TTL, or hop limit
 * @traffic_class: TOS, or traffic class
 */
struct packet_path {
	const uint8_t *guest_mac;
	const uint8_t *gateway_mac;
	bool is_v6;
	const struct ip_address *source;
	const struct ip_address *guest;
	uint8_t hop_limit;
	uint8_t traffic_class;
};

/* Bytes of Ethernet and IP header: where the transport begins in a frame that packet_write_headers() makes. */
static inline uint32_t packet_headers(bool is_v6)
{
	return ETHERNET_HEADER + (is_v6 ? IPV6_HEADER : IPV4_HEADER);
}

/*
 * Writes Ethernet and IP headers before @payload_length bytes of a transport; IPv4 says not to fragment. The checksum
 * of the IPv4 header is right. Returns where the transport begins.
 */
uint32_t packet_write_headers(uint8_t *frame, const struct packet_path *path, uint8_t protocol, uint32_t payload_length);

/* The partial sum of the pseudo-header of a transport of @length bytes. */
uint64_t packet_path_sum(const struct packet_path *path, uint8_t protocol, uint32_t length);

#endif
