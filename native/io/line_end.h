/*
 * One end of a line (line.h): a TAP interface or a connected datagram socket, with a queue for the frames that
 * are to leave through it. The C counterpart of src/plugs/{tap,vde,sender,output-queue}.ts; keeps the same
 * promises with the same figures.
 */
#ifndef VDENS_LINE_END_H
#define VDENS_LINE_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slot.h"

/* The counters of a plug, as src/plugs/counters.ts lays them out: one of these per direction. */
enum counter {
	COUNT_FRAMES,
	COUNT_BYTES,
	DROP_PEER_SLOW,
	DROP_QUEUE_FULL,
	DROP_TOO_LONG,
	DROP_TOO_SHORT,
	DROP_MALFORMED,
	DROP_DOWN,
	DROP_REFUSED,
	COUNTERS_PER_DIRECTION,
};

/**
 * struct line_end - one end.
 * @fd: the TAP or socket; belongs to the plug
 * @is_tap: else it is a datagram socket
 * @takes_super: super-frames go out as they are
 * @max_frame: the longest frame that may leave
 * @received: counters of what came in here
 * @sent: counters of what left here
 * @arena: frames that came in, on their way to the other end
 * @slots: where in @arena
 * @burst: how many frames to ask for at the next receive
 * @full_bursts: how many times in a row that many came
 * @queue: ordinary frames that are to leave
 * @queue_slots: where in @queue
 * @first: the first in @queue_slots that has not left
 * @count: slots in use
 * @progress_ms: when anything last left while frames waited
 */
struct line_end {
	int fd;
	bool is_tap;
	bool takes_super;
	uint32_t max_frame;
	double *received;
	double *sent;
	uint8_t *arena;
	struct frame_slot *slots;
	uint32_t burst;
	uint32_t full_bursts;
	uint8_t *queue;
	struct frame_slot *queue_slots;
	uint32_t first;
	uint32_t count;
	int64_t progress_ms;
};

/* Allocates the arenas; false when there is no memory. The fields before them are the caller's to set. */
bool line_end_prepare(struct line_end *end);
void line_end_release(struct line_end *end);

/* Receives what waits into the arena; the number of good frames, or -errno. */
int line_end_receive(struct line_end *end);

/*
 * Sends @count frames that came in at @from. What cannot leave now waits, what cannot be queued is dropped. Not
 * to be called while frames wait.
 */
void line_end_send(struct line_end *end, const struct line_end *from, uint32_t count);

/* Sends what waits; true when nothing waits any more. */
bool line_end_flush(struct line_end *end);

/* Whether frames wait. */
bool line_end_is_busy(const struct line_end *end);

/* Drops what waits, because the peer took nothing for too long. */
void line_end_drop(struct line_end *end);

/* Milliseconds of a clock that only goes forward. */
int64_t line_now_ms(void);

#endif
