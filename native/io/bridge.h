/*
 * Forwarding with VLANs, ports of several endpoints, and closed ports (IEEE 802.1Q, 8.6): what fabric.c does for
 * fabrics that have none of these, and faster.
 *
 *   port ──▶ which VLAN? ──▶ may it pass here? ──▶ learn, look up ──▶ ports in that VLAN ──▶ with or without a tag
 *
 * Frames for the bridge itself (spanning tree) are put aside for JavaScript.
 */
#ifndef VDENS_BRIDGE_H
#define VDENS_BRIDGE_H

#include "fabric.h"

/* The longest frame for the bridge that is kept whole: a BPDU has 57 bytes with its tag. */
#define CONTROL_BYTES 124
/* How many wait for JavaScript at most, of all members and of one. */
#define QUEUE_CONTROL 2048
#define QUEUE_CONTROL_OF_ONE 256

/* A frame for the bridge. */
struct control_frame {
	uint32_t member; /* where it came in */
	uint16_t length;
	uint8_t bytes[CONTROL_BYTES];
};

/* Those that wait, first come first. */
struct control_queue {
	struct control_frame frames[QUEUE_CONTROL];
	uint32_t count;
};

/* Forwards at most BURST_FRAMES frames that came in at a member. */
void bridge_forward(struct member *from, const struct frames *frames);

/* Throws away what waits of a member that goes: its number may soon be another's. */
void bridge_leave(struct member *member);

/* What was heard of other bridges has been looked at: frames may pass where they may. */
void bridge_resume(struct fabric *fabric);

/* Frames for the bridge are forwarded like others from now on. */
void bridge_end_control(struct fabric *fabric);

/* Forgets what was heard at a member, or at all for NULL, in a VLAN, or in all for VLAN_NONE. */
void bridge_forget(struct fabric *fabric, const struct member *member, uint16_t vlan);

#endif
