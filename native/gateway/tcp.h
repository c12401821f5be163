/*
 * TCP of guests: each connection is a translation between its segments and one socket of the host.
 *
 * Towards the host: what the guest sends goes into the socket as it arrives, and is acknowledged as far as the socket
 * took it; the window that the guest is given is the room in the socket.
 *
 * Towards the guest: what the host sent stays in the socket (MSG_PEEK, SO_PEEK_OFF) until the guest has acknowledged it,
 * and is taken out then: the socket's buffer is the only copy, and what was lost is read again. How much may be on the
 * way at a time follows from the guest's window, and from losses (RFC 5681, RFC 6582).
 *
 * A connection of a guest is made to the host first, and the guest's SYN answered when that stands: so a refused port
 * looks refused. State is the set of events seen.
 */
#ifndef VDENS_TCP_H
#define VDENS_TCP_H

#include "gateway.h"

/* A whole TCP segment of a guest, or a super-frame. */
void tcp_input(struct gateway *gateway, const struct guest_packet *packet);

/*
 * Opens a connection to a guest for one that a socket of the host accepted, which becomes the gateway's; ports in network
 * order. NULL when that cannot be, and the socket is closed.
 */
struct flow *tcp_forward(struct gateway *gateway, int fd, const struct ip_address *remote, uint16_t remote_port,
			 const struct ip_address *guest, uint16_t guest_port);

/* JavaScript made the descriptor for a connection of EVENT_CONNECT, which becomes the gateway's; or could not (@fd is -errno). */
void tcp_adopt(struct flow *flow, int fd);

/* A guest whose address was not known is there: connections that wait for it go on. */
void tcp_resolved(struct flow *flow, const uint8_t *mac);

/* For gateway.c: the flow's task, its timer, and its end (closes and frees). */
void tcp_task(struct flow *flow);
void tcp_timer(struct flow *flow, int64_t now_ms);
void tcp_end(struct flow *flow);

#endif
