#define _GNU_SOURCE
#include "tcp_flow.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "hot.h"

#define LINGER_MS 1000
#define MAX_SEEKS 5
#define MAX_SYN_BACKOFF 6
#define MAX_DATA_BACKOFF 10
/* A guest that was not heard for so long is asked whether it is there, and so many times. */
#define GUEST_IDLE_MS 300000
#define GUEST_PROBE_MS 15000
#define MAX_GUEST_PROBES 8
/* What the kernel had no memory for is tried again after that. */
#define MEMORY_PAUSE_MS 200

void tcp_release(struct tcp_flow *tcp, bool is_abrupt)
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

void tcp_fail(struct tcp_flow *tcp)
{
	if (is_open(tcp))
		tcp_segment_control(tcp, tcp->next, SEGMENT_RST | SEGMENT_ACK);
	tcp_release(tcp, true);
}

void tcp_end(struct flow *flow)
{
	tcp_fail(tcp_flow_of(flow));
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
		return gateway_now_ms() + tcp_recovery_persist_ms(tcp);
	const int64_t probed_ms = tcp->probes * (int64_t)GUEST_PROBE_MS;
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
		tcp_send_syn(tcp);
	error = pass_to_host(tcp);
	tcp_host_discard(tcp);
	if (error == 0 && tcp->seen & SEEN_ESTABLISHED && !flow->gateway->is_paused) {
		if (tcp->owes & OWES_RETRANSMISSION)
			tcp_retransmit(tcp);
		error = tcp_send_data(tcp);
		if (error == 0)
			tcp_send_fin(tcp);
	}
	if (error != 0) {
		tcp_fail(tcp);
		return;
	}
	if (flow->gateway->is_paused && has_work_for_guest(tcp))
		gateway_hold_back(flow);
	tcp_pay(tcp);
	if (is_over(tcp))
		linger(tcp);
	else
		arm(tcp);
}

void tcp_host_event(struct tcp_flow *tcp, int error)
{
	struct gateway *gateway = tcp->flow.gateway;

	if (error != 0 && !(tcp->seen & SEEN_CONNECTED)) {
		tcp_refuse(tcp, error);
		return;
	}
	if (error != 0) {
		tcp_fail(tcp);
		return;
	}
	if (tcp->seen & SEEN_CONNECTED && !(tcp->seen & SENT_SYN) && tcp->flow.rule >= 0 &&
	    (uint32_t)tcp->flow.rule < gateway->rule_count)
		gateway->rules[tcp->flow.rule].answers++;
	gateway_schedule(&tcp->flow);
}

/* Whether the guest is there, and dropped what it was sent because it has no room any more. */
static bool is_full(const struct tcp_flow *tcp)
{
	return tcp->window == 0 && gateway_now_ms() - tcp->heard_ms <= tcp_recovery_timeout_ms(tcp);
}

static void time_out(struct tcp_flow *tcp)
{
	const bool is_open_yet = (tcp->seen & SEEN_ESTABLISHED) != 0;

	if (tcp->backoff >= (is_open_yet ? MAX_DATA_BACKOFF : MAX_SYN_BACKOFF) && !(is_open_yet && is_full(tcp))) {
		tcp_fail(tcp);
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
	tcp_go_back(tcp);
	if (is_open_yet)
		gateway_schedule(&tcp->flow);
	else
		tcp_send_syn(tcp);
	arm(tcp);
}

/* Asks a guest with a closed window, or one that is silent, for a sign of life. */
static void probe(struct tcp_flow *tcp, int64_t now_ms)
{
	const int64_t silent_ms = now_ms - tcp->heard_ms;
	const bool is_stuck = tcp->window == 0 && has_pending(tcp);

	if (silent_ms > GUEST_IDLE_MS + MAX_GUEST_PROBES * (int64_t)GUEST_PROBE_MS) {
		tcp_fail(tcp);
		return;
	}
	if (is_stuck || silent_ms >= GUEST_IDLE_MS) {
		tcp->owes |= OWES_PROBE;
		tcp->probes++;
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
		tcp_release(tcp, false);
	} else if (tcp->is_seeking) {
		if (tcp->seeks++ >= MAX_SEEKS)
			tcp_fail(tcp);
		else
			tcp_seek(tcp);
	} else if (!(tcp->seen & SEEN_CONNECTED)) {
		tcp_refuse(tcp, ETIMEDOUT);
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
