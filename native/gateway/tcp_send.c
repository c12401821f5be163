/*
 * TCP segments for guests: what the host sent, as the guest's window and losses allow; what was lost; SYN, FIN and
 * questions.
 */
#include "tcp_flow.h"

#include <errno.h>

#include "hot.h"

/* The most payload of a super-frame: of an IP packet of 64 KiB less the longest headers. */
#define MOST_PAYLOAD (65535 - IPV6_HEADER - TCP_HEADER)
/* How much one connection sends before others have their turn. */
#define TURN_BYTES (4 * MOST_PAYLOAD)
/* How much of one hole is filled at a time. */
#define RESEND_SEGMENTS 8

void tcp_send_syn(struct tcp_flow *tcp)
{
	const uint8_t flags = tcp->seen & IS_FORWARD ? SEGMENT_SYN : SEGMENT_SYN | SEGMENT_ACK;

	tcp_segment_control(tcp, tcp->first, flags);
	tcp->seen |= SENT_SYN;
	tcp->next = tcp->first + 1;
	if (tcp->furthest == tcp->first)
		tcp->furthest = tcp->next;
	tcp->progress_ms = gateway_now_ms();
}

HOT static void note_sent(struct tcp_flow *tcp, uint32_t length)
{
	if (tcp_in_flight(tcp) == 0)
		tcp->progress_ms = gateway_now_ms();
	if (sequence_compare(tcp->next, tcp->furthest) < 0)
		gateway_count(tcp->flow.gateway, GATEWAY_RETRANSMITTED);
	tcp_recovery_sent(tcp, tcp->next);
	tcp->next += length;
	if (sequence_compare(tcp->next, tcp->furthest) > 0)
		tcp->furthest = tcp->next;
}

/* How much to send at a time: whole segments, unless the guest's window is small (RFC 9293, 3.8.6.2.1). */
HOT static uint32_t amount_to_send(const struct tcp_flow *tcp)
{
	const uint32_t room = tcp_recovery_room(tcp);
	const uint32_t amount = room < MOST_PAYLOAD ? room : MOST_PAYLOAD;

	if (amount >= tcp->segment)
		return amount - amount % tcp->segment;
	return tcp_in_flight(tcp) == 0 ? amount : 0;
}

/* Sends one piece of what the host sent; false when that is all for now. Sets *error when the host's side failed. */
HOT static bool send_piece(struct tcp_flow *tcp, uint32_t *sent, int *error)
{
	const uint32_t amount = amount_to_send(tcp);
	uint8_t *payload = amount == 0 ? NULL : tcp_segment_reserve(tcp, amount);

	if (payload == NULL)
		return false;
	const int32_t count = tcp_host_peek(tcp, payload, amount);
	if (count < 0) {
		tcp->may_read = false;
		*error = count == -EAGAIN ? 0 : -count;
		return false;
	}
	/* Urgent data ends a piece, too. */
	const bool is_short = (uint32_t)count < amount && (count == 0 || !tcp->has_urgent);
	if (count > 0) {
		tcp_segment_send(tcp, tcp->next, is_short ? SEGMENT_ACK | SEGMENT_PSH : SEGMENT_ACK, (uint32_t)count);
		note_sent(tcp, (uint32_t)count);
		*sent += (uint32_t)count;
	}
	if (is_short)
		tcp->may_read = false;
	if (count == 0 || (is_short && tcp->host_ends))
		tcp->seen |= SEEN_HOST_FIN;
	return !is_short;
}

/* Whether data may leave for guests now. */
static bool may_send(const struct gateway *gateway)
{
	return !gateway->is_paused && gateway->allowance > 0;
}

HOT int tcp_send_data(struct tcp_flow *tcp)
{
	uint32_t sent = 0;
	int error = 0;

	while (tcp->may_read && sent < TURN_BYTES && may_send(tcp->flow.gateway) && send_piece(tcp, &sent, &error))
		;
	if (tcp->may_read && amount_to_send(tcp) > 0 && !tcp->flow.gateway->is_paused)
		gateway_schedule(&tcp->flow);
	return error;
}

