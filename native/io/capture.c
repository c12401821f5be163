#define _GNU_SOURCE
#include "capture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "far_copy.h"
#include "frame_io.h"
#include "hot.h"

/* draft-ietf-opsawg-pcapng, 4.3 "Enhanced Packet Block". */
#define BLOCK_PACKET 6
#define PACKET_BLOCK_BYTES 32 /* without data and options: the header, and the length at the end */
#define OPTION_END 0
#define OPTION_COMMENT 1
#define OPTION_FLAGS 2
#define OPTION_DROP_COUNT 4
#define OPTION_HEADER 4
/* Of epb_flags. */
#define FLAG_INBOUND 1
#define FLAG_OUTBOUND 2
#define FLAG_CHECKSUM_NOT_READY (1U << 9)
#define FLAG_CHECKSUM_VALID (1U << 10)
#define FLAG_SEGMENTATION_OFFLOADED (1U << 11)

#define DROP_REASONS (COUNTERS_PER_DIRECTION - DROP_PEER_SLOW)
/* "18446744073709551615 frames dropped outbound: foreign-sender", and the option's header. */
#define COMMENT_BYTES 80
/* Whose drops are looked at: the point's own, and others'. */
#define DROP_SOURCES (1 + MAX_CAPTURE_OTHERS)
#define OPTION_BYTES (2 * DROP_REASONS * COMMENT_BYTES + 64)
/* More than any counter gets to; what others share may hold anything. */
#define IMPLAUSIBLE_DROPS 1e15

/* As src/plugs/counters.ts calls them, in the order of enum counter. */
static const char *const reason_names[] = {
	"peer-slow", "queue-full", "too-long", "too-short", "malformed", "down", "refused", "foreign-vni",
	"foreign-sender", "bad-header", "echo", "foreign-vlan", "blocked", "undeciphered", "out-of-window", "replayed",
	"impaired",
};
_Static_assert(sizeof reason_names / sizeof *reason_names == DROP_REASONS, "each reason has a name");

/**
 * struct capture - one that looks at a point.
 * @target: where the frames go; its ring is NULL where there is none
 * @left_out: frames of the interface that found no room since the last that did
 * @told: the drops that a comment has told of, those of both directions of each source
 */
struct capture {
	struct capture_target target;
	uint64_t left_out;
	double told[DROP_SOURCES][2][DROP_REASONS];
};

/**
 * struct capture_point - a plug that is looked at.
 * @counters: its numbers
 * @place: where it stands among the points
 * @used: how many of the captures are, or were, in use
 * @captures: who looks
 */
struct capture_point {
	double *counters;
	uint32_t place;
	uint32_t used;
	struct capture captures[MAX_CAPTURES_PER_POINT];
};

/* Guarded by the lock of the datapath. */
static struct capture_point *points[MAX_CAPTURE_POINTS];

/* The options of a block, as they are put together. */
struct options {
	uint8_t bytes[OPTION_BYTES];
	size_t length;
};

/* The point that a number behind counters stands for; NULL when it is none of this process. */
HOT static struct capture_point *find_point(const double *number)
{
	/* Others may share these numbers, and write there meanwhile. */
	const double value = *(const volatile double *)number;

	if (!(value >= 1 && value <= MAX_CAPTURE_POINTS))
		return NULL;
	struct capture_point *point = points[(uint32_t)value - 1];
	return point != NULL && point->counters + CAPTURE_COUNTER == number ? point : NULL;
}

/* The point of these counters, whatever the number behind them says. */
static struct capture_point *point_of(double *counters)
{
	struct capture_point *point = find_point(counters + CAPTURE_COUNTER);

	for (uint32_t i = 0; point == NULL && i < MAX_CAPTURE_POINTS; i++) {
		if (points[i] != NULL && points[i]->counters == counters)
			point = points[i];
	}
	if (point != NULL)
		counters[CAPTURE_COUNTER] = point->place + 1;
	return point;
}

static int make_point(double *counters, struct capture_point **made)
{
	uint32_t place = 0;

	while (place < MAX_CAPTURE_POINTS && points[place] != NULL)
		place++;
	if (place == MAX_CAPTURE_POINTS)
		return ENOSPC;
	struct capture_point *point = calloc(1, sizeof *point);
	if (point == NULL)
		return ENOMEM;
	point->counters = counters;
	point->place = place;
	points[place] = point;
	counters[CAPTURE_COUNTER] = place + 1;
	*made = point;
	return 0;
}

/* The drops of one source that are of frames of a direction; NULL when there is no such source. */
HOT static const double *drops_of(const struct capture_point *point, const struct capture *capture, uint32_t source,
				  enum capture_direction direction)
{
	const double *counters = source == 0 ? point->counters : capture->target.others[source - 1];

	if (counters == NULL)
		return NULL;
	/* What left the other end came in here. */
	const bool is_second = (direction == CAPTURE_SENT) == (source == 0);
	return counters + (is_second ? COUNTERS_PER_DIRECTION : 0) + DROP_PEER_SLOW;
}

