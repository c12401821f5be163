#define _GNU_SOURCE
#include "line_end.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "frame_io.h"
#include "segment.h"
#include "hot.h"

#define TAP_ARENA_BYTES (512 * 1024)
#define MAX_SLOTS 128
#define FULL_BURSTS_TO_GROW 4
#define QUEUE_BYTES (1024 * 1024)
#define QUEUE_SLOTS 1024

static size_t arena_size(const struct line_end *end)
{
	return end->is_tap ? TAP_ARENA_BYTES : (size_t)MAX_DATAGRAMS * MAX_FRAME_BYTES;
}

bool line_end_prepare(struct line_end *end)
{
	end->burst = 1;
	/* Side by side: a lone frame then touches one page. Pages that were never touched take no memory. */
	end->slots = calloc(1, MAX_SLOTS * sizeof *end->slots + arena_size(end));
	end->queue_slots = calloc(1, QUEUE_SLOTS * sizeof *end->queue_slots + QUEUE_BYTES);
	if (end->slots == NULL || end->queue_slots == NULL)
		return false;
	end->arena = (uint8_t *)(end->slots + MAX_SLOTS);
	end->queue = (uint8_t *)(end->queue_slots + QUEUE_SLOTS);
	return true;
}

void line_end_release(struct line_end *end)
{
	free(end->slots);
	free(end->queue_slots);
}

int64_t line_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
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
HOT static uint32_t keep_good_frames(struct line_end *end, uint32_t count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t length = end->slots[i].length;
		if (length == FRAME_TOO_LONG)
			end->received[DROP_TOO_LONG]++;
		else if (length < MIN_FRAME_BYTES)
			end->received[DROP_TOO_SHORT]++;
		else
			end->slots[kept++] = end->slots[i];
	}
	return kept;
}

/*
 * Asking for more frames than come costs a system call that finds nothing, on the way of a lone frame: only when
 * as many as asked for came several times in a row, more are asked for.
 */
HOT static void adapt_burst(struct line_end *end, uint32_t count)
{
	if (count < end->burst) {
		end->burst = count > end->burst / 2 ? count : (end->burst + 1) / 2;
		end->full_bursts = 0;
	} else if (++end->full_bursts == FULL_BURSTS_TO_GROW) {
		end->burst = end->burst < MAX_SLOTS / 2 ? 2 * end->burst : MAX_SLOTS;
		end->full_bursts = 0;
	}
}

HOT int line_end_receive(struct line_end *end)
{
	int count = end->is_tap ? tap_read(end->fd, end->arena, arena_size(end), end->slots, end->burst, MAX_FRAME_BYTES)
				: datagrams_receive(end->fd, end->arena, arena_size(end), end->slots, end->burst,
						    MAX_FRAME_BYTES);
	if (count <= 0)
		return count;
	adapt_burst(end, (uint32_t)count);
	uint32_t good = keep_good_frames(end, (uint32_t)count);
	count_frames(end->received, end->slots, good);
	return (int)good;
}

HOT static void write_to_tap(struct line_end *end, const uint8_t *arena, size_t size, const struct frame_slot *slots,
			 uint32_t count)
{
	struct tap_written written;

	tap_write(end->fd, arena, size, slots, count, end->takes_super, &written);
	count_frames(end->sent, slots, count);
	end->sent[COUNT_FRAMES] -= written.refused + written.too_short + written.too_long;
	end->sent[COUNT_BYTES] -= written.lost_bytes;
	end->sent[DROP_TOO_SHORT] += written.too_short;
	end->sent[DROP_TOO_LONG] += written.too_long;
	end->sent[written.last_errno == EIO ? DROP_DOWN : DROP_REFUSED] += written.refused;
	/* Some kernels refuse correct super-frames: from now on they get ordinary ones. */
	if (written.super_refused > 0)
		end->takes_super = false;
}

static void clear_queue(struct line_end *end)
{
	end->first = 0;
	end->count = 0;
}

/* Cuts frames into the empty queue; returns how many of them were dealt with. */
static uint32_t fill_queue(struct line_end *end, const struct line_end *from, uint32_t first, uint32_t count)
{
	struct segment_result result;

	segment_batch(from->arena, arena_size(from), from->slots, first, count, end->queue, QUEUE_BYTES,
		      end->queue_slots, QUEUE_SLOTS, end->max_frame, &result);
	end->first = 0;
	end->count = result.produced;
	end->sent[DROP_MALFORMED] += result.malformed;
	end->sent[DROP_TOO_LONG] += result.too_long;
	return result.consumed;
}

static enum counter reason_of(int error)
{
	if (error == EMSGSIZE)
		return DROP_TOO_LONG;
	return error == ECONNREFUSED || error == ENOTCONN || error == EPIPE || error == ENOENT ? DROP_DOWN : DROP_REFUSED;
}

HOT bool line_end_flush(struct line_end *end)
{
	uint32_t first = end->first;

	while (end->first < end->count) {
		const struct frame_slot *slots = end->queue_slots + end->first;
		uint32_t waiting = end->count - end->first;
		if (end->is_tap) {
			write_to_tap(end, end->queue, QUEUE_BYTES, slots, waiting);
			break;
		}
		int sent = datagrams_send(end->fd, end->queue, slots, waiting);
		if (sent == -EAGAIN) {
			if (end->first > first)
				end->progress_ms = line_now_ms();
			return false;
		}
		if (sent < 0) {
			/* This frame can never leave; those behind it perhaps can. */
			end->sent[reason_of(-sent)]++;
			end->first++;
			continue;
		}
		count_frames(end->sent, slots, (uint32_t)sent);
		end->first += (uint32_t)sent;
	}
	clear_queue(end);
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
HOT static uint32_t send_plain(struct line_end *end, const struct line_end *from, uint32_t count)
{
	if (end->is_tap || !are_plain(from->slots, count, end->max_frame))
		return 0;
	int sent = datagrams_send(end->fd, from->arena, from->slots, count);
	if (sent <= 0)
		return 0;
	count_frames(end->sent, from->slots, (uint32_t)sent);
	return (uint32_t)sent;
}

HOT void line_end_send(struct line_end *end, const struct line_end *from, uint32_t count)
{
	if (end->is_tap && end->takes_super) {
		write_to_tap(end, from->arena, arena_size(from), from->slots, count);
		return;
	}
	uint32_t done = send_plain(end, from, count);
	while (done < count) {
		done += fill_queue(end, from, done, count - done);
		if (line_end_flush(end))
			continue;
		end->progress_ms = line_now_ms();
		break;
	}
	end->sent[DROP_QUEUE_FULL] += count - done;
}

HOT bool line_end_is_busy(const struct line_end *end)
{
	return end->first < end->count;
}

void line_end_drop(struct line_end *end)
{
	end->sent[DROP_PEER_SLOW] += end->count - end->first;
	clear_queue(end);
}
