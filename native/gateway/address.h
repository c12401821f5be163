/*
 * IP addresses of both kinds in one form: an IPv4 address is the IPv6 address ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
 */
#ifndef VDENS_ADDRESS_H
#define VDENS_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "udp_io.h"

#define ADDRESS_BYTES 16
#define MAPPED_BYTES 12

struct ip_address {
	uint8_t bytes[ADDRESS_BYTES];
};

/* The form of an IPv4 address, of 4 bytes. */
static inline struct ip_address address_of_v4(const uint8_t *v4)
{
	struct ip_address address = { .bytes = { [10] = 0xff, [11] = 0xff } };

	memcpy(address.bytes + MAPPED_BYTES, v4, 4);
	return address;
}

/* The form of an IPv6 address, of 16 bytes. */
static inline struct ip_address address_of_v6(const uint8_t *v6)
{
	struct ip_address address;

	memcpy(address.bytes, v6, ADDRESS_BYTES);
	return address;
}

static inline bool address_is_v4(const struct ip_address *address)
{
	static const uint8_t prefix[MAPPED_BYTES] = { [10] = 0xff, [11] = 0xff };

	return memcmp(address->bytes, prefix, MAPPED_BYTES) == 0;
}

static inline bool address_equals(const struct ip_address *one, const struct ip_address *other)
{
	return memcmp(one->bytes, other->bytes, ADDRESS_BYTES) == 0;
}

/* 127.0.0.0/8 or ::1. */
static inline bool address_is_loopback(const struct ip_address *address)
{
	static const struct ip_address loopback_v6 = { .bytes = { [15] = 1 } };

	return address_is_v4(address) ? address->bytes[MAPPED_BYTES] == 127 : address_equals(address, &loopback_v6);
}

/* Multicast, or 255.255.255.255. */
static inline bool address_is_group(const struct ip_address *address)
{
	static const uint8_t all[4] = { 255, 255, 255, 255 };

	if (!address_is_v4(address))
		return address->bytes[0] == 0xff;
	return (address->bytes[MAPPED_BYTES] & 0xf0) == 0xe0 || memcmp(address->bytes + MAPPED_BYTES, all, 4) == 0;
}

/* The address of a socket; @port in network order. */
static inline union udp_address socket_address(const struct ip_address *address, uint16_t port)
{
	union udp_address socket = { 0 };

	if (address_is_v4(address)) {
		socket.v4.sin_family = AF_INET;
		socket.v4.sin_port = port;
		memcpy(&socket.v4.sin_addr, address->bytes + MAPPED_BYTES, 4);
	} else {
		socket.v6.sin6_family = AF_INET6;
		socket.v6.sin6_port = port;
		memcpy(&socket.v6.sin6_addr, address->bytes, ADDRESS_BYTES);
	}
	return socket;
}

static inline struct ip_address address_of_socket(const union udp_address *socket)
{
	return socket->family == AF_INET ? address_of_v4((const uint8_t *)&socket->v4.sin_addr)
					 : address_of_v6((const uint8_t *)&socket->v6.sin6_addr);
}

static inline socklen_t socket_address_length(const union udp_address *socket)
{
	return socket->family == AF_INET ? sizeof socket->v4 : sizeof socket->v6;
}

#endif
