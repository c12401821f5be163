#define _GNU_SOURCE
#include "udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hot.h"
#include "icmp_error.h"
#include "udp_flow.h"
#include "udp_run.h"

#define DNS_PORT 53

/* A datagram of a guest, or several of @segment bytes each; ports in network order. */
struct guest_datagram {
	const struct guest_packet *packet;
	uint16_t source_port;
	uint16_t port;
	const uint8_t *payload;
	uint32_t length;
	uint32_t segment; /* 0 when it is one */
};

/* --- Flows. --- */

struct udp_flow *udp_flow_make(struct gateway *gateway, const struct flow_key *key, int fd, sa_family_t family)
{
	struct udp_flow *flow = calloc(1, sizeof *flow);

	if (flow == NULL)
		return NULL;
	flow->base.family = family;
	flow->base.flow = (struct flow){ .watch = { .fd = fd, .serve = udp_serve }, .gateway = gateway, .key = *key,
					 .is_v6 = !address_is_v4(&key->guest), .class = CLASS_DATAGRAMS, .rule = -1 };
	return flow;
}

HOT bool udp_address_for(sa_family_t family, const struct ip_address *address, uint16_t port, union udp_address *to)
{
	if (family == AF_INET && !address_is_v4(address))
		return false;
	*to = socket_address(address, port);
	if (family == AF_INET6 && to->family == AF_INET) {
		*to = (union udp_address){ .v6 = { .sin6_family = AF_INET6, .sin6_port = port } };
		memcpy(&to->v6.sin6_addr, address->bytes, ADDRESS_BYTES);
	}
	return true;
}

/* --- From the guest. --- */

HOT static bool read_datagram(const struct guest_packet *packet, struct guest_datagram *datagram)
{
	const uint8_t *udp = packet->frame + packet->transport;
	const uint32_t room = packet->end - packet->transport;
	const struct offload_header *offload = &packet->offload;

	if (room < UDP_HEADER)
		return false;
	const uint32_t length = load_be16(udp + UDP_LENGTH);
	if (length < UDP_HEADER || length > room)
		return false;
	*datagram = (struct guest_datagram){ .packet = packet, .source_port = load_u16(udp), .port = load_u16(udp + 2),
					     .payload = udp + UDP_HEADER, .length = length - UDP_HEADER };
	if (offload->gso_type == OFFLOAD_GSO_UDP_L4 && offload->gso_size > 0 && offload->gso_size < datagram->length)
		datagram->segment = offload->gso_size;
	/* What is sent from port 0 cannot be answered, and nothing is there (RFC 768). */
	return datagram->port != 0 && datagram->source_port != 0;
}

/* The key of a mapping for all destinations. */
static struct flow_key mapping_key(const struct guest_datagram *datagram)
{
	return udp_key(&datagram->packet->source, datagram->source_port);
}

/* The key of a mapping for one destination. */
static struct flow_key translation_key(const struct guest_datagram *datagram)
{
	struct flow_key key = mapping_key(datagram);

	key.remote = datagram->packet->destination;
	key.remote_port = datagram->port;
	return key;
}

/* Sends through a flow; @to is NULL when it is connected. */
HOT static void send_through(struct udp_flow *flow, const struct guest_datagram *datagram, const union udp_address *to)
{
	struct datagram_flow *base = &flow->base;

	memcpy(base->flow.guest_mac, datagram->packet->frame + MAC_BYTES, MAC_BYTES);
	if (datagram->port != htons(DNS_PORT) && base->lifetime_ms == UDP_DNS_IDLE_MS)
		base->lifetime_ms = UDP_IDLE_MS;
	datagram_flow_use(base);
	if (datagram->segment == 0) {
		udp_run_add(base, datagram->packet, to, datagram->payload, datagram->length, udp_report);
		return;
	}
	struct iovec part = { .iov_base = (void *)(uintptr_t)datagram->payload, .iov_len = datagram->length };
	udp_run_send();
	datagram_send(base, datagram->packet, to, &part, 1, datagram->segment, udp_report);
}

/* Opens a mapping; one that a rule translates is connected to @to. NULL when that cannot be. */
static struct udp_flow *open_flow(struct gateway *gateway, const struct flow_key *key, sa_family_t family,
				  const struct guest_datagram *datagram)
{
	if (!gateway_make_room(gateway))
		return NULL;
	const int fd = datagram_socket(gateway, family, IPPROTO_UDP);
	if (fd < 0) {
		if (fd == -EACCES || fd == -EPERM || fd == -EAFNOSUPPORT)
			icmp_refuse(gateway, datagram->packet, icmp_problem_of(-fd), 0);
		return NULL;
	}
	struct udp_flow *flow = udp_flow_make(gateway, key, fd, family);
	if (flow != NULL)
		flow->base.lifetime_ms = datagram->port == htons(DNS_PORT) ? UDP_DNS_IDLE_MS : UDP_IDLE_MS;
	if (flow == NULL || !datagram_flow_add(gateway, &flow->base)) {
		close(fd);
		free(flow);
		return NULL;
	}
	gateway_count(gateway, GATEWAY_UDP_OPENED);
	return flow;
}

HOT static void send_by_mapping(struct gateway *gateway, const struct guest_datagram *datagram)
{
	const struct flow_key key = mapping_key(datagram);
	const union udp_address to = socket_address(&datagram->packet->destination, datagram->port);
	struct udp_flow *flow = udp_flow_of(flow_table_find(&gateway->flows, &key));

	if (flow == NULL)
		flow = open_flow(gateway, &key, to.family, datagram);
	if (flow != NULL)
		send_through(flow, datagram, &to);
}

