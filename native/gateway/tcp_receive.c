/*
 * TCP segments of guests: what they acknowledge, and what they bring for the host.
 */
#include "tcp_flow.h"

#include "hot.h"

/* Segments that say nothing new, and are not what is expected, are answered no more often. */
#define ODD_PAUSE_MS 50

/* What the guest has heard. */
HOT static void advance(struct tcp_flow *tcp, uint32_t acknowledgement)
{
	uint32_t bytes = acknowledgement - tcp->first;

	if (!(tcp->seen & SEEN_ESTABLISHED)) {
		tcp->seen |= SEEN_ESTABLISHED;
		bytes--;
		flow_table_use(&tcp->flow.gateway->flows, &tcp->flow, CLASS_CONNECTION);
		gateway_count(tcp->flow.gateway, GATEWAY_TCP_OPENED);
	}
	if (tcp->seen & SENT_FIN && acknowledgement == tcp->furthest) {
		tcp->seen |= SEEN_FIN_ACKNOWLEDGED;
		bytes--;
	}
	tcp->first = acknowledgement;
	if (sequence_compare(tcp->next, tcp->first) < 0)
		tcp->next = tcp->first;
	tcp->to_discard += bytes;
	tcp->has_probed = false;
	tcp->progress_ms = gateway_now_ms();
	tcp_recovery_acknowledged(tcp, bytes);
}

/* Says where we are; seldom: two ends that both disagree would answer each other for ever (RFC 5961, section 7). */
static void answer_odd(struct tcp_flow *tcp)
{
	const int64_t now_ms = gateway_now_ms();

	if (now_ms - tcp->odd_ms < ODD_PAUSE_MS)
		return;
	tcp->odd_ms = now_ms;
	tcp->owes |= OWES_ACK;
}

/*
 * Whether a segment, which acknowledges nothing new, was sent after the one that the window is from (RFC 9293, 3.10.7.4);
 * not when its sequence number is beyond all that the guest may send: those after it would seem older.
 */
HOT static bool is_latest(const struct tcp_flow *tcp, const struct tcp_segment *segment)
{
	return sequence_compare(segment->sequence, tcp->window_sequence) >= 0 &&
	       sequence_compare(segment->sequence, tcp->edge) <= 0;
}

HOT static void read_acknowledgement(struct tcp_flow *tcp, const struct tcp_segment *segment)
{
	const uint32_t window = (uint32_t)segment->window << (segment->flags & SEGMENT_SYN ? 0 : tcp->window_scale);
	const bool is_bare = segment->length == 0 && !(segment->flags & (SEGMENT_FIN | SEGMENT_SYN));

	if (!(segment->flags & SEGMENT_ACK))
		return;
	if (sequence_compare(segment->acknowledgement, tcp->furthest) > 0) {
		answer_odd(tcp);
		return;
	}
	if (sequence_compare(segment->acknowledgement, tcp->first) < 0)
		return;
	const bool is_new = segment->acknowledgement != tcp->first;
	if (is_new)
		advance(tcp, segment->acknowledgement);
	const bool has_news = tcp->guest_sacks && segment->block_count > 0 &&
			      tcp_recovery_sacked(tcp, segment->blocks, segment->block_count);
	const bool is_same = is_bare && window == tcp->window && !tcp->guest_sacks;
	if (!is_new && (has_news || is_same) && tcp_in_flight(tcp) > 0 && tcp->seen & SEEN_ESTABLISHED)
		tcp_recovery_duplicate(tcp);
	if (is_new || is_latest(tcp, segment)) {
		tcp->window = window;
		tcp->window_sequence = segment->sequence;
	}
	/* It is there: questions that it has answered are no time-outs of what is sent next. */
	if (window > 0)
		tcp->probes = 0;
	if (window > 0 && tcp_in_flight(tcp) == 0)
		tcp->backoff = 0;
}

