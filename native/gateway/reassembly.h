/*
 * Fragments of guests' packets, gathered until they are whole (RFC 791, 3.2; RFC 8200, 4.5). Bounded in number, bytes and
 * time; fragments that overlap make an end of their packet (RFC 5722).
 */
#ifndef VDENS_REASSEMBLY_H
#define VDENS_REASSEMBLY_H

#include "gateway.h"

#define MAX_GATHERED 64
#define REASSEMBLY_MS 15000

/* NULL when there is no memory. */
struct reassembly *reassembly_open(void);
void reassembly_close(struct reassembly *reassembly);

/*
 * Takes a fragment. True when its packet is whole now: then *whole is it, as a frame of one packet that was never cut,
 * valid until the next call.
 */
bool reassembly_add(struct gateway *gateway, const struct guest_packet *fragment, struct guest_packet *whole);

/* Lets go of what has waited too long; when to look again, or INT64_MAX. */
int64_t reassembly_check(struct gateway *gateway, int64_t now_ms);

/*
 * Writes a datagram that does not fit the gateway's MTU as fragments, straight into its output: @payload is the
 * transport with its header, complete with checksum.
 */
void fragments_write(struct gateway *gateway, const struct packet_path *path, uint8_t protocol, const uint8_t *payload,
		     uint32_t length);

#endif
