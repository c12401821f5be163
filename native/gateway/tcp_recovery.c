/*
 * How much may be on the way to a guest, and what to do about losses: RFC 5681 and RFC 6582 (NewReno), time-outs by
 * RFC 6298. The guest is usually one hop away, so it begins with more than a sender to the internet would.
 */
#include "tcp_flow.h"

#include "hot.h"

#define FIRST_CONGESTION_BYTES (256 * 1024)
#define MOST_CONGESTION_BYTES (64 * 1024 * 1024)
#define DUPLICATES_OF_A_LOSS 3
#define FIRST_TIMEOUT_MS 1000
#define LEAST_TIMEOUT_MS 200
#define MOST_TIMEOUT_MS 60000
/* Added to two round trips: what our clocks are late by, and how long an acknowledgement of a lone segment may take. */
#define PROBE_MS 16
#define DELAYED_ACK_MS 60

void tcp_recovery_prepare(struct tcp_flow *tcp)
{
	tcp->congestion = FIRST_CONGESTION_BYTES;
	tcp->threshold = UINT32_MAX;
}

/* Halves what may be on the way. */
static void shrink(struct tcp_flow *tcp)
{
	const uint32_t half = tcp_in_flight(tcp) / 2;
	const uint32_t least = 2U * tcp->segment;

	tcp->threshold = half > least ? half : least;
}

static void measure(struct tcp_flow *tcp)
{
	const int64_t took_ms = gateway_now_ms() - tcp->timed_ms;
	const uint32_t sample = took_ms < 1 ? 1 : took_ms > MOST_TIMEOUT_MS ? MOST_TIMEOUT_MS : (uint32_t)took_ms;

	tcp->is_timing = false;
	if (tcp->smoothed_ms == 0) {
		tcp->smoothed_ms = sample * 8;
		tcp->variation_ms = sample * 2;
		return;
	}
	const uint32_t mean = tcp->smoothed_ms / 8;
	const uint32_t difference = mean > sample ? mean - sample : sample - mean;
	tcp->variation_ms = tcp->variation_ms - tcp->variation_ms / 4 + difference;
	tcp->smoothed_ms = tcp->smoothed_ms - mean + sample;
}

HOT static void grow(struct tcp_flow *tcp, uint32_t bytes)
{
	uint64_t more = tcp->congestion < tcp->threshold ? bytes : (uint64_t)tcp->segment * bytes / tcp->congestion;

	if (tcp->congestion < MOST_CONGESTION_BYTES)
		tcp->congestion += more == 0 ? 1 : (uint32_t)more;
}

/* How much of what is on the way the guest has said to have. */
static uint32_t sacked_bytes(const struct tcp_flow *tcp)
{
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < tcp->sacked_count; i++)
		bytes += tcp->sacked[i].end - tcp->sacked[i].begin;
	return bytes;
}

HOT void tcp_recovery_acknowledged(struct tcp_flow *tcp, uint32_t bytes)
{
	if (tcp->sacked_count > 0)
		tcp_ranges_drop(tcp->sacked, &tcp->sacked_count, tcp->first);
	if (tcp->is_timing && sequence_compare(tcp->first, tcp->timed) > 0)
		measure(tcp);
	tcp->duplicates = 0;
	tcp->backoff = tcp->probes = 0;
	if (!tcp->in_recovery) {
		/* It goes along: 2 GiB further it would seem to lie ahead. */
		if (sequence_compare(tcp->first, tcp->recover) > 0)
			tcp->recover = tcp->first;
		grow(tcp, bytes);
		return;
	}
	if (sequence_compare(tcp->first, tcp->recover) >= 0) {
		tcp->in_recovery = false;
		tcp->congestion = tcp->threshold;
		return;
	}
	/* A part: what follows it was lost, too. */
	tcp->owes |= OWES_RETRANSMISSION;
	tcp->delivered += bytes;
	if (tcp->guest_sacks)
		return;
	tcp->resent = tcp->first;
	tcp->congestion = tcp->congestion > bytes + tcp->segment ? tcp->congestion - bytes + tcp->segment : tcp->segment;
}

static void begin_recovery(struct tcp_flow *tcp)
{
	shrink(tcp);
	tcp->congestion = tcp->threshold;
	/* Without SACK each duplicate stands for a segment that has left (RFC 6582, 3.2). */
	if (!tcp->guest_sacks)
		tcp->congestion += DUPLICATES_OF_A_LOSS * tcp->segment;
	tcp->recover = tcp->furthest;
	tcp->resent = tcp->first;
	tcp->delivered = 0;
	tcp->in_recovery = true;
	tcp->is_timing = false;
	tcp->owes |= OWES_RETRANSMISSION;
}

