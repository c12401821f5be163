#define _GNU_SOURCE
#include "port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture.h"
#include "frame_io.h"
#include "gateway.h"
#include "segment.h"
#include "hot.h"
#include "tunnel.h"
#include "wire.h"

/* Seven super-frames, or a hundred frames of 1514 bytes, stay in the second-level cache. */
#define TAP_ARENA_BYTES (512 * 1024)
#define RECEIVE_BYTES ((size_t)MAX_DATAGRAMS * MAX_FRAME_BYTES)
/* Holds what the largest batch of a TAP becomes when it is cut, and as much again. */
#define QUEUE_BYTES (1024 * 1024)
#define QUEUE_SLOTS 1024
#define QUEUE_ACCOUNTS 64
/* What a frame takes up at least: so the slots last as long as the bytes. */
#define LEAST_CHARGE (QUEUE_BYTES / QUEUE_SLOTS)
/* How many times the room that is left one source may take up. */
#define GREED 8

bool receive_room_prepare(struct receive_room *room)
{
	/* Pages that were never touched take no memory. */
	room->arena_size = RECEIVE_BYTES;
	room->arena = malloc(room->arena_size);
	return room->arena != NULL;
}

int64_t port_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

HOT static void count_frames(double *counters, const struct frame_slot *slots, uint32_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += slots[i].length;
	counters[COUNT_FRAMES] += count;
	counters[COUNT_BYTES] += (double)bytes;
}

/* Leaves out what is no frame; returns how many remain. */
HOT static uint32_t keep_good_frames(struct port *port, struct frame_slot *slots, uint32_t count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t length = slots[i].length;
		if (length == FRAME_TOO_LONG)
			port->received[DROP_TOO_LONG]++;
		else if (length == 0 && port->empty_is_end)
			port->is_gone = true;
		else if (length < MIN_FRAME_BYTES)
			port->received[DROP_TOO_SHORT]++;
		else
			slots[kept++] = slots[i];
	}
	return kept;
}

/* What a connected socket says when the socket at the other end was closed, or connected elsewhere. */
static bool means_gone(int error)
{
	return error == ECONNRESET || error == ECONNREFUSED || error == ENOTCONN || error == EPIPE;
}

/* Reads a packet socket; frames that could not be had are counted. */
HOT static int receive_from_wire(struct port *port, struct receive_room *room)
{
	struct wire_loss loss;
	const int count = wire_read(port->fd, room->arena, TAP_ARENA_BYTES, room->slots, port->burst.size, MAX_FRAME_BYTES,
				    &loss);

	port->received[DROP_MALFORMED] += loss.unusable;
	port->received[DROP_QUEUE_FULL] += loss.overflown;
	return count;
}

HOT int port_receive(struct port *port, struct receive_room *room)
{
	const bool is_tap = port->kind == PORT_TAP;
	int count = port->is_wire ? receive_from_wire(port, room)
		    : is_tap ? tap_read(port->fd, room->arena, TAP_ARENA_BYTES, room->slots, port->burst.size, MAX_FRAME_BYTES)
			   : datagrams_receive(port->fd, room->arena, room->arena_size, room->slots, port->burst.size,
					       MAX_FRAME_BYTES);
	if (count <= 0) {
		port->is_gone = port->is_gone || (!is_tap && means_gone(-count));
		return count;
	}
	burst_adapt(&port->burst, (uint32_t)count, BURST_FRAMES);
	uint32_t good = keep_good_frames(port, room->slots, (uint32_t)count);
	count_frames(port->received, room->slots, good);
	return (int)good;
}

HOT uint32_t port_waiting(const struct port *port)
{
	return port->queue.count - port->queue.first;
}

HOT bool port_is_full(const struct port *port)
{
	if (port->kind == PORT_SCRIPT)
		return port_waiting(port) > QUEUE_SLOTS / 2 || port->queue.used > QUEUE_BYTES / 2;
	return port_waiting(port) > 0;
}

static uint32_t charge_of(const struct frame_slot *slot)
{
	return slot->length > LEAST_CHARGE ? slot->length : LEAST_CHARGE;
}

/* Books frames to an account. */
static void charge(struct frame_queue *queue, uint32_t first, uint32_t account)
{
	for (uint32_t i = first; i < queue->count; i++) {
		queue->slots[i].reserved = (uint16_t)account;
		queue->accounts[account] += charge_of(&queue->slots[i]);
		queue->charged += charge_of(&queue->slots[i]);
	}
}

/* The frames at the head have left. */
static void advance(struct frame_queue *queue, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++, queue->first++) {
		const struct frame_slot *slot = &queue->slots[queue->first];
		queue->accounts[slot->reserved] -= charge_of(slot);
		queue->charged -= charge_of(slot);
	}
}

