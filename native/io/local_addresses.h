/*
 * This host's own addresses, as the kernel lists them (getifaddrs(3)): whoever hears a group hears what it sent itself,
 * too, and knows it by that.
 *
 * They are looked up when somebody is met of whom nothing is known, and remembered until local_addresses_refresh().
 * Everything here is called with the lock of the datapath.
 */
#ifndef VDENS_LOCAL_ADDRESSES_H
#define VDENS_LOCAL_ADDRESSES_H

#include "udp_io.h"

/* How many of them are remembered. */
#define MAX_LOCALS 256
/* How many addresses are remembered that are not among them. */
#define MAX_STRANGERS 256
/* How soon they are looked up again, in milliseconds: whoever forges many senders is not to keep us busy. */
#define LOCALS_PAUSE_MS 10

/**
 * local_addresses_have() - whether an address is this host's own; its port does not count.
 *
 * While it may not be looked up, one of which nothing is known is taken for another host's.
 */
bool local_addresses_have(const union udp_address *address);

/* They may be others now. */
void local_addresses_refresh(void);

#endif
