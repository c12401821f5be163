/*
 * Segments of a guest that came before their turn: kept until what is lacking has come, and told to the guest (SACK,
 * RFC 2018), so that it sends just that. One buffer for each connection that lacks something, and few of those.
 */
#include "tcp_flow.h"

#include <stdlib.h>

#define AHEAD_MASK (AHEAD_BYTES - 1)

/* Copies bytes into the ring, or out of it. */
static void copy_in(struct tcp_ahead *ahead, uint32_t sequence, const uint8_t *bytes, uint32_t length)
{
	const uint32_t at = sequence & AHEAD_MASK;
	const uint32_t first = length < AHEAD_BYTES - at ? length : AHEAD_BYTES - at;

	memcpy(ahead->bytes + at, bytes, first);
	memcpy(ahead->bytes, bytes + first, length - first);
}

static void release(struct tcp_flow *tcp)
{
	tcp->flow.gateway->ahead_count--;
	list_remove(&tcp->ahead->link);
	free(tcp->ahead);
	tcp->ahead = NULL;
}

void tcp_ahead_forget(struct tcp_flow *tcp)
{
	if (tcp->ahead != NULL)
		release(tcp);
}

/* Whether there is a place for one more, if need be that of a connection whose guest leaves holes for good. */
static bool make_place(struct gateway *gateway)
{
	if (gateway->ahead_count < MAX_AHEAD)
		return true;
	const struct tcp_ahead *first = list_entry(gateway->ahead.next, struct tcp_ahead, link);
	if (gateway_now_ms() - first->progress_ms < AHEAD_STUCK_MS)
		return false;
	release(first->tcp);
	return true;
}

/* Notes that what was lacking came, or that the first piece did. */
static void note_progress(struct tcp_flow *tcp)
{
	struct tcp_ahead *ahead = tcp->ahead;

	ahead->expected = tcp->expected;
	ahead->progress_ms = gateway_now_ms();
	list_remove(&ahead->link);
	list_add_last(&tcp->flow.gateway->ahead, &ahead->link);
}

static bool prepare(struct tcp_flow *tcp)
{
	if (tcp->ahead != NULL)
		return true;
	struct tcp_ahead *ahead = make_place(tcp->flow.gateway) ? malloc(sizeof *ahead) : NULL;
	if (ahead == NULL)
		return false;
	ahead->tcp = tcp;
	ahead->link = (struct list_link){ 0 };
	ahead->count = 0;
	tcp->ahead = ahead;
	tcp->flow.gateway->ahead_count++;
	note_progress(tcp);
	return true;
}

bool tcp_ranges_add(struct tcp_range *ranges, uint32_t *count, uint32_t most, struct tcp_range added)
{
	uint32_t first = 0, last;

	while (first < *count && sequence_compare(ranges[first].end, added.begin) < 0)
		first++;
	/* All from the first on that it touches become one with it. */
	for (last = first; last < *count && sequence_compare(ranges[last].begin, added.end) <= 0; last++) {
		if (sequence_compare(ranges[last].begin, added.begin) < 0)
			added.begin = ranges[last].begin;
		if (sequence_compare(ranges[last].end, added.end) > 0)
			added.end = ranges[last].end;
	}
	if (first == last && *count == most)
		return false;
	memmove(ranges + first + 1, ranges + last, (*count - last) * sizeof *ranges);
	ranges[first] = added;
	*count = *count - (last - first) + 1;
	return true;
}

void tcp_ranges_drop(struct tcp_range *ranges, uint32_t *count, uint32_t before)
{
	uint32_t gone = 0;

	while (gone < *count && sequence_compare(ranges[gone].end, before) <= 0)
		gone++;
	*count -= gone;
	memmove(ranges, ranges + gone, *count * sizeof *ranges);
	if (*count > 0 && sequence_compare(ranges[0].begin, before) < 0)
		ranges[0].begin = before;
}

void tcp_ahead_keep(struct tcp_flow *tcp, uint32_t sequence, const uint8_t *bytes, uint32_t length)
{
	const uint32_t distance = sequence - tcp->expected;

	if (distance >= AHEAD_BYTES || length > AHEAD_BYTES - distance || length == 0 || !prepare(tcp))
		return;
	struct tcp_ahead *ahead = tcp->ahead;
	const struct tcp_range range = { sequence, sequence + length };
	if (!tcp_ranges_add(ahead->ranges, &ahead->count, MAX_RANGES, range))
		return;
	ahead->latest = sequence;
	copy_in(ahead, sequence, bytes, length);
}

int tcp_ahead_pass(struct tcp_flow *tcp)
{
	struct tcp_ahead *ahead = tcp->ahead;

	if (ahead == NULL)
		return 0;
	if (ahead->expected != tcp->expected)
		note_progress(tcp);
	tcp_ranges_drop(ahead->ranges, &ahead->count, tcp->expected);
	while (ahead->count > 0 && ahead->ranges[0].begin == tcp->expected) {
		const uint32_t at = tcp->expected & AHEAD_MASK;
		const uint32_t length = ahead->ranges[0].end - tcp->expected;
		const uint32_t piece = length < AHEAD_BYTES - at ? length : AHEAD_BYTES - at;
		const int32_t taken = tcp_host_take(tcp, ahead->bytes + at, piece);
		if (taken < 0)
			return -taken;
		tcp->expected += (uint32_t)taken;
		tcp->owes |= OWES_ACK;
		tcp_ranges_drop(ahead->ranges, &ahead->count, tcp->expected);
		if ((uint32_t)taken < piece)
			return 0;
	}
	if (ahead->count == 0)
		release(tcp);
	return 0;
}

uint32_t tcp_ahead_options(const struct tcp_flow *tcp, uint8_t *options)
{
	const struct tcp_ahead *ahead = tcp->ahead;
	uint32_t written = 0;

	if (ahead == NULL || ahead->count == 0 || !tcp->guest_sacks)
		return 0;
	/* The one that grew last comes first (RFC 2018, section 4). */
	for (uint32_t pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < ahead->count && written < MAX_SACK_BLOCKS; i++) {
			const struct tcp_range *range = &ahead->ranges[i];
			const bool is_latest = ahead->latest - range->begin < range->end - range->begin;
			if (is_latest != (pass == 0))
				continue;
			store_be32(options + 4 + written * 8, range->begin);
			store_be32(options + 8 + written * 8, range->end);
			written++;
		}
	}
	options[0] = options[1] = 1;
	options[2] = 5;
	options[3] = (uint8_t)(2 + written * 8);
	return 4 + written * 8;
}
