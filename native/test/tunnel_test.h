/* Random use of what tunnels are made of: endpoints, packets that are judged, frames that leave when they can. */
#ifndef VDENS_TUNNEL_TEST_H
#define VDENS_TUNNEL_TEST_H

/* Each ends the program when something does not hold. */
void try_endpoint_table(void);
void try_judging(void);
void try_headroom(void);
void try_sending(void);
void try_announcing(void);

#endif
