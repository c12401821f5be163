#include "siphash.h"

#include "hot.h"

#define ROUNDS_PER_WORD 2
#define LAST_ROUNDS 4

struct state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t word, unsigned int bits)
{
	return word << bits | word >> (64 - bits);
}

/* Up to eight bytes, the lowest first. */
static inline uint64_t load_word(const uint8_t *bytes, size_t count)
{
	uint64_t word = 0;

	for (size_t i = 0; i < count; i++)
		word |= (uint64_t)bytes[i] << 8 * i;
	return word;
}

static inline void mix(struct state *state, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		state->v0 += state->v1;
		state->v2 += state->v3;
		state->v1 = rotate(state->v1, 13) ^ state->v0;
		state->v3 = rotate(state->v3, 16) ^ state->v2;
		state->v0 = rotate(state->v0, 32);
		state->v2 += state->v1;
		state->v0 += state->v3;
		state->v1 = rotate(state->v1, 17) ^ state->v2;
		state->v3 = rotate(state->v3, 21) ^ state->v0;
		state->v2 = rotate(state->v2, 32);
	}
}

static inline void take_word(struct state *state, uint64_t word)
{
	state->v3 ^= word;
	mix(state, ROUNDS_PER_WORD);
	state->v0 ^= word;
}

HOT uint64_t siphash(const struct siphash_key *key, const void *input, size_t length)
{
	const uint8_t *bytes = input;
	const uint64_t low = load_word(key->bytes, 8), high = load_word(key->bytes + 8, 8);
	struct state state = { low ^ 0x736f6d6570736575, high ^ 0x646f72616e646f6d, low ^ 0x6c7967656e657261,
			       high ^ 0x7465646279746573 };

	size_t at = 0;
	for (; length - at >= 8; at += 8)
		take_word(&state, load_word(bytes + at, 8));
	take_word(&state, (uint64_t)length << 56 | load_word(bytes + at, length - at));
	state.v2 ^= 0xff;
	mix(&state, LAST_ROUNDS);
	return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}
