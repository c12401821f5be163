/*
 * Where guests were heard: a cache by address, in which an address has one place, which others may take.
 */
#ifndef VDENS_NEIGHBOURS_H
#define VDENS_NEIGHBOURS_H

#include "address.h"
#include "guest_packet.h"

struct gateway;

/* A power of two. */
#define NEIGHBOURS 1024

struct neighbour {
	struct ip_address address;
	uint8_t mac[MAC_BYTES];
	bool is_known;
	int64_t ask_ms; /* when JavaScript may be asked for one of this place again */
};

/* Where a guest was heard; NULL when it was not: JavaScript is asked to find it (EVENT_RESOLVE), or was just now. */
const uint8_t *gateway_find_guest(struct gateway *gateway, const struct ip_address *address);

/* Notes where a guest was heard. Connections that wait for it go on. */
void gateway_learn(struct gateway *gateway, const struct ip_address *address, const uint8_t *mac);

#endif
