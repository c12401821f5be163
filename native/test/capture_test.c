#define _GNU_SOURCE
#include "capture_test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../io/capture.h"
#include "random_batches.h"

#define STEPS 300
#define MAX_LENGTH 9000
/* Type, length, interface, time; then what was kept, and the length. */
#define KEPT_AT 20
#define LENGTH_AT 24
#define DATA_AT 28
#define OPTION_COMMENT 1
#define OPTION_FLAGS 2
#define OPTION_DROP_COUNT 4

/* A plug's numbers, and a ring that its frames go to. */
struct bench {
	double *counters;
	struct capture_ring ring;
	uint32_t snap;
	bool is_received_outbound;
};

/* What a reader has found. */
struct findings {
	uint64_t frames;
	uint64_t left_out;
	uint64_t drops;
	uint32_t next; /* the number that the next frame has, when none was left out */
};

static uint32_t u32_at(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof value);
	return value;
}

static uint16_t u16_at(const uint8_t *bytes)
{
	uint16_t value;

	memcpy(&value, bytes, sizeof value);
	return value;
}

static void open_bench(struct bench *bench, enum capture_mode mode)
{
	*bench = (struct bench){ .counters = exactly(COUNTER_VALUES * sizeof(double)),
				 .snap = one_in(2) ? MAX_LENGTH : 14 + below(100),
				 .is_received_outbound = one_in(2) };
	const int memory = capture_ring_make(MIN_CAPTURE_BYTES + below(100000), mode);

	memset(bench->counters, 0, COUNTER_VALUES * sizeof(double));
	expect(memory >= 0 && capture_ring_open(&bench->ring, memory, -1) == 0, "a ring is made and opened");
	close(memory);
	const struct capture_target target = { .ring = &bench->ring, .interface = 3, .snap = bench->snap,
					       .is_received_outbound = bench->is_received_outbound };
	expect(capture_start(bench->counters, &target) == 0, "a capture begins");
	expect(capture_start(bench->counters, &target) != 0, "and not twice");
	expect(is_captured(bench->counters + CAPTURE_COUNTER), "the number says so");
}

static void close_bench(struct bench *bench)
{
	expect(capture_stop(bench->counters, &bench->ring, ALL_INTERFACES), "nobody looks any more");
	expect(!is_captured(bench->counters + CAPTURE_COUNTER), "the number says that, too");
	capture_ring_close(&bench->ring);
	free(bench->counters);
}

/* A frame that its number makes: bytes and length can be told from it. */
static uint32_t length_of(uint32_t number)
{
	return 14 + (number * 2654435761U >> 8) % (MAX_LENGTH - 14);
}

static uint8_t byte_of(uint32_t number, uint32_t at)
{
	return (uint8_t)(number * 31 + at * 7 + (at >> 8));
}

/* Records one frame. */
static void record(const struct bench *bench, uint32_t number, enum capture_direction direction)
{
	const struct frame_slot slot = { .length = length_of(number) };
	uint8_t *arena = exactly(slot.length);
	const struct frames frames = { .arena = arena, .arena_size = slot.length, .slots = &slot, .count = 1 };

	memcpy(arena, &number, sizeof number);
	for (uint32_t i = sizeof number; i < slot.length; i++)
		arena[i] = byte_of(number, i);
	capture_frames(bench->counters + CAPTURE_COUNTER, direction, &frames);
	free(arena);
}

/* Looks at the options behind a frame. */
static void check_options(const struct bench *bench, const uint8_t *at, const uint8_t *end, struct findings *findings)
{
	bool has_flags = false;

	while (at + 4 <= end && u16_at(at) != 0) {
		const uint16_t code = u16_at(at), length = u16_at(at + 2);
		expect(at + 4 + length <= end, "an option lies in its block");
		if (code == OPTION_FLAGS)
			has_flags = (u32_at(at + 4) & 3) == (bench->is_received_outbound ? 2 : 1);
		else if (code == OPTION_DROP_COUNT)
			findings->left_out += u32_at(at + 4);
		else if (code == OPTION_COMMENT)
			findings->drops += strtoull((const char *)at + 4, NULL, 10);
		at += 4 + ((length + 3) & ~3U);
	}
	expect(at + 4 == end, "the end of the options is the end of the block");
	expect(has_flags, "the direction is right");
}

