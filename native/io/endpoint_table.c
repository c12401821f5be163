#include "endpoint_table.h"

#include <stdlib.h>
#include <string.h>

#include "hot.h"

#define WAYS 4
/* The last serials are left out: no token is the forwarding table's PORT_UNKNOWN. */
#define SERIALS (UINT32_MAX / MAX_ENDPOINTS)

bool endpoint_table_prepare(struct endpoint_table *table, uint32_t seed)
{
	table->seed = seed;
	table->serial = 0;
	/* Pages that were never touched take no memory. */
	table->entries = calloc(MAX_ENDPOINTS, sizeof *table->entries);
	return table->entries != NULL;
}

void endpoint_table_release(struct endpoint_table *table)
{
	free(table->entries);
	table->entries = NULL;
}

/*
 * The first of the places of an address. The high bits come down after each multiplication, because the bytes in which
 * addresses and ports differ are the high ones. The factors are those of MurmurHash3 (public domain).
 */
HOT static struct endpoint *places_of(const struct endpoint_table *table, const union udp_address *key)
{
	uint64_t hash = table->seed ^ 0xcbf29ce484222325ULL;
	uint32_t rest;

	for (size_t at = 0; at + sizeof(uint64_t) <= sizeof key->bytes; at += sizeof(uint64_t)) {
		uint64_t word;
		memcpy(&word, key->bytes + at, sizeof word);
		hash = (hash ^ word) * 0xff51afd7ed558ccdULL;
		hash ^= hash >> 32;
	}
	memcpy(&rest, key->bytes + sizeof key->bytes - sizeof rest, sizeof rest);
	hash = (hash ^ rest) * 0xc4ceb9fe1a85ec53ULL;
	return &table->entries[hash >> 32 & (MAX_ENDPOINTS - WAYS)];
}

HOT struct endpoint *endpoint_table_find(const struct endpoint_table *table, const union udp_address *key)
{
	struct endpoint *place = places_of(table, key);

	for (uint32_t way = 0; way < WAYS; way++) {
		if (place[way].token != 0 && memcmp(&place[way].key, key, sizeof *key) == 0)
			return &place[way];
	}
	return NULL;
}

struct endpoint *endpoint_table_add(struct endpoint_table *table, const union udp_address *key, uint32_t now)
{
	struct endpoint *place = places_of(table, key);
	struct endpoint *chosen = place;

	for (uint32_t way = 0; way < WAYS && chosen->token != 0; way++) {
		if (place[way].token == 0 || now - place[way].seen > now - chosen->seen)
			chosen = &place[way];
	}
	table->serial = table->serial % (SERIALS - 1) + 1;
	*chosen = (struct endpoint){
		.key = *key, .address = *key, .seen = now,
		.token = table->serial * MAX_ENDPOINTS + (uint32_t)(chosen - table->entries),
	};
	return chosen;
}

HOT struct endpoint *endpoint_table_of(const struct endpoint_table *table, uint32_t token)
{
	struct endpoint *endpoint = &table->entries[token % MAX_ENDPOINTS];

	return endpoint->token == token ? endpoint : NULL;
}

void endpoint_table_forget(struct endpoint *endpoint)
{
	endpoint->token = 0;
}

void endpoint_table_clear(struct endpoint_table *table)
{
	for (uint32_t i = 0; i < MAX_ENDPOINTS; i++)
		endpoint_table_forget(&table->entries[i]);
}