/* How much more room an account may take up, so that it then has GREED times of what is left. */
static uint32_t allowance(const struct frame_queue *queue, uint32_t account)
{
	const uint64_t most = (uint64_t)GREED * (QUEUE_BYTES - queue->charged);

	return most > queue->accounts[account] ? (uint32_t)((most - queue->accounts[account]) / (GREED + 1)) : 0;
}

static void clear_queue(struct frame_queue *queue)
{
	if (queue->charged > 0)
		memset(queue->accounts, 0, QUEUE_ACCOUNTS * sizeof *queue->accounts);
	queue->charged = 0;
	queue->first = 0;
	queue->count = 0;
	queue->used = 0;
}

static bool prepare_queue(struct frame_queue *queue)
{
	const size_t slots_size = QUEUE_SLOTS * sizeof *queue->slots;
	const size_t accounts_size = QUEUE_ACCOUNTS * sizeof *queue->accounts;

	if (queue->arena != NULL)
		return true;
	/* Side by side: a lone frame then touches few pages. */
	queue->slots = calloc(1, slots_size + accounts_size + QUEUE_BYTES);
	if (queue->slots == NULL)
		return false;
	queue->accounts = (uint32_t *)(queue->slots + QUEUE_SLOTS);
	queue->arena = (uint8_t *)(queue->accounts + QUEUE_ACCOUNTS);
	return true;
}

/*
 * How many frames have an offload header that does not fit them. The queue, which is empty, is room for trying; when
 * the frames come from there, they have none.
 */
static uint32_t count_malformed(struct port *port, const struct frames *frames)
{
	struct frame_queue *queue = &port->queue;
	uint32_t malformed = 0;

	if (!prepare_queue(queue) || frames->arena == queue->arena)
		return 0;
	for (uint32_t first = 0; first < frames->count;) {
		struct segment_output output = {
			.bytes = queue->arena, .size = QUEUE_BYTES, .slots = queue->slots, .capacity = QUEUE_SLOTS,
			.max_frame = port->max_frame,
		};
		struct segment_result result;
		segment_batch(frames->arena, frames->arena_size, frames->slots, first, frames->count - first, &output,
			      &result);
		malformed += result.malformed;
		first += result.consumed;
	}
	return malformed;
}

/* What the kernel means by refusing a frame for an interface; the later ones are those of a packet socket. */
static enum counter reason_of_interface(int error)
{
	switch (error) {
	case EIO:
	case ENETDOWN:
	case ENXIO:
		return DROP_DOWN;
	case EMSGSIZE:
		return DROP_TOO_LONG;
	case EAGAIN:
	case ENOBUFS:
		return DROP_QUEUE_FULL;
	default:
		return DROP_REFUSED;
	}
}

/* Counts what the kernel refused: because the offload header was wrong, or because it takes no super-frames. */
static void explain_refusal(struct port *port, const struct frames *frames, const struct tap_written *written)
{
	uint32_t malformed = written->last_errno == EINVAL ? count_malformed(port, frames) : 0;

	if (malformed > written->refused)
		malformed = written->refused;
	port->sent[DROP_MALFORMED] += malformed;
	port->sent[reason_of_interface(written->last_errno)] += written->refused - malformed;
	/* Some kernels refuse correct super-frames: from now on they get ordinary ones. */
	if (written->super_refused > malformed)
		port->takes_super = false;
}

HOT static void write_to_tap(struct port *port, const struct frames *frames)
{
	struct tap_written written;

	tap_write(port->fd, frames->arena, frames->arena_size, frames->slots, frames->count, port->takes_super, &written);
	count_frames(port->sent, frames->slots, frames->count);
	port->sent[COUNT_FRAMES] -= written.refused + written.too_short + written.too_long;
	port->sent[COUNT_BYTES] -= written.lost_bytes;
	port->sent[DROP_TOO_SHORT] += written.too_short;
	port->sent[DROP_TOO_LONG] += written.too_long;
	if (written.refused > 0)
		explain_refusal(port, frames, &written);
}

/* Moves the frames that wait to the beginning. */
static void compact(struct frame_queue *queue)
{
	const uint32_t start = queue->slots[queue->first].offset;

	memmove(queue->arena, queue->arena + start, queue->used - start);
	memmove(queue->slots, queue->slots + queue->first, (queue->count - queue->first) * sizeof *queue->slots);
	queue->count -= queue->first;
	queue->first = 0;
	queue->used -= start;
	for (uint32_t i = 0; i < queue->count; i++)
		queue->slots[i].offset -= start;
}