/* Looks at one block; its length. */
static uint32_t check_block(const struct bench *bench, const uint8_t *block, size_t most, struct findings *findings)
{
	expect(most >= DATA_AT + 4, "a block is complete");
	const uint32_t length = u32_at(block + 4);
	expect(length <= most && length % 4 == 0 && u32_at(block + length - 4) == length, "its lengths are right");
	expect(u32_at(block) == 6 && u32_at(block + 8) == 3, "it is a frame of the interface");
	const uint32_t kept = u32_at(block + KEPT_AT), number = u32_at(block + DATA_AT);
	expect(u32_at(block + LENGTH_AT) == length_of(number), "its length is told");
	expect(kept == (length_of(number) < bench->snap ? length_of(number) : bench->snap), "as much as asked for is kept");
	for (uint32_t i = sizeof number; i < kept; i++)
		expect(block[DATA_AT + i] == byte_of(number, i), "its bytes are there");
	const uint64_t left_out = findings->left_out;
	check_options(bench, block + DATA_AT + ((kept + 3) & ~3U), block + length - 4, findings);
	expect(number == findings->next + (findings->left_out - left_out), "what is missing was said to be");
	findings->next = number + 1;
	findings->frames++;
	return length;
}

/* Takes some of the blocks that wait. */
static void read_some(struct bench *bench, uint32_t blocks, struct findings *findings)
{
	while (blocks-- > 0 && capture_ring_waiting(&bench->ring) > 0) {
		const uint8_t *block = bench->ring.data + capture_ring_position(&bench->ring) % bench->ring.size;
		capture_ring_consume(&bench->ring,
				     check_block(bench, block, capture_ring_waiting(&bench->ring), findings));
	}
}

static void try_stream(void)
{
	struct bench bench;
	open_bench(&bench, CAPTURE_STREAM);
	struct findings findings = { 0 };
	const uint32_t reader = 1 + below(40);
	uint64_t dropped = 0;

	for (uint32_t number = 0; number < STEPS; number++) {
		if (one_in(20)) {
			const uint32_t frames = 1 + below(5);
			bench.counters[(one_in(2) ? 0 : COUNTERS_PER_DIRECTION) + DROP_PEER_SLOW +
				       below(COUNTERS_PER_DIRECTION - DROP_PEER_SLOW)] += frames;
			dropped += frames;
		}
		record(&bench, number, CAPTURE_RECEIVED);
		if (one_in(reader))
			read_some(&bench, below(2 * reader), &findings);
	}
	read_some(&bench, STEPS, &findings);
	record(&bench, STEPS, CAPTURE_RECEIVED);
	read_some(&bench, STEPS, &findings);
	const struct capture_counts *counts = &bench.ring.header->interfaces[3];
	expect(findings.frames == counts->recorded && findings.left_out == counts->left_out, "the counts are right");
	expect(findings.frames + findings.left_out == STEPS + 1, "each frame is there, or was left out");
	expect(findings.drops == dropped, "all drops were told");
	close_bench(&bench);
}

static void try_recorder(void)
{
	struct bench bench;
	open_bench(&bench, CAPTURE_RECORDER);
	const size_t size = 50000 + below(100000);
	uint8_t *room = exactly(size);

	for (uint32_t number = 0; number < STEPS; number++)
		record(&bench, number, CAPTURE_RECEIVED);
	struct capture_extent extent;
	expect(capture_ring_look(&bench.ring, &extent), "what is there can be there");
	const uint64_t end = extent.end;
	const uint8_t *oldest = bench.ring.data + capture_ring_position(&bench.ring) % bench.ring.size;
	struct findings findings = { .next = u32_at(oldest + DATA_AT) };
	for (uint64_t at = 0; at < end;) {
		const struct capture_copy copy = capture_ring_copy(&bench.ring, at, end, room, size);
		expect(copy.next > at, "a copy makes progress");
		for (size_t done = 0; done < copy.length;)
			done += check_block(&bench, room + done, copy.length - done, &findings);
		at = copy.next;
	}
	expect(findings.next == STEPS && findings.left_out == 0, "the last frames are there");
	expect(bench.ring.header->interfaces[3].recorded == STEPS, "all were recorded");
	free(room);
	close_bench(&bench);
}