/* Where a rule leads a datagram. */
static union udp_address translate(const struct gateway_rule *rule, const struct guest_datagram *datagram)
{
	union udp_address to = rule->to;

	if (to.family == AF_INET6)
		to.v6.sin6_port = to.v6.sin6_port == 0 ? datagram->port : to.v6.sin6_port;
	else
		to.v4.sin_port = to.v4.sin_port == 0 ? datagram->port : to.v4.sin_port;
	return to;
}

static struct udp_flow *open_translation(struct gateway *gateway, const struct guest_datagram *datagram, int32_t rule,
					 const union udp_address *to)
{
	const struct flow_key key = translation_key(datagram);
	struct udp_flow *flow = open_flow(gateway, &key, to->family, datagram);

	if (flow == NULL)
		return NULL;
	flow->base.flow.rule = rule;
	flow->base.is_connected = true;
	flow->base.to = *to;
	if (connect(flow->base.flow.watch.fd, (const struct sockaddr *)to, socket_address_length(to)) == 0)
		return flow;
	const int error = errno;
	datagram_count_failure(&flow->base, error);
	udp_end(&flow->base.flow);
	icmp_refuse(gateway, datagram->packet, icmp_problem_of(error), 0);
	return NULL;
}

HOT static void send_by_rule(struct gateway *gateway, const struct guest_datagram *datagram, int32_t rule)
{
	const struct flow_key key = translation_key(datagram);
	const union udp_address to = translate(&gateway->rules[rule], datagram);
	struct udp_flow *flow = udp_flow_of(flow_table_find(&gateway->flows, &key));

	/* The rule has changed since. */
	if (flow != NULL && memcmp(&flow->base.to, &to, sizeof to) != 0) {
		udp_end(&flow->base.flow);
		flow = NULL;
	}
	if (flow == NULL)
		flow = open_translation(gateway, datagram, rule, &to);
	if (flow == NULL)
		return;
	flow->base.flow.rule = rule;
	send_through(flow, datagram, NULL);
}

/* Answers to who sent something through a forward leave through it, whatever the rules say. */
static bool send_to_peer(struct udp_flow *forward, const struct guest_datagram *datagram)
{
	const struct forward_peer *peer =
		forward_peers_find(forward->peers, &datagram->packet->destination, datagram->port);

	if (peer == NULL)
		return false;
	send_through(forward, datagram, &peer->real);
	return true;
}

/* So does everything else that goes out unchanged, as far as the forward's socket reaches: one port, one mapping. */
static bool send_by_forward(struct udp_flow *forward, const struct guest_datagram *datagram)
{
	union udp_address to;

	if (forward->is_local ||
	    !udp_address_for(forward->base.family, &datagram->packet->destination, datagram->port, &to))
		return false;
	send_through(forward, datagram, &to);
	return true;
}

/* What becomes of a packet that no rule is about: the gateway itself has no ports. */
static enum rule_action action_of(const struct gateway *gateway, const struct gateway_rule *rule,
				  const struct guest_packet *packet)
{
	if (rule != NULL)
		return rule->action;
	return gateway_is_own(gateway, &packet->destination) ? RULE_REFUSE : RULE_PASS;
}

HOT void udp_input(struct gateway *gateway, const struct guest_packet *packet)
{
	struct guest_datagram datagram;
	int32_t index;

	if (!read_datagram(packet, &datagram)) {
		gateway_count(gateway, GATEWAY_MALFORMED);
		return;
	}
	struct udp_flow *forward = udp_forward_find(gateway, &packet->source, datagram.source_port);
	if (forward != NULL && send_to_peer(forward, &datagram))
		return;
	const struct gateway_rule *rule =
		gateway_find_rule(gateway, RULE_UDP, &packet->destination, ntohs(datagram.port), &index);
	switch (address_is_group(&packet->destination) ? RULE_DROP : action_of(gateway, rule, packet)) {
	case RULE_PASS:
		if (forward == NULL || !send_by_forward(forward, &datagram))
			send_by_mapping(gateway, &datagram);
		break;
	case RULE_TRANSLATE:
		gateway->rules[index].asked++;
		send_by_rule(gateway, &datagram, index);
		break;
	case RULE_REFUSE:
		gateway_count(gateway, GATEWAY_REFUSED);
		icmp_refuse(gateway, packet, rule == NULL ? ICMP_PORT_UNREACHABLE : ICMP_PROHIBITED, 0);
		break;
	case RULE_SCRIPT:
		gateway_give_script(gateway, packet);
		break;
	case RULE_DROP:
		gateway_count(gateway, GATEWAY_DROPPED);
		break;
	}
}

void udp_input_end(void)
{
	udp_run_send();
}

/* --- For gateway.c. --- */

void udp_task(struct flow *flow)
{
	if (!udp_flow_of(flow)->is_waiting)
		datagram_flow_resume(&udp_flow_of(flow)->base);
}

void udp_timer(struct flow *common, int64_t now_ms)
{
	struct udp_flow *flow = udp_flow_of(common);

	if (flow->is_waiting)
		udp_forward_time_out(flow);
	else if (flow->peers == NULL && datagram_flow_is_over(&flow->base, now_ms))
		udp_end(common);
}

void udp_end(struct flow *common)
{
	struct udp_flow *flow = udp_flow_of(common);

	if (flow->peers != NULL)
		udp_forward_end(flow);
	udp_run_forget(&flow->base);
	datagram_flow_close(&flow->base);
	free(flow->peers);
	free(flow);
}
