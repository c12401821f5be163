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

HOT void tcp_recovery_acknowledged(struct tcp_flow *tcp, uint32_t bytes)
{
	if (tcp->is_timing && sequence_compare(tcp->first, tcp->timed) > 0)
		measure(tcp);
	tcp->duplicates = 0;
	tcp->backoff = 0;
	if (!tcp->in_recovery) {
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
	tcp->congestion = tcp->congestion > bytes + tcp->segment ? tcp->congestion - bytes + tcp->segment : tcp->segment;
}

void tcp_recovery_duplicate(struct tcp_flow *tcp)
{
	if (tcp->duplicates < UINT8_MAX)
		tcp->duplicates++;
	if (tcp->in_recovery) {
		tcp->congestion += tcp->segment;
		return;
	}
	if (tcp->duplicates != DUPLICATES_OF_A_LOSS || sequence_compare(tcp->first, tcp->recover) < 0)
		return;
	shrink(tcp);
	tcp->congestion = tcp->threshold + DUPLICATES_OF_A_LOSS * tcp->segment;
	tcp->recover = tcp->furthest;
	tcp->in_recovery = true;
	tcp->is_timing = false;
	tcp->owes |= OWES_RETRANSMISSION;
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
}

HOT uint32_t tcp_recovery_room(const struct tcp_flow *tcp)
{
	const uint32_t most = tcp->window < tcp->congestion ? tcp->window : tcp->congestion;
	const uint32_t in_flight = tcp_in_flight(tcp);

	return most > in_flight ? most - in_flight : 0;
}

int64_t tcp_recovery_timeout_ms(const struct tcp_flow *tcp)
{
	int64_t timeout_ms = tcp->smoothed_ms == 0 ? FIRST_TIMEOUT_MS : tcp->smoothed_ms / 8 + tcp->variation_ms;

	if (timeout_ms < LEAST_TIMEOUT_MS)
		timeout_ms = LEAST_TIMEOUT_MS;
	timeout_ms <<= tcp->backoff < 16 ? tcp->backoff : 16;
	return timeout_ms < MOST_TIMEOUT_MS ? timeout_ms : MOST_TIMEOUT_MS;
}

HOT void tcp_recovery_sent(struct tcp_flow *tcp, uint32_t sequence)
{
	if (tcp->is_timing || sequence_compare(sequence, tcp->furthest) < 0)
		return;
	tcp->is_timing = true;
	tcp->timed = sequence;
	tcp->timed_ms = gateway_now_ms();
}