/* Writes nonsense where others write. */
static void scribble(const struct capture_ring *ring)
{
	struct capture_header *header = ring->header;
	const uint64_t nonsense = (uint64_t)next_random() << below(33) | below(5);

	switch (below(5)) {
	case 0:
		header->read = nonsense;
		break;
	case 1:
		header->write = nonsense;
		break;
	case 2:
		header->wake_at = (uint32_t)nonsense;
		break;
	case 3:
		memcpy(ring->data + below((uint32_t)ring->size - 8), &nonsense, sizeof nonsense);
		break;
	default:
		header->read = header->write - below((uint32_t)ring->size * 2);
		break;
	}
}

static void try_nonsense(void)
{
	struct bench bench;
	open_bench(&bench, one_in(2) ? CAPTURE_STREAM : CAPTURE_RECORDER);
	uint8_t *room = exactly(MAX_LENGTH);

	for (uint32_t number = 0; number < STEPS; number++) {
		record(&bench, number, CAPTURE_SENT);
		if (one_in(8))
			scribble(&bench.ring);
		expect(capture_ring_waiting(&bench.ring) <= bench.ring.size, "no more waits than there is room for");
		const uint64_t from = one_in(2) ? next_random() : capture_ring_position(&bench.ring);
		expect(capture_ring_copy(&bench.ring, from, from + below(MAX_LENGTH), room, MAX_LENGTH).length <= MAX_LENGTH,
		       "no more is copied than there is room for");
	}
	/* Somebody who died while he wrote. */
	bench.ring.header->lock = UINT32_MAX;
	record(&bench, STEPS, CAPTURE_SENT);
	expect(bench.ring.header->lock == 0, "a lock that belongs to nobody is taken away");
	free(room);
	close_bench(&bench);
}

/* Numbers that somebody else wrote stand for nothing here. */
static void try_foreign_numbers(void)
{
	struct bench bench;
	open_bench(&bench, CAPTURE_STREAM);
	double *others = exactly(COUNTER_VALUES * sizeof(double));
	const struct frame_slot slot = { .length = 60 };
	uint8_t *arena = exactly(slot.length);
	const struct frames frames = { .arena = arena, .arena_size = slot.length, .slots = &slot, .count = 1 };
	const double numbers[] = { 1, 2, -1, 1e300, MAX_CAPTURE_POINTS, MAX_CAPTURE_POINTS + 1, 0.5, __builtin_nan("") };

	memset(arena, 0, slot.length);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		others[CAPTURE_COUNTER] = numbers[i];
		capture_frames(others + CAPTURE_COUNTER, CAPTURE_SENT, &frames);
	}
	expect(capture_ring_waiting(&bench.ring) == 0, "nothing was recorded");
	free(arena);
	free(others);
	close_bench(&bench);
}

/* What others write behind our counters changes nothing: the point is found, and is gone when nobody looks. */
static void try_overwritten_number(void)
{
	struct bench bench;
	open_bench(&bench, CAPTURE_STREAM);
	const struct capture_target again = { .ring = &bench.ring, .interface = 3, .snap = 60 };
	const double numbers[] = { 0, 1, 2, -1, MAX_CAPTURE_POINTS, 1e300, __builtin_nan("") };

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		bench.counters[CAPTURE_COUNTER] = numbers[i];
		expect(capture_start(bench.counters, &again) != 0, "it is looked at already");
	}
	bench.counters[CAPTURE_COUNTER] = numbers[below(sizeof numbers / sizeof *numbers)];
	close_bench(&bench);
	/* Memory that is somebody else's by now, at the same address as likely as not. */
	open_bench(&bench, CAPTURE_STREAM);
	record(&bench, 0, CAPTURE_SENT);
	expect(capture_ring_waiting(&bench.ring) > 0, "a frame is recorded");
	close_bench(&bench);
}

