/*
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): who does not know the key can neither
 * foresee the value of an input nor choose inputs of equal values.
 */
#ifndef VDENS_SIPHASH_H
#define VDENS_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_BYTES 16

struct siphash_key {
	uint8_t bytes[SIPHASH_KEY_BYTES];
};

uint64_t siphash(const struct siphash_key *key, const void *input, size_t length);

#endif
