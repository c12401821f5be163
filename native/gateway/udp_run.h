/*
 * Datagrams of a guest that follow each other to one destination and are of one length leave together (UDP_SEGMENT):
 * what many small ones cost is not their bytes but the way through the kernel, which they then go once.
 */
#ifndef VDENS_UDP_RUN_H
#define VDENS_UDP_RUN_H

#include "datagram_flow.h"

/*
 * Takes a datagram, which is sent with those that follow: its bytes stay where they are until udp_run_send().
 * @to: NULL for a connected flow
 */
void udp_run_add(struct datagram_flow *flow, const struct guest_packet *packet, const union udp_address *to,
		 const uint8_t *payload, uint32_t length, datagram_report *report);

/* Sends what has been taken. */
void udp_run_send(void);

/* The flow goes: what has been taken for it is sent before. */
void udp_run_forget(const struct datagram_flow *flow);

#endif