/* As many look as can, and no more; the same place is had again. */
static void try_many(void)
{
	struct bench bench;
	open_bench(&bench, CAPTURE_STREAM);
	const uint32_t first = 100;

	for (uint32_t i = 1; i <= MAX_CAPTURES_PER_POINT; i++) {
		const struct capture_target target = { .ring = &bench.ring, .interface = first + i, .snap = 60 };
		expect((capture_start(bench.counters, &target) == 0) == (i < MAX_CAPTURES_PER_POINT), "there is room");
	}
	record(&bench, 0, CAPTURE_SENT);
	expect(bench.ring.header->interfaces[first + MAX_CAPTURES_PER_POINT - 1].recorded == 1, "the last one has it");
	const uint32_t other = first + 1 + below(MAX_CAPTURES_PER_POINT - 1);
	expect(!capture_stop(bench.counters, &bench.ring, other), "others look on");
	const struct capture_target target = { .ring = &bench.ring, .interface = other, .snap = 60 };
	expect(capture_start(bench.counters, &target) == 0, "there is room again");
	close_bench(&bench);
}

/* A notice that is something else, and full, holds nobody up. */
static void try_full_notice(void)
{
	struct capture_ring ring;
	int ends[2];
	const uint8_t bytes[4096] = { 0 };
	const int memory = capture_ring_make(MIN_CAPTURE_BYTES, CAPTURE_STREAM);

	expect(memory >= 0 && pipe(ends) == 0 && capture_ring_open(&ring, memory, ends[1]) == 0, "a ring is opened");
	while (write(ring.notice, bytes, sizeof bytes) > 0)
		;
	uint8_t *room = capture_ring_begin(&ring, sizeof bytes, 0);
	expect(room != NULL && !capture_ring_await(&ring, 1), "a reader waits");
	memset(room, 0, sizeof bytes);
	capture_ring_commit(&ring, sizeof bytes);
	capture_ring_wake(&ring);
	capture_ring_close(&ring);
	close(memory);
	close(ends[0]);
	close(ends[1]);
}

/* What is unfinished is marked, whichever way it passes. */
static void try_unfinished_marks(void)
{
	struct bench bench;
	open_bench(&bench, CAPTURE_STREAM);
	uint8_t *arena = exactly(64);
	const struct frame_slot slot = { .length = 64,
					 .offload = { .flags = OFFLOAD_FLAG_NEEDS_CHECKSUM, .gso_type = one_in(2) } };
	const struct frames frames = { .arena = arena, .arena_size = 64, .slots = &slot, .count = 1 };
	const uint32_t expected = 1U << 9 | (slot.offload.gso_type == 0 ? 0 : 1U << 11);
	const uint32_t kept = bench.snap < 64 ? bench.snap : 64;

	memset(arena, 0, 64);
	for (enum capture_direction way = CAPTURE_RECEIVED; way <= CAPTURE_SENT; way++) {
		const uint8_t *block = bench.ring.data + capture_ring_position(&bench.ring) % bench.ring.size;
		capture_frames(bench.counters + CAPTURE_COUNTER, way, &frames);
		const uint8_t *options = block + DATA_AT + ((kept + 3) & ~3U);
		expect(u16_at(options) == OPTION_FLAGS && (u32_at(options + 4) & ~3U) == expected, "it is marked");
		capture_ring_consume(&bench.ring, u32_at(block + 4));
	}
	free(arena);
	close_bench(&bench);
}

void try_capture(void)
{
	try_unfinished_marks();
	try_overwritten_number();
	try_many();
	try_full_notice();
	try_stream();
	try_recorder();
	try_nonsense();
	try_foreign_numbers();
}
