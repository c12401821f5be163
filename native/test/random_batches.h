/*
 * Random batches for frames_test.c: valid ones, damaged ones, and noise.
 */
#ifndef VDENS_RANDOM_BATCHES_H
#define VDENS_RANDOM_BATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../io/slot.h"

#define MAX_SLOTS 40

/* A batch in buffers of their exact size. */
struct batch {
	uint8_t *arena;
	size_t size;
	struct frame_slot *slots;
	uint32_t count;
};

/* Ends the program with a message unless it holds. */
void expect(bool holds, const char *what);

/* Begins the sequence of random numbers, which is the same everywhere. */
void seed_random(uint64_t seed);
uint32_t next_random(void);
/* From 0 to limit - 1. */
uint32_t below(uint32_t limit);
/* True one time in so many. */
bool one_in(uint32_t chances);

/* A buffer of exactly so many bytes, never NULL: one byte too far is noticed. */
void *exactly(size_t size);

/* The sum of the pseudo-header that belongs to an IP header without options or extensions. */
uint64_t pseudo_header(const uint8_t *ip, bool is_v6, bool is_tcp, uint32_t length);

/* Flows of TCP that can be joined, super-frames, UDP; one frame in @harm damaged, none when it is 0. */
struct batch make_batch(uint32_t harm);
/* Noise, with slots some of which are plausible. */
struct batch make_garbage(void);
void free_batch(struct batch *batch);

#endif