/* Copies super-frames as they are; returns how many frames were dealt with. */
static uint32_t enqueue_whole(struct frame_queue *queue, const struct frames *frames, uint32_t first)
{
	const uint32_t account = frames->source % QUEUE_ACCOUNTS;
	uint32_t next = first;

	for (; next < frames->count && queue->count < QUEUE_SLOTS; next++) {
		const struct frame_slot *slot = &frames->slots[next];
		if (slot->length > QUEUE_BYTES - queue->used || charge_of(slot) > allowance(queue, account))
			break;
		memcpy(queue->arena + queue->used, frames->arena + slot->offset, slot->length);
		queue->slots[queue->count] = *slot;
		queue->slots[queue->count++].offset = (uint32_t)queue->used;
		queue->used += slot->length;
		charge(queue, queue->count - 1, account);
	}
	return next - first;
}

/* Cuts super-frames; returns how many were dealt with. */
static uint32_t enqueue_cut(struct port *port, const struct frames *frames, uint32_t first)
{
	struct frame_queue *queue = &port->queue;
	const uint32_t account = frames->source % QUEUE_ACCOUNTS;
	const uint32_t before = queue->count;
	const uint32_t allowed = allowance(queue, account);
	const size_t most_bytes = queue->used + allowed;
	const uint32_t most_slots = queue->count + allowed / LEAST_CHARGE;
	struct segment_output output = {
		.bytes = queue->arena, .size = most_bytes < QUEUE_BYTES ? most_bytes : QUEUE_BYTES,
		.used = queue->used, .slots = queue->slots,
		.capacity = most_slots < QUEUE_SLOTS ? most_slots : QUEUE_SLOTS, .count = queue->count,
		.max_frame = port->max_frame,
	};
	struct segment_result result;

	segment_batch(frames->arena, frames->arena_size, frames->slots, first, frames->count - first, &output, &result);
	queue->count = output.count;
	queue->used = output.used;
	charge(queue, before, account);
	port->sent[DROP_MALFORMED] += result.malformed;
	port->sent[DROP_TOO_LONG] += result.too_long;
	return result.consumed;
}

/* Queues frames behind those that wait, from @first on; returns the first that did not fit. */
static uint32_t enqueue(struct port *port, const struct frames *frames, uint32_t first)
{
	struct frame_queue *queue = &port->queue;

	if (!prepare_queue(queue))
		return first;
	for (;;) {
		first += port->takes_super ? enqueue_whole(queue, frames, first) : enqueue_cut(port, frames, first);
		if (first == frames->count || queue->first == 0)
			return first;
		compact(queue);
	}
}

static enum counter reason_of(int error)
{
	if (error == EMSGSIZE)
		return DROP_TOO_LONG;
	return means_gone(error) || error == ENOENT ? DROP_DOWN : DROP_REFUSED;
}

/* Counts frames that could not leave because of an error. */
static void fail(struct port *port, int error, uint32_t count)
{
	port->is_gone = port->is_gone || means_gone(error);
	port->sent[reason_of(error)] += count;
}

HOT static void flush_to_tap(struct port *port)
{
	struct frame_queue *queue = &port->queue;
	struct frames frames = {
		.arena = queue->arena, .arena_size = QUEUE_BYTES, .slots = queue->slots + queue->first,
		.count = queue->count - queue->first,
	};

	write_to_tap(port, &frames);
	clear_queue(queue);
}

/* Gives a tunnel what waits; true when it took everything. */
HOT static bool flush_to_tunnel(struct port *port)
{
	struct frame_queue *queue = &port->queue;
	const struct frames frames = {
		.arena = queue->arena, .arena_size = QUEUE_BYTES, .slots = queue->slots + queue->first,
		.count = queue->count - queue->first,
	};
	const uint32_t sent = tunnel_send(port->tunnel, &frames, port->sent);

	if (sent == frames.count) {
		clear_queue(queue);
		return true;
	}
	if (sent > 0)
		port->progress_ms = port_now_ms();
	advance(queue, sent);
	return false;
}

HOT bool port_flush(struct port *port)
{
	struct frame_queue *queue = &port->queue;
	const uint32_t before = queue->first;

	if (port->kind == PORT_SCRIPT || port->kind == PORT_GATEWAY)
		return port_waiting(port) == 0;
	if (port->kind == PORT_TUNNEL)
		return port_waiting(port) == 0 || flush_to_tunnel(port);
	if (port->kind == PORT_TAP)
		flush_to_tap(port);
	while (queue->first < queue->count) {
		const struct frame_slot *slots = queue->slots + queue->first;
		int sent = datagrams_send(port->fd, queue->arena, slots, queue->count - queue->first);
		if (sent == -EAGAIN) {
			if (queue->first > before)
				port->progress_ms = port_now_ms();
			return false;
		}
		if (sent < 0) {
			/* This frame can never leave; those behind it perhaps can. */
			fail(port, -sent, 1);
			advance(queue, 1);
			continue;
		}
		count_frames(port->sent, slots, (uint32_t)sent);
		advance(queue, (uint32_t)sent);
	}
	clear_queue(queue);
	return true;
}

