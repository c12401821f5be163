/*
 * What the files of UDP have in common: udp.c (from the guest), udp_deliver.c (to the guest), udp_forward.c (ports of the
 * host that lead to a guest).
 */
#ifndef VDENS_UDP_FLOW_H
#define VDENS_UDP_FLOW_H

#include <stddef.h>

#include "datagram_flow.h"
#include "forward_peers.h"

/**
 * struct udp_flow - a mapping.
 * @base: what it has in common with echo
 * @peers: of a forward: who sent something; NULL otherwise
 * @is_local: of a forward: its socket is bound to the host's loopback, and reaches nothing else
 * @is_waiting: of a forward: until its guest is found what arrives stays in the socket
 * @is_lost: of a forward: it was not found
 */
struct udp_flow {
	struct datagram_flow base;
	struct forward_peers *peers;
	bool is_local;
	bool is_waiting;
	bool is_lost;
};

_Static_assert(offsetof(struct udp_flow, base.flow.watch) == 0, "a watch is its flow");

static inline struct udp_flow *udp_flow_of(struct flow *flow)
{
	return (struct udp_flow *)flow;
}

/* The key of the mapping of a guest's port for all destinations. */
static inline struct flow_key udp_key(const struct ip_address *guest, uint16_t port)
{
	return (struct flow_key){ .guest = *guest, .guest_port = port, .kind = FLOW_UDP };
}

/* Makes a flow of a socket, which stays the caller's; NULL when there is no memory. */
struct udp_flow *udp_flow_make(struct gateway *gateway, const struct flow_key *key, int fd, sa_family_t family);

/*
 * An address for a socket of that family, which may be of IPv6 and serve IPv4, too; false when it reaches no such
 * address.
 */
bool udp_address_for(sa_family_t family, const struct ip_address *address, uint16_t port, union udp_address *to);

/* Datagrams for a guest, and errors about what it sent: see struct watch, and datagram_flow.h. */
void udp_serve(struct watch *watch, uint32_t events, struct receive_room *room);
void udp_report(struct datagram_flow *flow, const struct datagram_error *error);

/* The forward that has a guest's port; NULL when there is none. */
struct udp_flow *udp_forward_find(struct gateway *gateway, const struct ip_address *guest, uint16_t port);

/* Whether it is known where the guest of a flow is; when that of a forward is not, it is looked for. */
bool udp_forward_find_guest(struct udp_flow *flow);

/* What arrived for a forward waits in its socket until the guest is found, for a while: udp_forward_time_out(). */
void udp_forward_wait(struct udp_flow *flow);
void udp_forward_time_out(struct udp_flow *flow);

/* The forward goes. */
void udp_forward_end(struct udp_flow *flow);

#endif
