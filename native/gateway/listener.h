/*
 * Ports of the host that lead to a guest: each connection that is accepted becomes one to the guest.
 */
#ifndef VDENS_LISTENER_H
#define VDENS_LISTENER_H

#include "gateway.h"

/**
 * struct listener - one.
 * @watch: of the listening socket
 * @gateway: where it leads
 * @guest: to whom; @port in network order
 * @next_stalled: the next that could not accept, when @is_stalled
 */
struct listener {
	struct watch watch;
	struct gateway *gateway;
	struct ip_address guest;
	uint16_t port;
	bool is_stalled;
	struct listener *next_stalled;
};

/* Begins to accept connections from a listening socket, which becomes the gateway's; 0 or an errno. */
int listener_open(struct listener *listener, struct gateway *gateway, int fd, const struct ip_address *guest,
		  uint16_t port);

/* Those that could not accept try again when it is time; when to look again, or INT64_MAX. */
int64_t listener_check(struct gateway *gateway, int64_t now_ms);

/* Connections that were accepted stay. */
void listener_close(struct listener *listener);

#endif