/* Whether frames can leave as they are. */
HOT static bool are_plain(const struct frame_slot *slots, uint32_t count, uint32_t max_frame)
{
	bool plain = true;

	for (uint32_t i = 0; plain && i < count; i++)
		plain = slots[i].offload.flags == 0 && slots[i].offload.gso_type == 0 && slots[i].length <= max_frame;
	return plain;
}

/* Sends what it can of frames that are plain, from where they are; returns how many left. */
HOT static uint32_t send_plain(struct port *port, const struct frames *frames)
{
	if (port->kind != PORT_SOCKET || port_waiting(port) > 0 ||
	    !are_plain(frames->slots, frames->count, port->max_frame))
		return 0;
	int sent = datagrams_send(port->fd, frames->arena, frames->slots, frames->count);
	if (sent <= 0)
		return 0;
	count_frames(port->sent, frames->slots, (uint32_t)sent);
	return (uint32_t)sent;
}

/* Shows the first frames of those that are sent to whoever looks. */
HOT static void show_sent(const struct port *port, const struct frames *frames, uint32_t count)
{
	struct frames shown = *frames;

	shown.count = count;
	capture_frames(port->capture, port->sent < port->received ? CAPTURE_RECEIVED : CAPTURE_SENT, &shown);
}

HOT void port_send(struct port *port, const struct frames *frames)
{
	if (port->is_gone) {
		port->sent[DROP_DOWN] += frames->count;
		return;
	}
	if (port->kind == PORT_TAP && port->takes_super) {
		write_to_tap(port, frames);
		if (is_captured(port->capture))
			show_sent(port, frames, frames->count);
		return;
	}
	if (port->kind == PORT_GATEWAY) {
		count_frames(port->sent, frames->slots, frames->count);
		if (is_captured(port->capture))
			show_sent(port, frames, frames->count);
		gateway_input(port->gateway, frames);
		return;
	}
	const bool had_to_wait = port_waiting(port) > 0;
	uint32_t done = port->kind != PORT_TUNNEL ? send_plain(port, frames)
			: had_to_wait		  ? 0
						  : tunnel_send(port->tunnel, frames, port->sent);
	for (uint32_t before = UINT32_MAX; done < frames->count && done != before;) {
		before = done;
		done = enqueue(port, frames, done);
		if (had_to_wait || port->kind == PORT_TUNNEL || !port_flush(port))
			break;
	}
	if (!had_to_wait && port_waiting(port) > 0)
		port->progress_ms = port_now_ms();
	port->sent[DROP_QUEUE_FULL] += frames->count - done;
	/* What waits for JavaScript leaves when it is taken. */
	if (is_captured(port->capture) && port->kind != PORT_SCRIPT)
		show_sent(port, frames, done);
}

uint32_t port_take(struct port *port, uint8_t *arena, size_t arena_size, struct frame_slot *slots, uint32_t capacity)
{
	struct frame_queue *queue = &port->queue;
	size_t used = 0;
	uint32_t taken = 0;

	for (; taken < capacity && queue->first < queue->count; advance(queue, 1), taken++) {
		const struct frame_slot *slot = &queue->slots[queue->first];
		if (slot->length > arena_size - used)
			break;
		memcpy(arena + used, queue->arena + slot->offset, slot->length);
		slots[taken] = *slot;
		slots[taken].offset = (uint32_t)used;
		slots[taken].reserved = 0;
		used += slot->length;
	}
	if (queue->first == queue->count)
		clear_queue(queue);
	count_frames(port->sent, slots, taken);
	const struct frames frames = { .arena = arena, .arena_size = arena_size, .slots = slots, .count = taken };
	if (is_captured(port->capture))
		show_sent(port, &frames, taken);
	return taken;
}

bool port_can_stall(const struct port *port)
{
	return port->kind == PORT_SOCKET || port->kind == PORT_TUNNEL;
}

void port_drop(struct port *port, enum counter reason)
{
	port->sent[reason] += port_waiting(port);
	if (port->kind == PORT_TUNNEL)
		tunnel_restart(port->tunnel);
	clear_queue(&port->queue);
}

void port_release(struct port *port)
{
	port_drop(port, DROP_DOWN);
	free(port->queue.slots);
	port->queue = (struct frame_queue){ 0 };
}
