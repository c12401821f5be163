#define _GNU_SOURCE
#include "tcp_flow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hot.h"
#include "icmp_error.h"

/* The most payload of a super-frame: of an IP packet of 64 KiB less the longest headers. */
#define MOST_PAYLOAD (65535 - IPV6_HEADER - TCP_HEADER)
/* How much one connection sends before others have their turn. */
#define TURN_BYTES (4 * MOST_PAYLOAD)
/* A segment of a guest that names none (RFC 9293, 3.7.1). */
#define DEFAULT_MOST_V4 536
#define DEFAULT_MOST_V6 1220
#define LEAST_MOST 64
/* The host's kernel gives up connecting after two minutes or so. */
#define CONNECT_MS 150000
/* How much of one hole is filled at a time. */
#define RESEND_SEGMENTS 8
#define LINGER_MS 1000
#define SEEK_MS 1000
#define MAX_SEEKS 5
#define MAX_SYN_BACKOFF 6
#define MAX_DATA_BACKOFF 10
/* A guest that was not heard for so long is asked whether it is there, and so many times. */
#define GUEST_IDLE_MS 300000
#define GUEST_PROBE_MS 15000
#define MAX_GUEST_PROBES 8
/* Segments that say nothing new, and are not what is expected, are answered no more often. */
#define ODD_PAUSE_MS 50
/* What the kernel had no memory for is tried again after that. */
#define MEMORY_PAUSE_MS 200

/* --- The end of connections. --- */

static void release(struct tcp_flow *tcp, bool is_abrupt)
{
	tcp_ahead_forget(tcp);
	tcp_host_close(tcp, is_abrupt);
	gateway_forget(&tcp->flow);
	free(tcp);
}

static bool is_open(const struct tcp_flow *tcp)
{
	return (tcp->seen & SENT_SYN) && (tcp->seen & SEEN_GUEST_SYN) && !(tcp->seen & IS_LINGERING);
}

/* Ends it for both sides. */
static void fail(struct tcp_flow *tcp)
{
	if (is_open(tcp))
		tcp_segment_control(tcp, tcp->next, SEGMENT_RST | SEGMENT_ACK);
	release(tcp, true);
}

void tcp_end(struct flow *flow)
{
	fail(tcp_flow_of(flow));
}

static void report_failure(struct tcp_flow *tcp, int error)
{
	struct gateway *gateway = tcp->flow.gateway;

	if (tcp->flow.rule < 0 || (uint32_t)tcp->flow.rule >= gateway->rule_count)
		return;
	gateway->rules[tcp->flow.rule].failures++;
	gateway_tell_seldom(gateway, &(struct gateway_event){ .kind = EVENT_RULE_FAILED, .rule = tcp->flow.rule,
							     .error = error });
}

/* The ICMP error that a router would answer a SYN with. */
static void answer_unreachable(struct tcp_flow *tcp, enum icmp_problem problem)
{
	static const struct {
		uint8_t v4_code, v6_code;
	} codes[] = {
		[ICMP_NO_ROUTE] = { 0, 0 }, [ICMP_HOST_UNREACHABLE] = { 1, 3 }, [ICMP_PROHIBITED] = { 13, 1 },
	};
	uint8_t header[TCP_HEADER] = { 0 };
	const bool is_v6 = tcp->flow.is_v6;

	store_u16(header, tcp->flow.key.guest_port);
	store_u16(header + 2, tcp->flow.key.remote_port);
	store_be32(header + TCP_SEQUENCE, tcp->expected - 1);
	header[TCP_DATA_OFFSET] = TCP_HEADER / 4 << 4;
	header[TCP_FLAGS] = SEGMENT_SYN;
	icmp_pass_on(&tcp->flow, PROTOCOL_TCP, is_v6 ? 1 : 3, is_v6 ? codes[problem].v6_code : codes[problem].v4_code, 0,
		     NULL, &tcp->flow.key.remote, header, sizeof header);
}

