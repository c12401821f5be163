/*
 * UDP datagrams, many of one length in one system call: UDP_SEGMENT and UDP_GRO (udp(7), Linux 4.18 and 5.0).
 * Pure system calls; no Node-API.
 */
#ifndef VDENS_UDP_IO_H
#define VDENS_UDP_IO_H

#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the C library's headers may be too old to name (linux/udp.h). */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* How many messages one system call receives; each may be many datagrams. */
#define MAX_UDP_MESSAGES 32
/* How many datagrams the kernel cuts one message into (UDP_MAX_SEGMENTS in Linux before 6.9). */
#define MAX_UDP_SEGMENTS 64
/* The longest payload of a datagram over IPv4: 65535 less the headers of IP and UDP. */
#define MAX_UDP_PAYLOAD 65507

/* Where a datagram comes from or goes to. Unused bytes are zero, so that addresses can be compared as bytes. */
union udp_address {
	sa_family_t family;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	uint8_t bytes[sizeof(struct sockaddr_in6)];
};

/* The port of an address, in network order. */
static inline uint16_t udp_port(const union udp_address *address)
{
	return address->family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port;
}

/**
 * struct udp_message - one or many datagrams of one sender that arrived together.
 * @offset: where in the arena
 * @length: bytes of all of them
 * @segment: bytes of each but the last; 0 when it is one
 * @is_cut: it was longer than there was room for
 * @from: the sender
 */
struct udp_message {
	uint32_t offset;
	uint32_t length;
	uint32_t segment;
	bool is_cut;
	union udp_address from;
};

/**
 * udp_receive() - receives what waits, message i at i * @stride.
 * Return: how many messages, at most @capacity; 0 when none waits; -errno.
 */
int udp_receive(int fd, uint8_t *arena, size_t stride, struct udp_message *messages, uint32_t capacity);

/**
 * udp_send() - sends bytes as datagrams of @segment bytes each, the last perhaps shorter; as one when @segment is 0.
 * Return: 0, or an errno.
 */
int udp_send(int fd, const union udp_address *to, const uint8_t *bytes, size_t length, uint32_t segment);

/**
 * udp_send_behind() - sends one datagram: a header and a frame.
 * Return: 0, or an errno.
 */
int udp_send_behind(int fd, const union udp_address *to, const uint8_t *header, size_t header_length,
		    const uint8_t *frame, size_t length);

#endif