void tcp_recovery_duplicate(struct tcp_flow *tcp)
{
	if (tcp->duplicates < UINT8_MAX)
		tcp->duplicates++;
	if (tcp->in_recovery) {
		if (!tcp->guest_sacks)
			tcp->congestion += tcp->segment;
		return;
	}
	const bool is_loss = tcp->duplicates >= DUPLICATES_OF_A_LOSS ||
			     sacked_bytes(tcp) >= DUPLICATES_OF_A_LOSS * tcp->segment;
	if (is_loss && sequence_compare(tcp->first, tcp->recover) >= 0)
		begin_recovery(tcp);
}

bool tcp_recovery_sacked(struct tcp_flow *tcp, const struct tcp_range *blocks, uint32_t count)
{
	const uint32_t before = sacked_bytes(tcp);

	for (uint32_t i = 0; i < count; i++) {
		struct tcp_range block = blocks[i];
		/* One below is about what came twice (RFC 2883). */
		if (sequence_compare(block.begin, tcp->first) <= 0 || sequence_compare(block.end, tcp->next) > 0 ||
		    sequence_compare(block.begin, block.end) >= 0)
			continue;
		tcp_ranges_add(tcp->sacked, &tcp->sacked_count, MAX_RANGES, block);
	}
	const uint32_t after = sacked_bytes(tcp);
	tcp->delivered += after - before;
	if (tcp->in_recovery && after > before)
		tcp->owes |= OWES_RETRANSMISSION;
	return after > before;
}

struct tcp_range tcp_recovery_hole(const struct tcp_flow *tcp)
{
	uint32_t begin = sequence_compare(tcp->resent, tcp->first) > 0 ? tcp->resent : tcp->first;

	for (uint32_t i = 0; i < tcp->sacked_count; i++) {
		if (sequence_compare(begin, tcp->sacked[i].begin) < 0)
			return (struct tcp_range){ begin, tcp->sacked[i].begin };
		if (sequence_compare(begin, tcp->sacked[i].end) < 0)
			begin = tcp->sacked[i].end;
	}
	/* Of what is beyond all that the guest has, only the very first is known to be lacking. */
	if (begin != tcp->first)
		return (struct tcp_range){ begin, begin };
	return (struct tcp_range){ begin, begin + tcp->segment };
}

void tcp_recovery_timed_out(struct tcp_flow *tcp)
{
	if (tcp->backoff == 0)
		shrink(tcp);
	tcp->backoff++;
	tcp->congestion = tcp->segment;
	tcp->recover = tcp->furthest;
	tcp->in_recovery = false;
	tcp->is_timing = false;
	tcp->duplicates = 0;
	tcp->sacked_count = 0;
}

HOT uint32_t tcp_recovery_room(const struct tcp_flow *tcp)
{
	const uint32_t in_flight = tcp_in_flight(tcp);
	const uint32_t on_the_way = tcp->sacked_count == 0 ? in_flight : in_flight - sacked_bytes(tcp);
	const uint32_t of_guest = tcp->window > in_flight ? tcp->window - in_flight : 0;
	const uint32_t of_path = tcp->congestion > on_the_way ? tcp->congestion - on_the_way : 0;

	return of_guest < of_path ? of_guest : of_path;
}

/* A time-out that ran out so many times (RFC 6298, 5.5). */
static int64_t timeout_after(const struct tcp_flow *tcp, uint32_t times)
{
	int64_t timeout_ms = tcp->smoothed_ms == 0 ? FIRST_TIMEOUT_MS : tcp->smoothed_ms / 8 + tcp->variation_ms;

	if (timeout_ms < LEAST_TIMEOUT_MS)
		timeout_ms = LEAST_TIMEOUT_MS;
	timeout_ms <<= times < 16 ? times : 16;
	return timeout_ms < MOST_TIMEOUT_MS ? timeout_ms : MOST_TIMEOUT_MS;
}

int64_t tcp_recovery_timeout_ms(const struct tcp_flow *tcp)
{
	return timeout_after(tcp, tcp->backoff);
}

int64_t tcp_recovery_persist_ms(const struct tcp_flow *tcp)
{
	return timeout_after(tcp, tcp->probes);
}

/* A tail loss probe (RFC 8985, 7.2). */
int64_t tcp_recovery_probe_ms(const struct tcp_flow *tcp)
{
	const int64_t timeout_ms = tcp_recovery_timeout_ms(tcp);
	int64_t probe_ms = tcp->smoothed_ms / 4 + PROBE_MS;

	if (tcp_in_flight(tcp) <= tcp->segment)
		probe_ms += DELAYED_ACK_MS;
	return tcp->smoothed_ms == 0 || probe_ms > timeout_ms ? timeout_ms : probe_ms;
}

HOT void tcp_recovery_sent(struct tcp_flow *tcp, uint32_t sequence)
{
	if (tcp->is_timing || sequence_compare(sequence, tcp->furthest) < 0)
		return;
	tcp->is_timing = true;
	tcp->timed = sequence;
	tcp->timed_ms = gateway_now_ms();
}