/* A guest's connection cannot be made. */
static void refuse(struct tcp_flow *tcp, int error)
{
	struct gateway *gateway = tcp->flow.gateway;
	const enum icmp_problem problem = icmp_problem_of(error);

	report_failure(tcp, error);
	gateway_count(gateway, GATEWAY_TCP_REFUSED);
	if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
		gateway_count(gateway, GATEWAY_EXHAUSTED);
		gateway_tell_seldom(gateway, &(struct gateway_event){ .kind = EVENT_EXHAUSTED, .error = error });
	}
	/* Behind what JavaScript serves is no host that could be out of reach. */
	if (tcp->token != 0)
		tcp_segment_control(tcp, 0, SEGMENT_RST | SEGMENT_ACK);
	else if (error == ETIMEDOUT)
		answer_unreachable(tcp, ICMP_HOST_UNREACHABLE);
	else if (error != ECONNREFUSED && error != ECONNRESET &&
		 (problem == ICMP_NO_ROUTE || problem == ICMP_HOST_UNREACHABLE || problem == ICMP_PROHIBITED))
		answer_unreachable(tcp, problem);
	else
		tcp_segment_control(tcp, 0, SEGMENT_RST | SEGMENT_ACK);
	release(tcp, true);
}

/* Both sides have said all. Who ended first may have to answer once more. */
static void linger(struct tcp_flow *tcp)
{
	tcp_ahead_forget(tcp);
	tcp_host_close(tcp, false);
	tcp->seen |= IS_LINGERING;
	flow_table_use(&tcp->flow.gateway->flows, &tcp->flow, CLASS_EMBRYO);
	gateway_set_timer(&tcp->flow, gateway_now_ms() + LINGER_MS);
}

/* --- Time. --- */

static bool has_pending(const struct tcp_flow *tcp)
{
	return tcp->may_read || ((tcp->seen & SEEN_HOST_FIN) && !(tcp->seen & SENT_FIN));
}

static bool may_probe(const struct tcp_flow *tcp)
{
	return !tcp->has_probed && tcp->backoff == 0 && tcp->seen & SEEN_ESTABLISHED;
}

static int64_t due_ms(const struct tcp_flow *tcp)
{
	if (tcp_in_flight(tcp) > 0)
		return tcp->progress_ms + (may_probe(tcp) ? tcp_recovery_probe_ms(tcp) : tcp_recovery_timeout_ms(tcp));
	if (tcp->seen & SEEN_ESTABLISHED && tcp->window == 0 && has_pending(tcp))
		return gateway_now_ms() + tcp_recovery_timeout_ms(tcp);
	const int64_t probed_ms = tcp->backoff * (int64_t)GUEST_PROBE_MS;
	return tcp->heard_ms + GUEST_IDLE_MS + probed_ms;
}

/* The timer may run earlier than it has to, and is then set again. */
HOT static void arm(struct tcp_flow *tcp)
{
	const int64_t memory_ms = tcp->lacks_memory ? gateway_now_ms() + MEMORY_PAUSE_MS : INT64_MAX;
	const int64_t proper_ms = due_ms(tcp);
	const int64_t at_ms = proper_ms < memory_ms ? proper_ms : memory_ms;

	if (!timer_runs(&tcp->flow.timer) || tcp->flow.timer.due_ms > at_ms)
		gateway_set_timer(&tcp->flow, at_ms);
}

/* --- To the guest. --- */

static void send_syn(struct tcp_flow *tcp)
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

/* Sends what the host sent, as far as it may; an errno when the host's side failed. */
HOT static int send_data(struct tcp_flow *tcp)
{
	uint32_t sent = 0;
	int error = 0;

	while (tcp->may_read && sent < TURN_BYTES && may_send(tcp->flow.gateway) && send_piece(tcp, &sent, &error))
		;
	if (tcp->may_read && amount_to_send(tcp) > 0 && !tcp->flow.gateway->is_paused)
		gateway_schedule(&tcp->flow);
	return error;
}

static void send_fin(struct tcp_flow *tcp)
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

/* Sends again what the guest lacks: about as much as it was newly heard to have, so that the way does not fill. */
static void retransmit(struct tcp_flow *tcp)
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

/* Everything that is on the way is sent anew. */
static void go_back(struct tcp_flow *tcp)
{
	tcp_recovery_timed_out(tcp);
	tcp->next = tcp->first;
	tcp->progress_ms = gateway_now_ms();
	tcp_host_discard(tcp);
	tcp_host_seek(tcp, tcp->to_discard);
	tcp->may_read = true;
}

static void pay(struct tcp_flow *tcp)
{
	if (tcp->owes & OWES_PROBE) {
		tcp->owes &= ~(uint32_t)OWES_PROBE;
		tcp_segment_control(tcp, tcp->first - 1, SEGMENT_ACK);
	}
	if (tcp->owes & OWES_ACK)
		tcp_segment_control(tcp, tcp->next, SEGMENT_ACK);
}

