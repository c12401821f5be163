/*
 * The underlay of tunnels: the UDP sockets through which their packets pass. One socket sends, and receives what is
 * for this host alone; another one may receive what is for a multicast group. Several tunnels can share them, told
 * apart by the VXLAN network identifier.
 *
 * Everything here is called with the lock of the datapath.
 */
#ifndef VDENS_UNDERLAY_H
#define VDENS_UNDERLAY_H

#include "burst.h"
#include "udp_io.h"
#include "watch.h"

struct tunnel;

/**
 * struct underlay_socket - one of the sockets; they belong to JavaScript.
 * @watch: its descriptor, -1 when there is none
 * @underlay: whose it is
 * @burst: how many messages to ask for at the next receive
 */
struct underlay_socket {
	struct watch watch;
	struct underlay *underlay;
	struct burst burst;
};

/**
 * struct underlay - the sockets.
 * @unicast: sends, and receives what is for this host
 * @multicast: receives what is for the group
 * @own: what @unicast is bound to
 * @wants_runs: UDP_SEGMENT is to be used when the kernel has it
 * @takes_runs: it is worth trying
 * @refusals: how many times in a row the kernel refused it
 * @tunnels: those that use it
 */
struct underlay {
	struct underlay_socket unicast;
	struct underlay_socket multicast;
	union udp_address own;
	bool wants_runs;
	bool takes_runs;
	uint32_t refusals;
	struct tunnel *tunnels;
};

/* Takes sockets into use, @multicast -1 when there is none; 0 or an errno. */
int underlay_prepare(struct underlay *underlay, int unicast, int multicast, bool wants_runs);

/* Addresses and paths may be others now. */
void underlay_refresh(struct underlay *underlay);

/* Whether a tunnel of these sockets answers to the same identifier. */
bool underlay_has(const struct underlay *underlay, const struct tunnel *tunnel);

void underlay_add(struct underlay *underlay, struct tunnel *tunnel);
void underlay_remove(struct underlay *underlay, struct tunnel *tunnel);

/* The members behind whose ports the tunnels are want other events; 0 or an errno. */
int underlay_watch(struct underlay *underlay);

/**
 * struct sent_run - what became of a run, besides the errno.
 * @left: when there was no room for all datagrams, how many have left
 * @is_refused: the kernel did not cut it
 */
struct sent_run {
	uint32_t left;
	bool is_refused;
};

/*
 * Sends @length bytes as datagrams of @segment bytes (0: as one).
 * Return: 0, or an errno; EAGAIN when there is no room for all of them: then @sent tells how many have left.
 */
int underlay_send(struct underlay *underlay, const union udp_address *to, const uint8_t *bytes, size_t length,
		  uint32_t segment, struct sent_run *sent);

/* Sends a frame behind a header as one datagram; 0 or an errno. */
int underlay_send_behind(struct underlay *underlay, const union udp_address *to, const uint8_t *header,
			 size_t header_length, const uint8_t *frame, size_t length);

#endif
