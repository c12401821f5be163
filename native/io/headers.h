/*
 * Offsets in the headers that segmenting and joining look at, and loads and stores of any alignment.
 * Ethernet: IEEE 802.3 and 802.1Q; IPv4: RFC 791; IPv6: RFC 8200; TCP: RFC 9293; UDP: RFC 768.
 */
#ifndef VDENS_HEADERS_H
#define VDENS_HEADERS_H

#include <stdint.h>
#include <string.h>

#define ETHERNET_HEADER 14
#define ETHERNET_TYPE 12
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_CVLAN 0x8100
#define ETHERTYPE_SVLAN 0x88a8
#define VLAN_TAG 4

#define IPV4_HEADER 20
#define IPV4_TOS 1
#define IPV4_TOTAL_LENGTH 2
#define IPV4_IDENTIFICATION 4
#define IPV4_FRAGMENT 6
#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_TTL 8
#define IPV4_PROTOCOL 9
#define IPV4_CHECKSUM 10
#define IPV4_ADDRESSES 12

#define IPV6_HEADER 40
#define IPV6_PAYLOAD_LENGTH 4
#define IPV6_NEXT_HEADER 6
#define IPV6_HOP_LIMIT 7
#define IPV6_ADDRESSES 8

#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_ICMPV6 58

#define TCP_HEADER 20
#define TCP_SEQUENCE 4
#define TCP_ACKNOWLEDGEMENT 8
#define TCP_DATA_OFFSET 12
#define TCP_FLAGS 13
#define TCP_WINDOW 14
#define TCP_CHECKSUM 16
#define TCP_URGENT 18
#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_PSH 0x08
#define TCP_FLAG_ACK 0x10
#define TCP_FLAG_CWR 0x80

#define UDP_HEADER 8
#define UDP_LENGTH 4
#define UDP_CHECKSUM 6

/* As they lie in memory: for checksums and for comparing. */
static inline uint16_t load_u16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline uint32_t load_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline uint64_t load_u64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline void store_u16(uint8_t *at, uint16_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* As the numbers they stand for: fields are in network byte order. */
static inline uint16_t load_be16(const uint8_t *at)
{
	return (uint16_t)((at[0] << 8) | at[1]);
}

static inline uint32_t load_be32(const uint8_t *at)
{
	return ((uint32_t)load_be16(at) << 16) | load_be16(at + 2);
}

/* The low 16 bits of the value. */
static inline void store_be16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void store_be32(uint8_t *at, uint32_t value)
{
	store_be16(at, value >> 16);
	store_be16(at + 2, value);
}

/**
 * find_network() - finds what an Ethernet frame carries, behind up to two VLAN tags.
 * @frame: the frame
 * @length: its bytes
 * @network: set to the offset of the header behind the Ethernet header and the tags
 *
 * Return: the EtherType of it; 0 when the frame ends before.
 */
static inline uint16_t find_network(const uint8_t *frame, uint32_t length, uint32_t *network)
{
	uint32_t type_at = ETHERNET_TYPE;

	for (int tags = 0; length >= type_at + 2; tags++) {
		uint16_t type = load_be16(frame + type_at);

		if (tags == 2 || (type != ETHERTYPE_CVLAN && type != ETHERTYPE_SVLAN)) {
			*network = type_at + 2;
			return type;
		}
		type_at += VLAN_TAG;
	}
	return 0;
}

#endif
