#define _GNU_SOURCE
#include "echo.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checksum.h"
#include "datagram_flow.h"
#include "frame_io.h"
#include "icmp_error.h"
#include "reassembly.h"

#define ECHO_HEADER 8
#define ECHO_CHECKSUM 2
#define ECHO_IDENTIFIER 4
#define ECHO_SEQUENCE 6
#define V4_REPLY 0
#define V4_REQUEST 8
#define V6_REQUEST 128
#define V6_REPLY 129
/* The longest ICMP packet in an IP packet. */
#define LONGEST_ECHO 65535

_Static_assert(offsetof(struct datagram_flow, flow.watch) == 0, "a watch is its flow");

static void serve(struct watch *watch, uint32_t events, struct receive_room *room);
static void report(struct datagram_flow *flow, const struct datagram_error *error);

static struct datagram_flow *echo_flow_of(struct flow *flow)
{
	return (struct datagram_flow *)flow;
}

static bool is_request(const struct guest_packet *packet)
{
	const uint8_t *icmp = packet->frame + packet->transport;

	return packet->end - packet->transport >= ECHO_HEADER && icmp[0] == (packet->is_v6 ? V6_REQUEST : V4_REQUEST) &&
	       icmp[1] == 0;
}

/* Writes the checksum of a message of that path. */
static void complete(uint8_t *icmp, uint32_t length, const struct packet_path *path)
{
	const uint64_t pseudo = path->is_v6 ? packet_path_sum(path, PROTOCOL_ICMPV6, length) : 0;

	store_u16(icmp + ECHO_CHECKSUM, 0);
	store_u16(icmp + ECHO_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(pseudo, icmp, length)));
}

/* Sends a complete message to a guest. */
static void write_message(struct gateway *gateway, const struct packet_path *path, const uint8_t *icmp, uint32_t length)
{
	const uint32_t headers = packet_headers(path->is_v6);
	const uint8_t protocol = path->is_v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP;

	if (headers - ETHERNET_HEADER + length > gateway->mtu) {
		fragments_write(gateway, path, protocol, icmp, length);
		return;
	}
	uint8_t *frame = gateway_reserve(gateway, headers + length);
	if (frame == NULL)
		return;
	packet_write_headers(frame, path, protocol, length);
	memcpy(frame + headers, icmp, length);
	gateway_commit(gateway, headers + length, NULL);
}

/* --- The gateway's own answers. --- */

void echo_answer(struct gateway *gateway, const struct guest_packet *packet)
{
	static uint8_t message[LONGEST_ECHO]; /* used with the lock */
	const uint32_t length = packet->end - packet->transport;
	const struct packet_path path = {
		.guest_mac = packet->frame + MAC_BYTES, .gateway_mac = gateway->mac, .is_v6 = packet->is_v6,
		.source = &packet->destination, .guest = &packet->source, .hop_limit = OWN_HOP_LIMIT,
		.traffic_class = packet->traffic_class,
	};

	if (!is_request(packet) || length > sizeof message) {
		gateway_count(gateway, GATEWAY_MALFORMED);
		return;
	}
	memcpy(message, packet->frame + packet->transport, length);
	message[0] = packet->is_v6 ? V6_REPLY : V4_REPLY;
	complete(message, length, &path);
	write_message(gateway, &path, message, length);
}

/* --- From the guest. --- */

static uint16_t identifier_of(const struct guest_packet *packet)
{
	return load_u16(packet->frame + packet->transport + ECHO_IDENTIFIER);
}

static struct flow_key key_of(const struct guest_packet *packet)
{
	return (struct flow_key){ .guest = packet->source, .guest_port = identifier_of(packet), .kind = FLOW_ECHO };
}

/* The host does not let its user ping, or has not that IP: the guest hears so. */
static void refuse_socket(struct gateway *gateway, const struct guest_packet *packet, int error)
{
	if (error == EACCES || error == EPERM) {
		gateway_tell_seldom(gateway, &(struct gateway_event){ .kind = EVENT_PING_DENIED, .error = error,
								      .address = packet->destination });
		gateway_count(gateway, GATEWAY_REFUSED);
		icmp_refuse(gateway, packet, ICMP_PROHIBITED, 0);
	} else if (error == EAFNOSUPPORT || error == EPROTONOSUPPORT) {
		gateway_count(gateway, GATEWAY_REFUSED);
		icmp_refuse(gateway, packet, ICMP_NO_ROUTE, 0);
	}
}

