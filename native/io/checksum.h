/*
 * The Internet checksum (RFC 1071), over bytes as they lie in memory.
 *
 * A partial sum is a 64-bit one's complement accumulator of the bytes read as native words: the sum
 * does not depend on byte order (RFC 1071, 2(B)), so a folded sum can be stored as it is. Partial
 * sums can be continued as long as every part but the last has an even length.
 */
#ifndef VDENS_CHECKSUM_H
#define VDENS_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/**
 * checksum_join() - adds two partial sums.
 * @sum: a partial sum
 * @more: another
 *
 * Return: their sum, the carry added back in (one's complement).
 */
static inline uint64_t checksum_join(uint64_t sum, uint64_t more)
{
	sum += more;
	return sum + (sum < more);
}

/**
 * checksum_fold() - folds a partial sum into 16 bits.
 * @sum: a partial sum
 *
 * Return: the sum, not complemented, in memory order. Zero only when every byte was zero.
 */
static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/**
 * checksum_add() - continues a partial sum.
 * @sum: the sum so far
 * @bytes: what to add, of any alignment
 * @length: how many bytes; odd only in the last part
 *
 * Return: the new partial sum.
 */
uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t length);

/**
 * checksum_copy() - copies bytes and continues a partial sum in one pass.
 * @sum: the sum so far
 * @to: where the copy goes; must not overlap @from
 * @from: what to copy and add
 * @length: how many bytes; odd only in the last part
 *
 * Return: the new partial sum.
 */
uint64_t checksum_copy(uint64_t sum, uint8_t *to, const uint8_t *from, size_t length);

/**
 * checksum_pseudo_v4() - the sum of the IPv4 pseudo-header (RFC 9293, 3.1; RFC 768).
 * @addresses: source and destination address, 8 bytes
 * @protocol: the IP protocol number
 * @length: bytes of the transport header and its payload
 *
 * Return: a partial sum.
 */
uint64_t checksum_pseudo_v4(const uint8_t *addresses, uint8_t protocol, uint32_t length);

/**
 * checksum_pseudo_v6() - the sum of the IPv6 pseudo-header (RFC 8200, 8.1).
 * @addresses: source and destination address, 32 bytes
 * @protocol: the protocol number of the transport
 * @length: bytes of the transport header and its payload
 *
 * Return: a partial sum.
 */
uint64_t checksum_pseudo_v6(const uint8_t *addresses, uint8_t protocol, uint32_t length);

#endif
