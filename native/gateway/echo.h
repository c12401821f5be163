/*
 * Echo requests of guests (ping), through ping sockets of the host (icmp(7): IPPROTO_ICMP, SOCK_DGRAM). Nothing is ever
 * answered for somebody else: where the host does not allow them, the guest hears that it is prohibited.
 */
#ifndef VDENS_ECHO_H
#define VDENS_ECHO_H

#include "gateway.h"

/* How long the identifier of a guest keeps its socket when it is not used (RFC 5508, REQ-2). */
#define ECHO_IDLE_MS 60000

/* A whole ICMP or ICMPv6 packet of a guest, of any type, whose destination is not ours; only echo requests leave. */
void echo_input(struct gateway *gateway, const struct guest_packet *packet);

/* Answers an echo request to the gateway itself. */
void echo_answer(struct gateway *gateway, const struct guest_packet *packet);

void echo_task(struct flow *flow);
void echo_timer(struct flow *flow, int64_t now_ms);
void echo_end(struct flow *flow);

#endif
