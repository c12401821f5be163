#include "forwarding_table.h"

#include <stdlib.h>

#include "hot.h"

/* The places of an address: one cache line. */
#define WAYS 4
#define LARGEST_SIZE (1U << 24)

#define KEY_IN_USE (1ULL << 63)
#define VLAN_SHIFT 48
#define VLAN_ID_MASK 0x0fff
#define TYPE_OFFSET 12
#define TAGGED_HEADER 16

bool forwarding_table_prepare(struct forwarding_table *table, uint32_t size)
{
	uint32_t rounded = 1;

	if (size == 0)
		return true;
	while (rounded < size && rounded < LARGEST_SIZE)
		rounded *= 2;
	table->entries = aligned_alloc(64, (rounded < WAYS ? WAYS : rounded) * sizeof *table->entries);
	if (table->entries == NULL)
		return false;
	table->size = rounded;
	for (uint32_t i = 0; i < table->size; i++)
		table->entries[i] = (struct forwarding_entry){ 0 };
	return true;
}

void forwarding_table_release(struct forwarding_table *table)
{
	free(table->entries);
	table->entries = NULL;
	table->size = 0;
}

HOT uint64_t forwarding_key(const uint8_t *frame, uint32_t length, uint32_t offset)
{
	const uint8_t *type = frame + TYPE_OFFSET;
	uint16_t vlan = 0;

	if (type[0] == 0x81 && type[1] == 0x00 && length >= TAGGED_HEADER)
		vlan = (type[2] << 8 | type[3]) & VLAN_ID_MASK;
	return forwarding_key_in(frame, offset, vlan);
}

HOT uint64_t forwarding_key_in(const uint8_t *frame, uint32_t offset, uint16_t vlan)
{
	const uint8_t *address = frame + offset;
	uint64_t key = 0;

	for (int i = 0; i < 6; i++)
		key = key << 8 | address[i];
	return key | (uint64_t)vlan << VLAN_SHIFT | KEY_IN_USE;
}

/* Spreads keys that differ in few bits (the finalizer of MurmurHash3, public domain). */
HOT static uint32_t hash(uint64_t key, uint32_t seed)
{
	key ^= (uint64_t)seed << 32 | seed;
	key ^= key >> 33;
	key *= 0xff51afd7ed558ccdULL;
	key ^= key >> 33;
	key *= 0xc4ceb9fe1a85ec53ULL;
	return (uint32_t)(key >> 32);
}

HOT static uint32_t ways_of(const struct forwarding_table *table)
{
	return table->size < WAYS ? table->size : WAYS;
}

/* The first of the places of @key. */
HOT static struct forwarding_entry *places_of(const struct forwarding_table *table, uint64_t key)
{
	return &table->entries[hash(key, table->seed) & (table->size - ways_of(table))];
}

HOT bool forwarding_entry_is_fresh(const struct forwarding_table *table, const struct forwarding_entry *entry,
				   uint32_t now)
{
	return entry->key != 0 && now - entry->seen < table->expire;
}

HOT static struct forwarding_entry *find_entry(const struct forwarding_table *table, uint64_t key)
{
	struct forwarding_entry *place = places_of(table, key);

	for (uint32_t way = 0; way < ways_of(table); way++) {
		if (place[way].key == key)
			return &place[way];
	}
	return NULL;
}

HOT const struct forwarding_entry *forwarding_table_entry(const struct forwarding_table *table, uint64_t key)
{
	return table->size == 0 ? NULL : find_entry(table, key);
}

uint16_t forwarding_entry_vlan(const struct forwarding_entry *entry)
{
	return entry->key >> VLAN_SHIFT & VLAN_ID_MASK;
}

/* A place for a new address: a free one, else that of the address heard of longest ago. */
static struct forwarding_entry *make_room(struct forwarding_table *table, uint64_t key, uint32_t now)
{
	struct forwarding_entry *place = places_of(table, key);
	struct forwarding_entry *oldest = place;

	for (uint32_t way = 0; way < ways_of(table); way++) {
		if (place[way].key == 0)
			return &place[way];
		if (now - place[way].seen > now - oldest->seen)
			oldest = &place[way];
	}
	return oldest;
}

HOT void forwarding_table_learn(struct forwarding_table *table, uint64_t key, uint32_t port, uint32_t now)
{
	if (table->size == 0)
		return;
	struct forwarding_entry *entry = find_entry(table, key);
	if (entry == NULL)
		entry = make_room(table, key, now);
	*entry = (struct forwarding_entry){ .key = key, .port = port, .seen = now };
}

HOT uint32_t forwarding_table_find(const struct forwarding_table *table, uint64_t key, uint32_t now)
{
	if (table->size == 0)
		return PORT_UNKNOWN;
	const struct forwarding_entry *entry = find_entry(table, key);
	return entry != NULL && forwarding_entry_is_fresh(table, entry, now) ? entry->port : PORT_UNKNOWN;
}
