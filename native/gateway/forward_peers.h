/*
 * Who sent something through a forward: whom the guest hears, and who that is. Places are few, and the peer that was
 * not heard for longest goes.
 */
#ifndef VDENS_FORWARD_PEERS_H
#define VDENS_FORWARD_PEERS_H

#include "address.h"

struct forward_peer {
	struct ip_address shown;
	uint16_t port; /* network order; 0: the place is free */
	union udp_address real;
	uint64_t heard; /* a count of what was heard */
};

struct forward_peers;

/* NULL when there is no memory; to be freed. */
struct forward_peers *forward_peers_open(void);

void forward_peers_note(struct forward_peers *peers, const struct ip_address *shown, uint16_t port,
			const union udp_address *real);

/* NULL when none appears as that. */
const struct forward_peer *forward_peers_find(struct forward_peers *peers, const struct ip_address *shown, uint16_t port);

#endif
