/*
 * UDP of guests: a mapping for each port of a guest, through which it reaches everybody (RFC 4787, REQ-1), and one for
 * each destination that a rule translates. Errors that the socket hears of go back as ICMP.
 *
 * Ports of the host that lead to a guest (forwards) are flows of their own. A host that the guest could not answer by its
 * address, because it is the host's loopback or speaks the other IP, appears to it as the gateway.
 */
#ifndef VDENS_UDP_H
#define VDENS_UDP_H

#include "gateway.h"

/* How long a mapping stays when it is not used (RFC 4787, REQ-5); shorter when only DNS servers were asked. */
#define UDP_IDLE_MS 240000
#define UDP_DNS_IDLE_MS 10000
/* Of how many hosts a forward knows that they sent something: their answers leave whatever the rules say. */
#define MAX_FORWARD_PEERS 256
/* How long datagrams of a forward wait for their guest to be found. */
#define FORWARD_RESOLVE_MS 1000

/* A whole UDP packet of a guest, or a super-frame of many (OFFLOAD_GSO_UDP_L4). */
void udp_input(struct gateway *gateway, const struct guest_packet *packet);

/* All frames of a batch were read: what was held back to leave together leaves, while the frames are still there. */
void udp_input_end(void);

/*
 * Makes a bound UDP socket of the host the mapping of a guest's port (in network order): what arrives there goes to the guest, and what the
 * guest sends from that port leaves there. The socket becomes the gateway's. The flow; or NULL with errno set, and then
 * it is the caller's still.
 */
struct flow *udp_forward(struct gateway *gateway, int fd, const struct ip_address *guest, uint16_t port);

/* The guest of a forward is there: what waits for it goes on. */
void udp_resolved(struct flow *flow);

/* For gateway.c: the flow's task, its timer, and its end (closes and frees). */
void udp_task(struct flow *flow);
void udp_timer(struct flow *flow, int64_t now_ms);
void udp_end(struct flow *flow);

#endif
