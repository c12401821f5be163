/*
 * Captures: where frames pass a plug whose counters say that somebody looks, they are copied into rings
 * (capture_ring.h) as blocks of a capture file.
 *
 * The numbers of a plug's counters go wherever its frames are moved; the one behind them, CAPTURE_COUNTER, says who
 * looks: nobody (0), or the place of a point among those of this process. Frames never wait for a capture: those that
 * find no room in a ring are left out of it, and counted. Everything here is called with the lock of the datapath. No
 * Node-API.
 */
#ifndef VDENS_CAPTURE_H
#define VDENS_CAPTURE_H

#include "capture_ring.h"
#include "port.h"

#define MAX_CAPTURE_POINTS 8192
/* How many captures can look at one point; a capture of all that a process runs may count twice. */
#define MAX_CAPTURES_PER_POINT 32
/* Other counters whose drops are told of, too. */
#define MAX_CAPTURE_OTHERS 3
/* In place of an interface's number. */
#define ALL_INTERFACES UINT32_MAX

/**
 * struct capture_target - where the frames of a point go.
 * @ring: the ring; stays open until capture_stop()
 * @interface: the point's number there, below MAX_CAPTURE_INTERFACES
 * @snap: how many bytes of a frame are kept at most
 * @is_received_outbound: what is received here has left the interface, as its owner sees it
 * @others: counters of the other end of its cable, whose drops are of the same frames: what was sent there was received
 *          here; they stay as long as the capture
 */
struct capture_target {
	struct capture_ring *ring;
	uint32_t interface;
	uint32_t snap;
	bool is_received_outbound;
	const double *others[MAX_CAPTURE_OTHERS];
};

/* Which way frames passed, as the counters have it. */
enum capture_direction {
	CAPTURE_RECEIVED,
	CAPTURE_SENT,
};

/* Begins to look at the plug with these counters (COUNTER_VALUES of them); 0 or an errno. */
int capture_start(double *counters, const struct capture_target *target);

/* Ends that. Returns whether nobody looks at them any more. */
bool capture_stop(double *counters, const struct capture_ring *ring, uint32_t interface);

/* Whether anybody looks; @number is that behind the counters, or NULL. */
static inline bool is_captured(const double *number)
{
	return number != NULL && *number != 0;
}

/* Records frames; those that do not lie in their arena, or are none, are left alone. */
void capture_frames(const double *number, enum capture_direction direction, const struct frames *frames);

#endif
