/*
 * New TCP connections: those that guests open, and those that ports of the host lead to them.
 */
#define _GNU_SOURCE
#include "tcp_flow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "icmp_error.h"

/* A segment of a guest that names none (RFC 9293, 3.7.1). */
#define DEFAULT_MOST_V4 536
#define DEFAULT_MOST_V6 1220
#define LEAST_MOST 64
/* The host's kernel gives up connecting after two minutes or so. */
#define CONNECT_MS 150000
#define SEEK_MS 1000

void tcp_take_options(struct tcp_flow *tcp, const struct tcp_segment *segment)
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
	tcp->edge = tcp->expected;
	tcp->seen |= SEEN_GUEST_SYN;
	tcp_recovery_prepare(tcp);
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

void tcp_refuse(struct tcp_flow *tcp, int error)
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
	tcp_release(tcp, true);
}

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
		tcp_refuse(tcp, ENOBUFS);
}

void tcp_open(struct gateway *gateway, const struct guest_packet *packet, const struct tcp_segment *segment,
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
	tcp_take_options(tcp, segment);
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
		tcp_refuse(tcp, error);
}

void tcp_resolved(struct flow *flow, const uint8_t *mac)
{
	struct tcp_flow *tcp = tcp_flow_of(flow);

	if (!tcp->is_seeking)
		return;
	tcp->is_seeking = false;
	list_remove(&flow->wait_link);
	memcpy(flow->guest_mac, mac, MAC_BYTES);
	gateway_schedule(flow);
}

void tcp_seek(struct tcp_flow *tcp)
{
	const uint8_t *mac = gateway_find_guest(tcp->flow.gateway, &tcp->flow.key.guest);

	if (mac != NULL) {
		tcp_resolved(&tcp->flow, mac);
		return;
	}
	gateway_set_timer(&tcp->flow, gateway_now_ms() + SEEK_MS);
}

void tcp_adopt(struct flow *flow, int fd)
{
	struct tcp_flow *tcp = tcp_flow_of(flow);

	list_remove(&flow->wait_link);
	const int error = fd < 0 ? -fd : tcp_host_attach(tcp, fd, false);
	if (error != 0) {
		tcp_refuse(tcp, error);
		return;
	}
	gateway_schedule(flow);
}

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
		tcp_release(tcp, true);
		return NULL;
	}
	tcp_seek(tcp);
	return &tcp->flow;
}