void tcp_send_fin(struct tcp_flow *tcp)
{
	const bool is_first = !(tcp->seen & SENT_FIN);

	if (!(tcp->seen & SEEN_HOST_FIN) || tcp->may_read || (!is_first && tcp->next != tcp->furthest - 1) ||
	    (is_first && tcp->next != tcp->furthest))
		return;
	/* It takes room as a byte does; who has none is probed, however long that takes. */
	if (tcp_in_flight(tcp) >= tcp->window)
		return;
	tcp_segment_control(tcp, tcp->next, SEGMENT_FIN | SEGMENT_ACK);
	tcp->seen |= SENT_FIN;
	note_sent(tcp, 1);
}

/* What is known to be data, of what is on the way: a FIN is behind it. */
static uint32_t end_of_data(const struct tcp_flow *tcp)
{
	return tcp->seen & SENT_FIN && tcp->next == tcp->furthest ? tcp->next - 1 : tcp->next;
}

/* Sends one piece that the guest lacks once more; how long it was. */
static uint32_t resend(struct tcp_flow *tcp, const struct tcp_range *hole)
{
	const uint32_t end = sequence_compare(hole->end, end_of_data(tcp)) < 0 ? hole->end : end_of_data(tcp);
	uint32_t length = sequence_compare(end, hole->begin) > 0 ? end - hole->begin : 0;

	if (length == 0) {
		if (tcp->seen & SENT_FIN && hole->begin == end_of_data(tcp) && tcp->next == tcp->furthest)
			tcp_segment_control(tcp, hole->begin, SEGMENT_FIN | SEGMENT_ACK);
		return 0;
	}
	if (length > RESEND_SEGMENTS * tcp->segment)
		length = RESEND_SEGMENTS * tcp->segment;
	uint8_t *payload = tcp_segment_reserve(tcp, length);
	if (payload == NULL)
		return 0;
	/* Where the socket does not remember how far it was read, what is on the way says it. */
	const uint32_t next = tcp->next;
	tcp_host_seek(tcp, hole->begin - tcp->first);
	tcp->next = hole->begin;
	const int32_t count = tcp_host_peek(tcp, payload, length);
	tcp->next = next;
	if (count <= 0)
		return 0;
	tcp_segment_send(tcp, hole->begin, SEGMENT_ACK, (uint32_t)count);
	gateway_count(tcp->flow.gateway, GATEWAY_RETRANSMITTED);
	return (uint32_t)count;
}

void tcp_retransmit(struct tcp_flow *tcp)
{
	uint32_t sent = 0;

	tcp->owes &= ~(uint32_t)OWES_RETRANSMISSION;
	do {
		const struct tcp_range hole = tcp_recovery_hole(tcp);
		const uint32_t length = resend(tcp, &hole);
		if (length == 0)
			break;
		tcp->resent = hole.begin + length;
		sent += length;
	} while (tcp->guest_sacks && sent < tcp->delivered);
	tcp->delivered = 0;
	tcp_host_seek(tcp, end_of_data(tcp) - tcp->first);
}

void tcp_go_back(struct tcp_flow *tcp)
{
	tcp_recovery_timed_out(tcp);
	tcp->next = tcp->first;
	tcp->progress_ms = gateway_now_ms();
	tcp_host_discard(tcp);
	tcp_host_seek(tcp, tcp->to_discard);
	tcp->may_read = true;
}

void tcp_pay(struct tcp_flow *tcp)
{
	if (tcp->owes & OWES_PROBE) {
		tcp->owes &= ~(uint32_t)OWES_PROBE;
		tcp_segment_control(tcp, tcp->first - 1, SEGMENT_ACK);
	}
	if (tcp->owes & OWES_ACK)
		tcp_segment_control(tcp, tcp->next, SEGMENT_ACK);
}
