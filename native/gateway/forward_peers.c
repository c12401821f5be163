#include "forward_peers.h"

#include <stdlib.h>

#include "headers.h"
#include "udp.h"

/* A peer may be in one of so many places. */
#define WAYS 4
#define SETS (MAX_FORWARD_PEERS / WAYS)

struct forward_peers {
	uint64_t heard;
	struct forward_peer places[SETS][WAYS];
};

struct forward_peers *forward_peers_open(void)
{
	return calloc(1, sizeof(struct forward_peers));
}

static struct forward_peer *set_of(struct forward_peers *peers, const struct ip_address *shown, uint16_t port)
{
	const uint64_t sum =
		(load_u64(shown->bytes) ^ load_u64(shown->bytes + 8) ^ (uint64_t)port << 13) * 0x9e3779b97f4a7c15;

	return peers->places[(sum >> 32) % SETS];
}

static struct forward_peer *find_place(struct forward_peer *set, const struct ip_address *shown, uint16_t port)
{
	for (uint32_t i = 0; i < WAYS; i++) {
		if (set[i].port == port && address_equals(&set[i].shown, shown))
			return &set[i];
	}
	return NULL;
}

static struct forward_peer *find_oldest(struct forward_peer *set)
{
	struct forward_peer *oldest = &set[0];

	for (uint32_t i = 1; i < WAYS; i++) {
		if (set[i].heard < oldest->heard)
			oldest = &set[i];
	}
	return oldest;
}

void forward_peers_note(struct forward_peers *peers, const struct ip_address *shown, uint16_t port,
			const union udp_address *real)
{
	struct forward_peer *set = set_of(peers, shown, port);
	struct forward_peer *place = find_place(set, shown, port);

	if (place == NULL)
		place = find_oldest(set);
	*place = (struct forward_peer){ .shown = *shown, .port = port, .real = *real, .heard = ++peers->heard };
}

const struct forward_peer *forward_peers_find(struct forward_peers *peers, const struct ip_address *shown, uint16_t port)
{
	return find_place(set_of(peers, shown, port), shown, port);
}
