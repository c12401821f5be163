#include "table_test.h"

#include <stdlib.h>
#include <string.h>

#include "../io/forwarding_table.h"
#include "random_batches.h"

#define KEYS 24
#define PORTS 5
#define STEPS 60
/* Tables of up to so many places are one set, in which the oldest goes: the array knows exactly what they know. */
#define ONE_SET 4

/* What was learned of a key, by its number: `seen` is 0 when nothing was, or it had to go. */
struct known {
	uint32_t port;
	uint32_t seen;
};

static uint32_t rounded(uint32_t size)
{
	uint32_t power = 1;

	while (power < size)
		power *= 2;
	return size == 0 ? 0 : power;
}

/* An address that differs from the others in few bits, and the VLAN in the same way. */
static uint64_t key_of(uint32_t number)
{
	uint8_t frame[18] = { 2, 0, 0, 0, 0, (uint8_t)(number % 8), 2, 0, 0, 0, 0, (uint8_t)(number % 8), 0x81, 0 };
	const uint32_t vlan = number / 8 * 1024 + 5;
	uint8_t *exact = exactly(sizeof frame);

	frame[14] = (uint8_t)(vlan >> 8 | 0xf0);
	frame[15] = (uint8_t)vlan;
	memcpy(exact, frame, sizeof frame);
	uint64_t key = forwarding_key(exact, sizeof frame, one_in(2) ? 0 : 6);
	free(exact);
	return key;
}

/* Too short for a tag: no byte beyond the frame is read. */
static void try_short_frame(void)
{
	uint8_t *frame = exactly(14);

	memset(frame, 0x81, 14);
	frame[13] = 0;
	expect((forwarding_key(frame, 14, 0) >> 48 & 0xfff) == 0, "a frame without room for a tag has none");
	free(frame);
}

/* The oldest goes when the places of the array are all in use. */
static void learn_in_array(struct known *known, uint32_t places, uint32_t number, struct known learned)
{
	uint32_t used = 0, oldest = KEYS;

	for (uint32_t i = 0; i < KEYS; i++) {
		if (known[i].seen == 0 || i == number)
			continue;
		used++;
		if (oldest == KEYS || known[i].seen < known[oldest].seen)
			oldest = i;
	}
	if (known[number].seen == 0 && used == places && places <= ONE_SET)
		known[oldest].seen = 0;
	known[number] = learned;
}

static void compare(const struct forwarding_table *table, const struct known *known, uint32_t now)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		const uint32_t port = forwarding_table_find(table, key_of(i), now);
		const bool is_fresh = known[i].seen != 0 && now - known[i].seen < table->expire;

		if (port != PORT_UNKNOWN)
			expect(is_fresh && port == known[i].port, "what is found was learned last, and is fresh");
		else
			expect(!is_fresh || table->size > ONE_SET, "what is fresh and has a place is found");
	}
}

void try_forwarding_table(void)
{
	const uint32_t size = below(20);
	struct forwarding_table table = { .seed = next_random(), .expire = 20 + below(200) };
	struct known known[KEYS] = { 0 };

	try_short_frame();
	expect(forwarding_table_prepare(&table, size), "there is memory");
	expect(table.size == rounded(size), "the size is rounded up to a power of two");
	for (uint32_t step = 0, now = 1; step < STEPS; step++, now += 1 + (one_in(10) ? below(60) : 0)) {
		const uint32_t number = below(KEYS), port = below(PORTS);

		forwarding_table_learn(&table, key_of(number), port, now);
		if (size > 0)
			learn_in_array(known, rounded(size), number, (struct known){ port, now });
		expect(size == 0 || forwarding_table_find(&table, key_of(number), now) == port,
		       "what was just learned is found");
		compare(&table, known, now);
	}
	forwarding_table_release(&table);
}