/* What the guest sent goes on to the host; an errno when that side failed. */
static int pass_to_host(struct tcp_flow *tcp)
{
	int error = tcp_host_flush(tcp);

	if (error == 0 && tcp->ahead != NULL && tcp->held_end == 0)
		error = tcp_ahead_pass(tcp);
	if (error == 0 && (tcp->seen & SEEN_GUEST_FIN) && !(tcp->seen & SEEN_FIN_PASSED) && tcp->held_end == 0) {
		shutdown(tcp->flow.watch.fd, SHUT_WR);
		tcp->seen |= SEEN_FIN_PASSED;
	}
	return error;
}

static bool is_over(const struct tcp_flow *tcp)
{
	const uint32_t all = SEEN_FIN_ACKNOWLEDGED | SEEN_GUEST_FIN | SEEN_FIN_PASSED;

	return (tcp->seen & all) == all && !(tcp->owes & OWES_ACK);
}

static bool has_work_for_guest(const struct tcp_flow *tcp)
{
	return tcp->seen & SEEN_ESTABLISHED && (tcp->owes & OWES_RETRANSMISSION || has_pending(tcp));
}

HOT void tcp_task(struct flow *flow)
{
	struct tcp_flow *tcp = tcp_flow_of(flow);
	int error;

	if (!(tcp->seen & SEEN_CONNECTED) || tcp->seen & IS_LINGERING || tcp->is_seeking)
		return;
	if (!(tcp->seen & SENT_SYN))
		send_syn(tcp);
	error = pass_to_host(tcp);
	tcp_host_discard(tcp);
	if (error == 0 && tcp->seen & SEEN_ESTABLISHED && !flow->gateway->is_paused) {
		if (tcp->owes & OWES_RETRANSMISSION)
			retransmit(tcp);
		error = send_data(tcp);
		if (error == 0)
			send_fin(tcp);
	}
	if (error != 0) {
		fail(tcp);
		return;
	}
	if (flow->gateway->is_paused && has_work_for_guest(tcp))
		gateway_hold_back(flow);
	pay(tcp);
	if (is_over(tcp))
		linger(tcp);
	else
		arm(tcp);
}

/* --- From the guest. --- */

static void take_options(struct tcp_flow *tcp, const struct tcp_segment *segment)
{
	const uint16_t named = segment->most != 0 ? segment->most
			       : tcp->flow.is_v6  ? DEFAULT_MOST_V6
						  : DEFAULT_MOST_V4;
	const uint16_t ours = tcp_segment_most(tcp->flow.gateway, tcp->flow.is_v6);

	tcp->segment = named < ours ? named : ours;
	if (tcp->segment < LEAST_MOST)
		tcp->segment = LEAST_MOST;
	tcp->guest_scales = segment->scale >= 0;
	tcp->guest_sacks = segment->sacks;
	tcp->window_scale = tcp->guest_scales ? (uint8_t)segment->scale : 0;
	tcp->window = segment->window;
	tcp->window_sequence = segment->sequence;
	tcp->expected = segment->sequence + 1;
	tcp->acknowledged = tcp->expected;
	tcp->edge = tcp->expected;
	tcp->seen |= SEEN_GUEST_SYN;
	tcp_recovery_prepare(tcp);
}

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
	release(tcp, true);
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
	take_options(tcp, segment);
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
			send_syn(tcp);
	} else {
		read_acknowledgement(tcp, segment);
		if (tcp->seen & SEEN_ESTABLISHED && read_payload(tcp, segment) != 0) {
			fail(tcp);
			return;
		}
	}
	gateway_schedule(&tcp->flow);
}

/* --- New connections. --- */

/* Where sequence numbers begin: not to be guessed by others (RFC 6528). */
static uint32_t first_sequence(const struct gateway *gateway, const struct flow_key *key)
{
	return (uint32_t)siphash(&gateway->sequence_key, key, sizeof *key) + (uint32_t)gateway_now_ms() * 250;
}

static struct tcp_flow *make_flow(struct gateway *gateway, const struct flow_key *key)
{
	struct tcp_flow *tcp = gateway_make_room(gateway) ? calloc(1, sizeof *tcp) : NULL;

	if (tcp == NULL)
		return NULL;
	tcp->flow.gateway = gateway;
	tcp->flow.key = *key;
	tcp->flow.watch.fd = -1;
	tcp->flow.is_v6 = !address_is_v4(&key->guest);
	tcp->flow.class = CLASS_EMBRYO;
	tcp->flow.rule = -1;
	tcp->first = tcp->next = tcp->furthest = tcp->recover = first_sequence(gateway, key);
	tcp->heard_ms = tcp->progress_ms = gateway_now_ms();
	flow_table_add(&gateway->flows, &tcp->flow);
	return tcp;
}