/* Whoever reads the capture knows of all drops until now. */
static void note_told(const struct capture_point *point, struct capture *capture)
{
	for (uint32_t source = 0; source < DROP_SOURCES; source++) {
		for (enum capture_direction way = CAPTURE_RECEIVED; way <= CAPTURE_SENT; way++) {
			const double *drops = drops_of(point, capture, source, way);
			if (drops != NULL)
				memcpy(capture->told[source][way], drops, sizeof capture->told[source][way]);
		}
	}
}

int capture_start(double *counters, const struct capture_target *target)
{
	struct capture_point *point = point_of(counters);
	uint32_t free_place = MAX_CAPTURES_PER_POINT;

	if (target->interface >= MAX_CAPTURE_INTERFACES)
		return EINVAL;
	if (point == NULL) {
		const int error = make_point(counters, &point);
		if (error != 0)
			return error;
	}
	for (uint32_t i = 0; i < MAX_CAPTURES_PER_POINT; i++) {
		if (point->captures[i].target.ring == target->ring &&
		    point->captures[i].target.interface == target->interface)
			return EEXIST;
		if (point->captures[i].target.ring == NULL && i < free_place)
			free_place = i;
	}
	if (free_place == MAX_CAPTURES_PER_POINT)
		return EBUSY;
	point->captures[free_place] = (struct capture){ .target = *target };
	point->used = free_place < point->used ? point->used : free_place + 1;
	note_told(point, &point->captures[free_place]);
	return 0;
}

/* Whether anybody looks at the point. */
static bool is_in_use(const struct capture_point *point)
{
	bool in_use = false;

	for (uint32_t i = 0; i < MAX_CAPTURES_PER_POINT; i++)
		in_use = in_use || point->captures[i].target.ring != NULL;
	return in_use;
}

bool capture_stop(double *counters, const struct capture_ring *ring, uint32_t interface)
{
	struct capture_point *point = point_of(counters);

	if (point == NULL)
		return true;
	for (uint32_t i = 0; i < MAX_CAPTURES_PER_POINT; i++) {
		if (point->captures[i].target.ring == ring &&
		    (interface == ALL_INTERFACES || point->captures[i].target.interface == interface))
			point->captures[i].target.ring = NULL;
	}
	if (is_in_use(point))
		return false;
	points[point->place] = NULL;
	counters[CAPTURE_COUNTER] = 0;
	free(point);
	return true;
}

HOT static uint8_t *put_u16(uint8_t *at, uint32_t value)
{
	const uint16_t low = (uint16_t)value;

	memcpy(at, &low, sizeof low);
	return at + sizeof low;
}

HOT static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof value);
	return at + sizeof value;
}

HOT static uint32_t padded(uint32_t length)
{
	return (length + 3) & ~3U;
}

/* Appends an option; one that finds no room is left out. */
HOT static void add_option(struct options *options, uint32_t code, const void *value, uint32_t length)
{
	if (sizeof options->bytes - options->length < OPTION_HEADER + padded(length))
		return;
	uint8_t *at = options->bytes + options->length;
	at = put_u16(at, code);
	at = put_u16(at, length);
	memcpy(at, value, length);
	memset(at + length, 0, padded(length) - length);
	options->length += OPTION_HEADER + padded(length);
}

static bool is_outbound(const struct capture *capture, enum capture_direction direction)
{
	return (direction == CAPTURE_RECEIVED) == capture->target.is_received_outbound;
}

/* Tells of drops that nobody was told of yet. */
static void add_drops(struct options *options, const struct capture *capture, const double *drops, const double *told,
		      enum capture_direction direction)
{
	char comment[COMMENT_BYTES];

	for (uint32_t reason = 0; reason < DROP_REASONS; reason++) {
		const double frames = drops[reason] - told[reason];
		if (!(frames >= 1 && frames < IMPLAUSIBLE_DROPS))
			continue;
		const int length = snprintf(comment, sizeof comment, "%.0f frame%s dropped %s: %s", frames,
					    frames < 2 ? "" : "s",
					    is_outbound(capture, direction) ? "outbound" : "inbound",
					    reason_names[reason]);
		add_option(options, OPTION_COMMENT, comment, (uint32_t)length);
	}
}

/* Whether there are drops that nobody was told of yet. */
HOT static bool has_drops(const struct capture_point *point, const struct capture *capture)
{
	bool has = false;

	for (uint32_t source = 0; source < DROP_SOURCES; source++) {
		for (enum capture_direction way = CAPTURE_RECEIVED; way <= CAPTURE_SENT; way++) {
			const double *drops = drops_of(point, capture, source, way);
			has = has || (drops != NULL && memcmp(capture->told[source][way], drops,
							      sizeof capture->told[source][way]) != 0);
		}
	}
	return has;
}