/* Takes what is new of a segment; an errno when the host's side failed. */
HOT static int read_payload(struct tcp_flow *tcp, const struct tcp_segment *segment)
{
	const uint32_t fin = segment->flags & SEGMENT_FIN;
	const int32_t skip = sequence_compare(tcp->expected, segment->sequence);

	if (segment->length + fin == 0) {
		/* It asks whether we are there, or is of another connection. */
		if (skip != 0)
			answer_odd(tcp);
		return 0;
	}
	if (skip < 0) {
		/* Each says once more what is lacking, so that the guest notices. */
		gateway_count(tcp->flow.gateway, GATEWAY_OUT_OF_ORDER);
		tcp_ahead_keep(tcp, segment->sequence, segment->payload, segment->length);
		tcp_segment_control(tcp, tcp->next, SEGMENT_ACK);
		return 0;
	}
	tcp->owes |= OWES_ACK;
	if ((uint32_t)skip >= segment->length + fin)
		return 0;
	const uint32_t length = segment->length - (uint32_t)skip;
	const int32_t taken = length == 0 ? 0 : tcp_host_take(tcp, segment->payload + skip, length);
	if (taken < 0)
		return -taken;
	tcp->expected += (uint32_t)taken;
	const int error = tcp->ahead != NULL ? tcp_ahead_pass(tcp) : 0;
	const bool is_end = tcp->expected == segment->sequence + segment->length;
	if (error == 0 && fin && is_end && !(tcp->seen & SEEN_GUEST_FIN)) {
		tcp->expected++;
		tcp->seen |= SEEN_GUEST_FIN;
	}
	return error;
}

/* A RST counts when it is where the next segment would be; otherwise the guest is asked (RFC 5961, 3.2). */
static void read_reset(struct tcp_flow *tcp, const struct tcp_segment *segment)
{
	if (!(tcp->seen & SEEN_GUEST_SYN)) {
		if (!(segment->flags & SEGMENT_ACK) || segment->acknowledgement != tcp->next)
			return;
	} else if (segment->sequence != tcp->expected) {
		const uint32_t room = tcp->edge - tcp->expected;
		if (segment->sequence - tcp->expected < room)
			tcp_segment_control(tcp, tcp->next, SEGMENT_ACK);
		return;
	}
	tcp_release(tcp, true);
}

/* The guest's answer to a SYN of ours; false when it is none. */
static bool read_syn_answer(struct gateway *gateway, struct tcp_flow *tcp, const struct guest_packet *packet,
			    const struct tcp_segment *segment)
{
	const uint8_t both = SEGMENT_SYN | SEGMENT_ACK;

	if ((segment->flags & both) != both || segment->acknowledgement != tcp->next) {
		if (segment->flags & SEGMENT_ACK)
			tcp_segment_reset(gateway, packet, segment);
		return false;
	}
	tcp_take_options(tcp, segment);
	tcp->owes |= OWES_ACK;
	return true;
}

HOT static void read_segment(struct gateway *gateway, struct tcp_flow *tcp, const struct guest_packet *packet,
			     const struct tcp_segment *segment)
{
	tcp->heard_ms = gateway_now_ms();
	memcpy(tcp->flow.guest_mac, packet->frame + MAC_BYTES, MAC_BYTES);
	if (segment->flags & SEGMENT_RST) {
		read_reset(tcp, segment);
		return;
	}
	/* It asks again, while the host has not answered. */
	if (!(tcp->seen & SENT_SYN))
		return;
	if (!(tcp->seen & SEEN_GUEST_SYN)) {
		if (!read_syn_answer(gateway, tcp, packet, segment))
			return;
		read_acknowledgement(tcp, segment);
	} else if (segment->flags & SEGMENT_SYN) {
		if (tcp->seen & SEEN_ESTABLISHED)
			answer_odd(tcp);
		else
			tcp_send_syn(tcp);
	} else {
		read_acknowledgement(tcp, segment);
		if (tcp->seen & SEEN_ESTABLISHED && read_payload(tcp, segment) != 0) {
			tcp_fail(tcp);
			return;
		}
	}
	gateway_schedule(&tcp->flow);
}

HOT void tcp_input(struct gateway *gateway, const struct guest_packet *packet)
{
	struct tcp_segment segment;

	if (!tcp_segment_parse(packet, &segment)) {
		gateway_count(gateway, GATEWAY_MALFORMED);
		return;
	}
	const struct flow_key key = { .guest = packet->source, .remote = packet->destination,
				      .guest_port = segment.source_port, .remote_port = segment.destination_port,
				      .kind = FLOW_TCP };
	struct flow *flow = flow_table_find(&gateway->flows, &key);
	const bool is_syn = (segment.flags & (SEGMENT_SYN | SEGMENT_ACK | SEGMENT_RST)) == SEGMENT_SYN;
	if (flow != NULL && tcp_flow_of(flow)->seen & IS_LINGERING) {
		if (!is_syn) {
			if (segment.flags & SEGMENT_FIN)
				tcp_segment_control(tcp_flow_of(flow), tcp_flow_of(flow)->next, SEGMENT_ACK);
			return;
		}
		tcp_end(flow);
		flow = NULL;
	}
	if (flow != NULL)
		read_segment(gateway, tcp_flow_of(flow), packet, &segment);
	else if (is_syn)
		tcp_open(gateway, packet, &segment, &key);
	else
		tcp_segment_reset(gateway, packet, &segment);
}