/* JavaScript is asked for the descriptor. */
static void ask_script(struct tcp_flow *tcp)
{
	struct gateway *gateway = tcp->flow.gateway;

	const struct gateway_event event = { .kind = EVENT_CONNECT, .token = ++gateway->tokens, .rule = tcp->flow.rule,
					     .address = tcp->flow.key.remote,
					     .port = ntohs(tcp->flow.key.remote_port) };

	list_add_last(&gateway->askers, &tcp->flow.wait_link);
	tcp->token = event.token;
	if (!gateway_tell(gateway, &event))
		refuse(tcp, ENOBUFS);
}

static void open_connection(struct gateway *gateway, const struct guest_packet *packet, const struct tcp_segment *segment,
			    const struct flow_key *key)
{
	int32_t index;
	struct gateway_rule *rule =
		gateway_find_rule(gateway, RULE_TCP, &key->remote, ntohs(key->remote_port), &index);

	if (rule != NULL && rule->action == RULE_DROP) {
		gateway_count(gateway, GATEWAY_DROPPED);
		return;
	}
	if (rule != NULL && rule->action == RULE_REFUSE) {
		gateway_count(gateway, GATEWAY_REFUSED);
		tcp_segment_reset(gateway, packet, segment);
		return;
	}
	struct tcp_flow *tcp = make_flow(gateway, key);
	if (tcp == NULL) {
		tcp_segment_reset(gateway, packet, segment);
		return;
	}
	tcp->flow.rule = index;
	memcpy(tcp->flow.guest_mac, packet->frame + MAC_BYTES, MAC_BYTES);
	take_options(tcp, segment);
	gateway_set_timer(&tcp->flow, gateway_now_ms() + CONNECT_MS);
	if (rule != NULL && rule->action == RULE_SCRIPT) {
		ask_script(tcp);
		return;
	}
	union udp_address to = socket_address(&key->remote, key->remote_port);
	if (rule != NULL && rule->action == RULE_TRANSLATE) {
		to = rule->to;
		rule->asked++;
		if (to.family == AF_INET6 && to.v6.sin6_port == 0)
			to.v6.sin6_port = key->remote_port;
		if (to.family == AF_INET && to.v4.sin_port == 0)
			to.v4.sin_port = key->remote_port;
	}
	const int error = tcp_host_connect(tcp, &to);
	if (error != 0)
		refuse(tcp, error);
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
		open_connection(gateway, packet, &segment, &key);
	else
		tcp_segment_reset(gateway, packet, &segment);
}

void tcp_host_event(struct tcp_flow *tcp, int error)
{
	struct gateway *gateway = tcp->flow.gateway;

	if (error != 0 && !(tcp->seen & SEEN_CONNECTED)) {
		refuse(tcp, error);
		return;
	}
	if (error != 0) {
		fail(tcp);
		return;
	}
	if (tcp->seen & SEEN_CONNECTED && !(tcp->seen & SENT_SYN) && tcp->flow.rule >= 0 &&
	    (uint32_t)tcp->flow.rule < gateway->rule_count)
		gateway->rules[tcp->flow.rule].answers++;
	gateway_schedule(&tcp->flow);
}

void tcp_adopt(struct flow *flow, int fd)
{
	struct tcp_flow *tcp = tcp_flow_of(flow);

	list_remove(&flow->wait_link);
	const int error = fd < 0 ? -fd : tcp_host_attach(tcp, fd, false);
	if (error != 0) {
		refuse(tcp, error);
		return;
	}
	gateway_schedule(flow);
}

/* --- Connections from the host. --- */

/* A port of a remote that no other connection to that port of the guest has; false when none is found. */
static bool choose_port(struct gateway *gateway, struct flow_key *key)
{
	uint32_t port = ntohs(key->remote_port);

	for (int tries = 0; tries < 1000; tries++) {
		if (flow_table_find(&gateway->flows, key) == NULL)
			return true;
		port = port < UINT16_MAX ? port + 1 : 1024;
		key->remote_port = htons((uint16_t)port);
	}
	return false;
}

static void seek(struct tcp_flow *tcp)
{
	const uint8_t *mac = gateway_find_guest(tcp->flow.gateway, &tcp->flow.key.guest);

	if (mac != NULL) {
		tcp_resolved(&tcp->flow, mac);
		return;
	}
	gateway_set_timer(&tcp->flow, gateway_now_ms() + SEEK_MS);
}