static void add_all_drops(struct options *options, const struct capture_point *point, const struct capture *capture)
{
	for (uint32_t source = 0; source < DROP_SOURCES; source++) {
		for (enum capture_direction way = CAPTURE_RECEIVED; way <= CAPTURE_SENT; way++) {
			const double *drops = drops_of(point, capture, source, way);
			const double *told = capture->told[source][way];
			if (drops != NULL)
				add_drops(options, capture, drops, told, way);
		}
	}
}

HOT static uint32_t flags_of(const struct offload_header *offload, bool outbound)
{
	/* The format has these for what leaves; here, what comes in is as unfinished when it was not finished on its way. */
	const uint32_t unfinished = (offload->flags & OFFLOAD_FLAG_NEEDS_CHECKSUM ? FLAG_CHECKSUM_NOT_READY : 0) |
				    (offload->gso_type != OFFLOAD_GSO_NONE ? FLAG_SEGMENTATION_OFFLOADED : 0);

	if (outbound)
		return FLAG_OUTBOUND | unfinished;
	return FLAG_INBOUND | unfinished | (offload->flags & OFFLOAD_FLAG_DATA_VALID ? FLAG_CHECKSUM_VALID : 0);
}

/* Writes a block that has room for it. */
HOT static void write_packet(uint8_t *at, const struct capture_target *target, uint64_t time_ns, const uint8_t *frame,
			     uint32_t length, uint32_t kept, const struct options *options, uint32_t block_length)
{
	at = put_u32(at, BLOCK_PACKET);
	at = put_u32(at, block_length);
	at = put_u32(at, target->interface);
	at = put_u32(at, (uint32_t)(time_ns >> 32));
	at = put_u32(at, (uint32_t)time_ns);
	at = put_u32(at, kept);
	at = put_u32(at, length);
	far_copy(at, frame, kept);
	memset(at + kept, 0, padded(kept) - kept);
	at += padded(kept);
	memcpy(at, options->bytes, options->length);
	put_u32(at + options->length, block_length);
}

/* What is recorded of a batch besides its frames. */
struct record {
	struct capture_point *point;
	struct capture *capture;
	uint64_t time_ns;
	bool outbound;
	bool has_drops;
};

HOT static void record_frame(struct record *record, const uint8_t *frame, const struct frame_slot *slot)
{
	struct capture *capture = record->capture;
	const struct capture_target *target = &capture->target;
	struct capture_counts *counts = &target->ring->header->interfaces[target->interface];
	const uint32_t flags = flags_of(&slot->offload, record->outbound);
	const uint32_t kept = slot->length < target->snap ? slot->length : target->snap;
	struct options options;

	options.length = 0;
	add_option(&options, OPTION_FLAGS, &flags, sizeof flags);
	if (capture->left_out > 0)
		add_option(&options, OPTION_DROP_COUNT, &capture->left_out, sizeof capture->left_out);
	if (record->has_drops)
		add_all_drops(&options, record->point, capture);
	add_option(&options, OPTION_END, "", 0);
	const uint32_t length = PACKET_BLOCK_BYTES + padded(kept) + (uint32_t)options.length;
	uint8_t *room = capture_ring_begin(target->ring, length, CAPTURE_RESERVE_BYTES);
	if (room == NULL) {
		capture->left_out++;
		atomic_fetch_add_explicit(&counts->left_out, 1, memory_order_relaxed);
		return;
	}
	write_packet(room, target, record->time_ns, frame, slot->length, kept, &options, length);
	capture_ring_commit(target->ring, length);
	atomic_fetch_add_explicit(&counts->recorded, 1, memory_order_relaxed);
	capture->left_out = 0;
	if (record->has_drops)
		note_told(record->point, capture);
	record->has_drops = false;
}

HOT static bool is_frame(const struct frames *frames, const struct frame_slot *slot)
{
	return slot->length >= MIN_FRAME_BYTES && slot->length <= MAX_FRAME_BYTES &&
	       slot->offset <= frames->arena_size && slot->length <= frames->arena_size - slot->offset;
}

HOT static uint64_t time_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

HOT void capture_frames(const double *number, enum capture_direction direction, const struct frames *frames)
{
	struct capture_point *point = find_point(number);
	const uint64_t now = time_ns();

	for (uint32_t i = 0; point != NULL && i < point->used; i++) {
		struct capture *capture = &point->captures[i];
		if (capture->target.ring == NULL)
			continue;
		struct record record = { .point = point, .capture = capture, .time_ns = now,
					 .outbound = is_outbound(capture, direction),
					 .has_drops = has_drops(point, capture) };
		for (uint32_t frame = 0; frame < frames->count; frame++) {
			const struct frame_slot *slot = &frames->slots[frame];
			if (is_frame(frames, slot))
				record_frame(&record, frames->arena + slot->offset, slot);
		}
		capture_ring_wake(capture->target.ring);
	}
}
