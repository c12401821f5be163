/*
 * The Internet checksum, 16 bytes at a time.
 *
 * The compiler's portable vectors keep the two 32-bit halves of every 64-bit word in accumulators of
 * their own, so that no carry has to be looked at inside the loop: at 2^32 words they would overflow.
 * About 35 ns for 1460 bytes, 40 ns with the copy (memcpy alone: 23 ns).
 */
#include "checksum.h"

#include <arpa/inet.h>
#include <string.h>

#include "headers.h"

typedef uint64_t lanes __attribute__((vector_size(16)));

struct accumulator {
	lanes low;
	lanes high;
};

static const lanes low_halves = {0xffffffff, 0xffffffff};

static inline lanes load_lanes(const uint8_t *at)
{
	lanes value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline void accumulate(struct accumulator *into, lanes value)
{
	into->low += value & low_halves;
	into->high += value >> 32;
}

static inline uint64_t total(uint64_t sum, const struct accumulator *even, const struct accumulator *odd)
{
	lanes all = even->low + even->high + odd->low + odd->high;

	return checksum_join(checksum_join(sum, all[0]), all[1]);
}

/* The last bytes that do not fill a vector: zero-padded to whole words. */
static inline uint64_t add_rest(uint64_t sum, const uint8_t *bytes, size_t length)
{
	uint8_t padded[8] = {0};

	while (length >= 8) {
		sum = checksum_join(sum, load_u64(bytes));
		bytes += 8;
		length -= 8;
	}
	if (length == 0)
		return sum;
	memcpy(padded, bytes, length);
	return checksum_join(sum, load_u64(padded));
}

uint64_t checksum_add(uint64_t sum, const uint8_t *bytes, size_t length)
{
	struct accumulator even = {0}, odd = {0};

	while (length >= 32) {
		accumulate(&even, load_lanes(bytes));
		accumulate(&odd, load_lanes(bytes + 16));
		bytes += 32;
		length -= 32;
	}
	return add_rest(total(sum, &even, &odd), bytes, length);
}

uint64_t checksum_copy(uint64_t sum, uint8_t *to, const uint8_t *from, size_t length)
{
	struct accumulator even = {0}, odd = {0};

	while (length >= 32) {
		lanes first = load_lanes(from);
		lanes second = load_lanes(from + 16);

		memcpy(to, &first, sizeof(first));
		memcpy(to + 16, &second, sizeof(second));
		accumulate(&even, first);
		accumulate(&odd, second);
		from += 32;
		to += 32;
		length -= 32;
	}
	if (length > 0)
		memcpy(to, from, length);
	return add_rest(total(sum, &even, &odd), from, length);
}

uint64_t checksum_pseudo_v4(const uint8_t *addresses, uint8_t protocol, uint32_t length)
{
	return checksum_join(load_u64(addresses), (uint64_t)htonl(length) + htons(protocol));
}

uint64_t checksum_pseudo_v6(const uint8_t *addresses, uint8_t protocol, uint32_t length)
{
	return checksum_add((uint64_t)htonl(length) + htons(protocol), addresses, 32);
}