struct flow *tcp_forward(struct gateway *gateway, int fd, const struct ip_address *remote, uint16_t remote_port,
			 const struct ip_address *guest, uint16_t guest_port)
{
	struct flow_key key = { .guest = *guest, .remote = *remote, .guest_port = guest_port,
				.remote_port = remote_port, .kind = FLOW_TCP };
	struct tcp_flow *tcp = choose_port(gateway, &key) ? make_flow(gateway, &key) : NULL;

	if (tcp == NULL) {
		close(fd);
		return NULL;
	}
	tcp->seen |= IS_FORWARD;
	tcp->segment = DEFAULT_MOST_V4;
	tcp->is_seeking = true;
	list_add_last(&gateway->seekers, &tcp->flow.wait_link);
	if (tcp_host_attach(tcp, fd, false) != 0) {
		release(tcp, true);
		return NULL;
	}
	seek(tcp);
	return &tcp->flow;
}

void tcp_resolved(struct flow *flow, const uint8_t *mac)
{
	struct tcp_flow *tcp = tcp_flow_of(flow);

	if (!tcp->is_seeking)
		return;
	tcp->is_seeking = false;
	tcp->backoff = 0;
	list_remove(&flow->wait_link);
	memcpy(flow->guest_mac, mac, MAC_BYTES);
	gateway_schedule(flow);
}

/* --- Timers. --- */

/* Whether the guest is there, and dropped what it was sent because it has no room any more. */
static bool is_full(const struct tcp_flow *tcp)
{
	return tcp->window == 0 && gateway_now_ms() - tcp->heard_ms <= tcp_recovery_timeout_ms(tcp);
}

static void time_out(struct tcp_flow *tcp)
{
	const bool is_open_yet = (tcp->seen & SEEN_ESTABLISHED) != 0;

	if (tcp->backoff >= (is_open_yet ? MAX_DATA_BACKOFF : MAX_SYN_BACKOFF) && !(is_open_yet && is_full(tcp))) {
		fail(tcp);
		return;
	}
	if (may_probe(tcp) && tcp_recovery_probe_ms(tcp) < tcp_recovery_timeout_ms(tcp)) {
		tcp->has_probed = true;
		tcp->resent = tcp->first;
		tcp->owes |= OWES_RETRANSMISSION;
		gateway_schedule(&tcp->flow);
		arm(tcp);
		return;
	}
	go_back(tcp);
	if (is_open_yet)
		gateway_schedule(&tcp->flow);
	else
		send_syn(tcp);
	arm(tcp);
}

/* Asks a guest with a closed window, or one that is silent, for a sign of life. */
static void probe(struct tcp_flow *tcp, int64_t now_ms)
{
	const int64_t silent_ms = now_ms - tcp->heard_ms;
	const bool is_stuck = tcp->window == 0 && has_pending(tcp);

	if (silent_ms > GUEST_IDLE_MS + MAX_GUEST_PROBES * (int64_t)GUEST_PROBE_MS) {
		fail(tcp);
		return;
	}
	if (is_stuck || silent_ms >= GUEST_IDLE_MS) {
		tcp->owes |= OWES_PROBE;
		tcp->backoff++;
		gateway_schedule(&tcp->flow);
	}
	arm(tcp);
}

void tcp_timer(struct flow *flow, int64_t now_ms)
{
	struct tcp_flow *tcp = tcp_flow_of(flow);

	if (tcp->seen & SEEN_CONNECTED && !(tcp->seen & IS_LINGERING))
		tcp_host_keep_alive(tcp);
	if (tcp->lacks_memory && tcp->held_end > 0)
		gateway_schedule(flow);
	if (tcp->seen & IS_LINGERING) {
		release(tcp, false);
	} else if (tcp->is_seeking) {
		if (tcp->backoff++ >= MAX_SEEKS)
			fail(tcp);
		else
			seek(tcp);
	} else if (!(tcp->seen & SEEN_CONNECTED)) {
		refuse(tcp, ETIMEDOUT);
	} else if (flow->gateway->is_paused) {
		/* Nobody is asked, so silence says nothing. */
		tcp->progress_ms = tcp->heard_ms = now_ms;
		arm(tcp);
	} else if (now_ms < due_ms(tcp) && (tcp_in_flight(tcp) > 0 || tcp->window > 0 || !has_pending(tcp))) {
		arm(tcp);
	} else if (tcp_in_flight(tcp) > 0) {
		time_out(tcp);
	} else {
		probe(tcp, now_ms);
	}
}
