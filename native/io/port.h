/*
 * One port of a fabric (fabric.h): a TAP interface, a connected socket with one frame per packet, a tunnel, or
 * JavaScript, with a queue for the frames that are to leave through it. The C counterpart of
 * src/plugs/{tap,socket-plug,sender,output-queue}.ts; keeps the same promises with the same figures.
 */
#ifndef VDENS_PORT_H
#define VDENS_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "burst.h"
#include "slot.h"

/* How many frames are received, and sorted, at a time. */
#define BURST_FRAMES 128

/* The counters of a plug, as src/plugs/counters.ts lays them out: one of these per direction. */
enum counter {
	COUNT_FRAMES,
	COUNT_BYTES,
	COUNT_FRAGMENTED,
	DROP_PEER_SLOW,
	DROP_QUEUE_FULL,
	DROP_TOO_LONG,
	DROP_TOO_SHORT,
	DROP_MALFORMED,
	DROP_DOWN,
	DROP_REFUSED,
	DROP_FOREIGN_VNI,
	DROP_FOREIGN_SENDER,
	DROP_BAD_HEADER,
	DROP_ECHO,
	DROP_FOREIGN_VLAN,
	DROP_BLOCKED,
	DROP_UNDECIPHERED,
	DROP_OUT_OF_WINDOW,
	DROP_REPLAYED,
	DROP_IMPAIRED,
	COUNTERS_PER_DIRECTION,
};

/* Behind both directions: who looks at the frames (capture.h). */
#define CAPTURE_COUNTER (2 * COUNTERS_PER_DIRECTION)
/* How many numbers a plug counts in. */
#define COUNTER_VALUES (CAPTURE_COUNTER + 1)

/* What is behind a port. */
enum port_kind {
	PORT_SCRIPT, /* JavaScript gives frames, and takes those that wait */
	PORT_TAP,
	PORT_SOCKET,
	PORT_TUNNEL, /* stations beyond an IP network (tunnel.h) */
	PORT_GATEWAY, /* a way out of the network (gateway.h) */
};

struct tunnel;
struct gateway;

/* Frames on their way: an arena, slots that say where in it, and the number of the port where they came in. */
struct frames {
	uint32_t source;
	const uint8_t *arena;
	size_t arena_size;
	const struct frame_slot *slots;
	uint32_t count;
};

/*
 * Frames that wait to leave, first in, first out; ordinary ones unless the port takes super-frames.
 *
 * A source may take up eight times the room that is left (Choudhury and Hahne, "Dynamic queue length thresholds", 1998):
 * who floods finds the queue full before it is, and others still find room. Sources share accounts, by their number;
 * the account of a frame is in its slot's reserved field.
 */
struct frame_queue {
	uint8_t *arena; /* NULL until first needed */
	struct frame_slot *slots;
	uint32_t *accounts; /* the room that each account takes up */
	uint32_t charged;   /* the room that is taken up */
	uint32_t first;     /* the first slot that has not left */
	uint32_t count;     /* slots in use */
	size_t used;        /* bytes in use */
};

/**
 * struct port - one port.
 * @kind: what is behind it
 * @fd: the TAP or socket; belongs to the plug
 * @tunnel: the tunnel; belongs to the plug, too
 * @gateway: likewise the gateway
 * @is_wire: a PORT_TAP that is a packet socket: written to as a TAP, and read otherwise (wire.h)
 * @takes_super: super-frames go out as they are
 * @empty_is_end: an empty packet says that the other end is gone
 * @is_gone: the other end is gone for good
 * @max_frame: the longest ordinary frame that may leave
 * @received: counters of what came in here
 * @sent: counters of what left here
 * @capture: the number behind both that says who looks (capture.h); NULL where nobody can
 * @burst: how many frames to ask for at the next receive
 * @queue: what is to leave
 * @progress_ms: when anything last left while frames waited
 */
struct port {
	enum port_kind kind;
	int fd;
	struct tunnel *tunnel;
	struct gateway *gateway;
	bool is_wire;
	bool takes_super;
	bool empty_is_end;
	bool is_gone;
	uint32_t max_frame;
	double *received;
	double *sent;
	const double *capture;
	struct burst burst;
	struct frame_queue queue;
	int64_t progress_ms;
};

/* What port_receive() receives into: one for all ports that are served by turns. */
struct receive_room {
	struct frame_slot slots[BURST_FRAMES];
	uint8_t *arena;
	size_t arena_size;
};

/* Allocates the arena; false when there is no memory. */
bool receive_room_prepare(struct receive_room *room);

/* Gives back the memory of the port's queue; what still waits is counted as dropped. */
void port_release(struct port *port);

/* Receives what waits into the room; the number of good frames, or -errno. */
int port_receive(struct port *port, struct receive_room *room);

/* Sends frames. What cannot leave now waits, what cannot be queued is dropped. */
void port_send(struct port *port, const struct frames *frames);

/* Sends what waits; true when nothing waits any more. */
bool port_flush(struct port *port);

/* Moves frames that wait at a PORT_SCRIPT into an arena, as many as fit; returns how many. */
uint32_t port_take(struct port *port, uint8_t *arena, size_t arena_size, struct frame_slot *slots, uint32_t capacity);

/* How many frames wait. */
uint32_t port_waiting(const struct port *port);

/* Whether so much waits that who sends here had better wait, too. */
bool port_is_full(const struct port *port);

/* Whether frames that wait there may have to wait for ever: those for JavaScript and TAPs do not. */
bool port_can_stall(const struct port *port);

/* Drops what waits, counted under @reason. */
void port_drop(struct port *port, enum counter reason);

/* Milliseconds of a clock that only goes forward. */
int64_t port_now_ms(void);

#endif
