/*
 * TCP segments in Ethernet frames, as far as joining looks at them.
 */
#ifndef VDENS_PACKET_H
#define VDENS_PACKET_H

#include <stdbool.h>
#include <stdint.h>

/* What a frame is. */
enum packet_kind {
	/* Not TCP: stands by itself. */
	PACKET_OTHER,
	/* May be part of a TCP flow, but not one we can tell. */
	PACKET_ANY_FLOW,
	/* A TCP segment. */
	PACKET_SEGMENT,
};

/* A frame's headers: offsets from its begin. */
struct packet {
	const uint8_t *frame;
	uint32_t network;
	uint32_t transport;
	uint32_t headers;
	uint32_t payload;
	bool is_v6;
	bool is_joinable;
};

/**
 * packet_parse() - looks at a frame's headers.
 * @frame: the frame
 * @length: its bytes
 * @packet: filled when it is a TCP segment
 *
 * Return: what it is.
 */
enum packet_kind packet_parse(const uint8_t *frame, uint32_t length, struct packet *packet);

/**
 * packet_flow_hash() - a hash of a segment's addresses and ports.
 * @packet: the segment
 *
 * Return: 16 bits.
 */
uint32_t packet_flow_hash(const struct packet *packet);

/**
 * packet_is_same_flow() - whether two segments have the same addresses and ports, in the same direction.
 * @one: a segment
 * @other: another
 *
 * Return: whether they have.
 */
bool packet_is_same_flow(const struct packet *one, const struct packet *other);

/**
 * packet_pseudo_header() - the sum of the pseudo-header of a TCP segment.
 * @ip: its IP header
 * @is_v6: which kind
 * @tcp_length: bytes of TCP header and payload
 *
 * Return: a partial sum.
 */
uint64_t packet_pseudo_header(const uint8_t *ip, bool is_v6, uint32_t tcp_length);

/**
 * packet_checksums_verify() - whether the checksums of a segment are right.
 * @packet: the segment, which is joinable
 *
 * Return: whether those of the IPv4 header and of TCP are.
 */
bool packet_checksums_verify(const struct packet *packet);

#endif