static struct datagram_flow *open_flow(struct gateway *gateway, const struct flow_key *key, sa_family_t family,
				       const struct guest_packet *packet)
{
	if (!gateway_make_room(gateway))
		return NULL;
	const int fd = datagram_socket(gateway, family, family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (fd < 0) {
		refuse_socket(gateway, packet, -fd);
		return NULL;
	}
	struct datagram_flow *flow = calloc(1, sizeof *flow);
	if (flow != NULL) {
		flow->family = family;
		flow->lifetime_ms = ECHO_IDLE_MS;
		flow->flow = (struct flow){ .watch = { .fd = fd, .serve = serve }, .gateway = gateway, .key = *key,
					    .is_v6 = packet->is_v6, .class = CLASS_DATAGRAMS, .rule = -1 };
	}
	if (flow == NULL || !datagram_flow_add(gateway, flow)) {
		close(fd);
		free(flow);
		return NULL;
	}
	gateway_count(gateway, GATEWAY_ECHO_OPENED);
	return flow;
}

/* The socket writes identifier and checksum; the type is that of its IP. */
static void send_through(struct datagram_flow *flow, const struct guest_packet *packet, const union udp_address *to)
{
	const uint8_t *icmp = packet->frame + packet->transport;
	uint8_t header[ECHO_HEADER];
	struct iovec parts[] = {
		{ .iov_base = header, .iov_len = sizeof header },
		{ .iov_base = (void *)(uintptr_t)(icmp + ECHO_HEADER), .iov_len = packet->end - packet->transport - ECHO_HEADER },
	};

	memcpy(header, icmp, sizeof header);
	header[0] = flow->family == AF_INET6 ? V6_REQUEST : V4_REQUEST;
	memcpy(flow->flow.guest_mac, packet->frame + MAC_BYTES, MAC_BYTES);
	datagram_flow_use(flow);
	datagram_send(flow, packet, to, parts, 2, 0, report);
}

static void send_by_mapping(struct gateway *gateway, const struct guest_packet *packet)
{
	const struct flow_key key = key_of(packet);
	const union udp_address to = socket_address(&packet->destination, 0);
	struct datagram_flow *flow = echo_flow_of(flow_table_find(&gateway->flows, &key));

	if (flow == NULL)
		flow = open_flow(gateway, &key, to.family, packet);
	if (flow != NULL)
		send_through(flow, packet, &to);
}

/* Where a rule leads it; echo has no ports. */
static union udp_address translate(const struct gateway_rule *rule)
{
	union udp_address to = rule->to;

	if (to.family == AF_INET6)
		to.v6.sin6_port = 0;
	else
		to.v4.sin_port = 0;
	return to;
}

static struct datagram_flow *open_translation(struct gateway *gateway, const struct guest_packet *packet,
					      const struct flow_key *key, int32_t rule, const union udp_address *to)
{
	struct datagram_flow *flow = open_flow(gateway, key, to->family, packet);

	if (flow == NULL)
		return NULL;
	flow->flow.rule = rule;
	flow->is_connected = true;
	flow->to = *to;
	if (connect(flow->flow.watch.fd, (const struct sockaddr *)to, socket_address_length(to)) == 0)
		return flow;
	const int error = errno;
	datagram_count_failure(flow, error);
	echo_end(&flow->flow);
	icmp_refuse(gateway, packet, icmp_problem_of(error), 0);
	return NULL;
}

static void send_by_rule(struct gateway *gateway, const struct guest_packet *packet, int32_t rule)
{
	struct flow_key key = key_of(packet);
	const union udp_address to = translate(&gateway->rules[rule]);

	key.remote = packet->destination;
	struct datagram_flow *flow = echo_flow_of(flow_table_find(&gateway->flows, &key));
	/* The rule has changed since. */
	if (flow != NULL && memcmp(&flow->to, &to, sizeof to) != 0) {
		echo_end(&flow->flow);
		flow = NULL;
	}
	if (flow == NULL)
		flow = open_translation(gateway, packet, &key, rule, &to);
	if (flow == NULL)
		return;
	flow->flow.rule = rule;
	send_through(flow, packet, NULL);
}

void echo_input(struct gateway *gateway, const struct guest_packet *packet)
{
	int32_t index;

	if (!is_request(packet)) {
		gateway_count(gateway, GATEWAY_UNSUPPORTED);
		return;
	}
	const struct gateway_rule *rule = gateway_find_rule(gateway, RULE_ECHO, &packet->destination, 0, &index);
	switch (rule == NULL ? RULE_PASS : rule->action) {
	case RULE_PASS:
		send_by_mapping(gateway, packet);
		break;
	case RULE_TRANSLATE:
		send_by_rule(gateway, packet, index);
		break;
	case RULE_REFUSE:
		gateway_count(gateway, GATEWAY_REFUSED);
		icmp_refuse(gateway, packet, ICMP_PROHIBITED, 0);
		break;
	case RULE_SCRIPT:
		gateway_give_script(gateway, packet);
		break;
	case RULE_DROP:
		gateway_count(gateway, GATEWAY_DROPPED);
		break;
	}
}

/* --- To the guest. --- */

/* Whether it may be told: it is an echo reply, and not of the host itself. */
static bool is_reply(const struct datagram_flow *flow, const struct datagram *datagram)
{
	if (datagram->length < ECHO_HEADER || datagram->bytes[0] != (flow->family == AF_INET6 ? V6_REPLY : V4_REPLY))
		return false;
	return flow->is_connected ||
	       (address_is_v4(&datagram->from) != flow->flow.is_v6 && !address_is_loopback(&datagram->from));
}

static void deliver(struct datagram_flow *flow, const struct datagram *datagram)
{
	const struct flow *common = &flow->flow;
	uint8_t *icmp = datagram->bytes;
	const struct packet_path path = {
		.guest_mac = common->guest_mac, .gateway_mac = common->gateway->mac, .is_v6 = common->is_v6,
		.source = flow->is_connected ? &common->key.remote : &datagram->from, .guest = &common->key.guest,
		.hop_limit = OWN_HOP_LIMIT, .traffic_class = datagram->traffic_class,
	};

	if (!is_reply(flow, datagram)) {
		gateway_count(common->gateway, GATEWAY_DROPPED);
		return;
	}
	icmp[0] = common->is_v6 ? V6_REPLY : V4_REPLY;
	store_u16(icmp + ECHO_IDENTIFIER, common->key.guest_port);
	complete(icmp, datagram->length, &path);
	write_message(common->gateway, &path, icmp, datagram->length);
	datagram_count_answer(flow);
}

static void serve(struct watch *watch, uint32_t events, struct receive_room *room)
{
	struct datagram_flow *flow = (struct datagram_flow *)watch;
	struct datagram datagrams[MAX_RECEIVED];

	if (events & EPOLLERR)
		datagram_read_errors(flow, report);
	if ((events & EPOLLIN) == 0)
		return;
	const uint32_t count = datagram_receive(flow, room, datagrams, report);
	for (uint32_t i = 0; i < count; i++)
		deliver(flow, &datagrams[i]);
}

/* The error queue has the request, with the socket's identifier: the guest is to find its own in it. */
static void report(struct datagram_flow *flow, const struct datagram_error *error)
{
	const struct flow *common = &flow->flow;
	const struct ip_address *remote = flow->is_connected ? &common->key.remote : &error->to;
	uint8_t quoted[512];
	const uint32_t length = error->length < sizeof quoted ? error->length : (uint32_t)sizeof quoted;

	if (length < ECHO_HEADER)
		return;
	memcpy(quoted, error->bytes, length);
	const uint16_t identifier = load_u16(quoted + ECHO_IDENTIFIER);
	quoted[0] = common->is_v6 ? V6_REQUEST : V4_REQUEST;
	store_u16(quoted + ECHO_IDENTIFIER, common->key.guest_port);
	/* The checksum without the one and with the other (RFC 1624, 3). */
	const uint64_t sum = (uint64_t)(uint16_t)~load_u16(quoted + ECHO_CHECKSUM) + (uint16_t)~identifier +
			     common->key.guest_port;
	store_u16(quoted + ECHO_CHECKSUM, (uint16_t)~checksum_fold(sum));
	datagram_pass_on(flow, common->is_v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP, error, remote, quoted, length);
}

/* --- For gateway.c. --- */

void echo_task(struct flow *flow)
{
	datagram_flow_resume(echo_flow_of(flow));
}

void echo_timer(struct flow *flow, int64_t now_ms)
{
	if (datagram_flow_is_over(echo_flow_of(flow), now_ms))
		echo_end(flow);
}

void echo_end(struct flow *common)
{
	datagram_flow_close(echo_flow_of(common));
	free(common);
}
