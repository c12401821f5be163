/* Tries what gateways are made of: packets of guests, ICMP errors, fragments, timers, flows. */
#ifndef VDENS_GATEWAY_TEST_H
#define VDENS_GATEWAY_TEST_H

void try_guest_packets(void);
void try_fragments(void);
void try_timers(void);
void try_siphash(void);
void try_flow_table(void);
void try_tcp_ahead(void);
void try_forward_peers(void);

#endif
