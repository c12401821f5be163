#define _GNU_SOURCE
#include "udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checksum.h"
#include "datagram_flow.h"
#include "forward_peers.h"
#include "hot.h"
#include "icmp_error.h"
#include "reassembly.h"
#include "udp_run.h"

#define UDP_PORTS 4
#define DNS_PORT 53
/* The remote port of the key of a forward: its remote address is all zero, so no mapping has that key. */
#define FORWARD_MARK 0xffff

/**
 * struct udp_flow - a mapping.
 * @base: what it has in common with echo
 * @peers: of a forward: who sent something; NULL otherwise
 * @is_local: of a forward: its socket is bound to the host's loopback, and reaches nothing else
 * @is_waiting: of a forward: until its guest is found what arrives stays in the socket
 * @is_lost: of a forward: it was not found
 */
struct udp_flow {
	struct datagram_flow base;
	struct forward_peers *peers;
	bool is_local;
	bool is_waiting;
	bool is_lost;
};

/* A datagram of a guest, or several of @segment bytes each; ports in network order. */
struct guest_datagram {
	const struct guest_packet *packet;
	uint16_t source_port;
	uint16_t port;
	const uint8_t *payload;
	uint32_t length;
	uint32_t segment; /* 0 when it is one */
};

/* How many forwards there are: without any, none is searched. */
static uint32_t forward_count;

static void serve(struct watch *watch, uint32_t events, struct receive_room *room);
static void report(struct datagram_flow *flow, const struct datagram_error *error);

static struct udp_flow *udp_flow_of(struct flow *flow)
{
	return (struct udp_flow *)flow;
}

_Static_assert(offsetof(struct udp_flow, base.flow.watch) == 0, "a watch is its flow");

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

static struct flow_key key_of(const struct ip_address *guest, uint16_t port)
{
	return (struct flow_key){ .guest = *guest, .guest_port = port, .kind = FLOW_UDP };
}

/* The key of a mapping for all destinations. */
static struct flow_key mapping_key(const struct guest_datagram *datagram)
{
	return key_of(&datagram->packet->source, datagram->source_port);
}

/* The key of a mapping for one destination. */
static struct flow_key translation_key(const struct guest_datagram *datagram)
{
	struct flow_key key = mapping_key(datagram);

	key.remote = datagram->packet->destination;
	key.remote_port = datagram->port;
	return key;
}

/* The address of a socket of that family, which may be of IPv6 and serve IPv4, too; false when it reaches no such address. */
HOT static bool address_for(sa_family_t family, const struct ip_address *address, uint16_t port, union udp_address *to)
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

/* Sends through a flow; @to is NULL when it is connected. */
HOT static void send_through(struct udp_flow *flow, const struct guest_datagram *datagram, const union udp_address *to)
{
	struct datagram_flow *base = &flow->base;

	memcpy(base->flow.guest_mac, datagram->packet->frame + MAC_BYTES, MAC_BYTES);
	if (datagram->port != htons(DNS_PORT) && base->lifetime_ms == UDP_DNS_IDLE_MS)
		base->lifetime_ms = UDP_IDLE_MS;
	datagram_flow_use(base);
	if (datagram->segment == 0) {
		udp_run_add(base, datagram->packet, to, datagram->payload, datagram->length, report);
		return;
	}
	struct iovec part = { .iov_base = (void *)(uintptr_t)datagram->payload, .iov_len = datagram->length };
	udp_run_send();
	datagram_send(base, datagram->packet, to, &part, 1, datagram->segment, report);
}

/* Makes a flow of a socket, which stays the caller's when there is no memory. */
static struct udp_flow *make_flow(struct gateway *gateway, const struct flow_key *key, int fd, sa_family_t family)
{
	struct udp_flow *flow = calloc(1, sizeof *flow);

	if (flow == NULL)
		return NULL;
	flow->base.family = family;
	flow->base.flow = (struct flow){ .watch = { .fd = fd, .serve = serve }, .gateway = gateway, .key = *key,
					 .is_v6 = !address_is_v4(&key->guest), .class = CLASS_DATAGRAMS, .rule = -1 };
	return flow;
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
	struct udp_flow *flow = make_flow(gateway, key, fd, family);
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

/* The forward that has the guest's port; NULL when there is none. */
static struct udp_flow *find_forward(struct gateway *gateway, const struct guest_datagram *datagram)
{
	struct flow_key key = mapping_key(datagram);

	if (forward_count == 0)
		return NULL;
	key.remote_port = FORWARD_MARK;
	return udp_flow_of(flow_table_find(&gateway->flows, &key));
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
	    !address_for(forward->base.family, &datagram->packet->destination, datagram->port, &to))
		return false;
	send_through(forward, datagram, &to);
	return true;
}

static bool is_group(const struct ip_address *address)
{
	return address_is_v4(address) ? address->bytes[MAPPED_BYTES] >= 224 : address->bytes[0] == 0xff;
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
	struct udp_flow *forward = find_forward(gateway, &datagram);
	if (forward != NULL && send_to_peer(forward, &datagram))
		return;
	const struct gateway_rule *rule =
		gateway_find_rule(gateway, RULE_UDP, &packet->destination, ntohs(datagram.port), &index);
	switch (is_group(&packet->destination) ? RULE_DROP : action_of(gateway, rule, packet)) {
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

/* --- To the guest. --- */

/* A datagram to a guest, or several; @port, whom the guest hears, in network order. */
struct delivery {
	struct udp_flow *flow;
	struct packet_path path;
	uint16_t port;
};

/* Writes a header before @payload bytes; the field of the checksum is to hold @checksum. */
HOT static void write_udp(uint8_t *udp, const struct delivery *delivery, uint32_t payload, uint16_t checksum)
{
	store_u16(udp, delivery->port);
	store_u16(udp + 2, delivery->flow->base.flow.key.guest_port);
	store_be16(udp + UDP_LENGTH, UDP_HEADER + payload);
	store_u16(udp + UDP_CHECKSUM, checksum);
}

/* As a frame whose checksum is left to do, or a super-frame when @segment is not 0. */
HOT static void deliver_frame(const struct delivery *delivery, const uint8_t *bytes, uint32_t length, uint32_t segment)
{
	const struct packet_path *path = &delivery->path;
	const uint32_t headers = packet_headers(path->is_v6) + UDP_HEADER;
	struct gateway *gateway = delivery->flow->base.flow.gateway;
	uint8_t *frame = gateway_reserve(gateway, headers + length);

	if (frame == NULL)
		return;
	const uint32_t transport = packet_write_headers(frame, path, PROTOCOL_UDP, UDP_HEADER + length);
	write_udp(frame + transport, delivery, length,
		  checksum_fold(packet_path_sum(path, PROTOCOL_UDP, UDP_HEADER + length)));
	memcpy(frame + headers, bytes, length);
	const struct offload_header offload = {
		.flags = OFFLOAD_FLAG_NEEDS_CHECKSUM,
		.gso_type = segment == 0 ? OFFLOAD_GSO_NONE : OFFLOAD_GSO_UDP_L4,
		.header_length = (uint16_t)headers,
		.gso_size = (uint16_t)segment,
		.checksum_start = (uint16_t)transport,
		.checksum_offset = UDP_CHECKSUM,
	};
	gateway_commit(gateway, headers + length, &offload);
}

/* As fragments; there is room for a header before @bytes. */
static void deliver_fragments(const struct delivery *delivery, uint8_t *bytes, uint32_t length)
{
	uint8_t *udp = bytes - UDP_HEADER;
	const uint32_t size = UDP_HEADER + length;

	write_udp(udp, delivery, length, 0);
	const uint64_t sum = checksum_add(packet_path_sum(&delivery->path, PROTOCOL_UDP, size), udp, size);
	const uint16_t checksum = (uint16_t)~checksum_fold(sum);
	/* Zero would say that there is none (RFC 768). */
	store_u16(udp + UDP_CHECKSUM, checksum == 0 ? 0xffff : checksum);
	fragments_write(delivery->flow->base.flow.gateway, &delivery->path, PROTOCOL_UDP, udp, size);
}

HOT static void deliver_bytes(const struct delivery *delivery, const struct datagram *datagram)
{
	const uint32_t mtu = delivery->flow->base.flow.gateway->mtu;
	const uint32_t headers = packet_headers(delivery->path.is_v6) - ETHERNET_HEADER + UDP_HEADER;
	const uint32_t segment = datagram->segment == 0 ? datagram->length : datagram->segment;

	if (headers + segment <= mtu) {
		deliver_frame(delivery, datagram->bytes, datagram->length, datagram->segment);
		return;
	}
	/* The header of each is written over the end of the one before, which is gone by then. */
	for (uint32_t at = 0; at < datagram->length; at += segment) {
		const uint32_t length = datagram->length - at < segment ? datagram->length - at : segment;
		if (headers + length <= mtu)
			deliver_frame(delivery, datagram->bytes + at, length, 0);
		else
			deliver_fragments(delivery, datagram->bytes + at, length);
	}
}

/* Whom the guest hears; false when it could not answer. */
HOT static bool find_source(struct udp_flow *flow, const struct datagram *datagram, struct ip_address *source,
			    uint16_t *port)
{
	const struct flow *common = &flow->base.flow;
	const struct ip_address *own;

	*source = datagram->from;
	*port = datagram->port;
	if (flow->base.is_connected) {
		*source = common->key.remote;
		*port = common->key.remote_port;
		return true;
	}
	const bool is_foreign = address_is_v4(source) == common->is_v6 || address_is_loopback(source);
	if (flow->peers == NULL)
		return !is_foreign;
	own = gateway_own(common->gateway, common->is_v6);
	if (is_foreign && own == NULL)
		return false;
	if (is_foreign)
		*source = *own;
	return true;
}

/* Notes who sent something through a forward, so that it can be answered. */
static void note_peer(struct udp_flow *flow, const struct datagram *datagram, const struct ip_address *source,
		      uint16_t port)
{
	union udp_address real;

	if (flow->peers != NULL && address_for(flow->base.family, &datagram->from, datagram->port, &real))
		forward_peers_note(flow->peers, source, port, &real);
}

HOT static void deliver(struct udp_flow *flow, const struct datagram *datagram)
{
	struct flow *common = &flow->base.flow;
	struct ip_address source;
	struct delivery delivery = { .flow = flow };

	if (datagram->port == 0 || !find_source(flow, datagram, &source, &delivery.port)) {
		gateway_count(common->gateway, GATEWAY_DROPPED);
		return;
	}
	note_peer(flow, datagram, &source, delivery.port);
	delivery.path = (struct packet_path){
		.guest_mac = common->guest_mac, .gateway_mac = common->gateway->mac, .is_v6 = common->is_v6, .source = &source,
		.guest = &common->key.guest, .hop_limit = OWN_HOP_LIMIT, .traffic_class = datagram->traffic_class,
	};
	deliver_bytes(&delivery, datagram);
	datagram_count_answer(&flow->base);
}

/* Where the guest of a forward is now; false when nobody knows yet. */
static bool find_guest(struct udp_flow *flow)
{
	struct flow *common = &flow->base.flow;
	const uint8_t *mac;

	if (flow->peers == NULL)
		return true;
	mac = gateway_find_guest(common->gateway, &common->key.guest);
	if (mac != NULL)
		memcpy(common->guest_mac, mac, MAC_BYTES);
	return mac != NULL;
}

/* What arrived waits in the socket until the guest is found, for a while. */
static void begin_waiting(struct udp_flow *flow)
{
	struct flow *common = &flow->base.flow;

	if (flow->is_waiting)
		return;
	flow->is_waiting = true;
	common->gateway->seekers++;
	datapath_watch(&common->watch, 0);
	gateway_set_timer(common, gateway_now_ms() + FORWARD_RESOLVE_MS);
}

static void end_waiting(struct udp_flow *flow)
{
	if (!flow->is_waiting)
		return;
	flow->is_waiting = false;
	flow->base.flow.gateway->seekers--;
}

void udp_resolved(struct flow *common)
{
	struct udp_flow *flow = udp_flow_of(common);

	if (!flow->is_waiting)
		return;
	end_waiting(flow);
	datagram_flow_resume(&flow->base);
}

/* Whether a datagram is one more of those that are in @run already. */
HOT static bool continues(const struct datagram *run, const struct datagram *datagram, uint32_t last, uint32_t mtu)
{
	return datagram->segment == 0 && datagram->length > 0 && last == run->segment && datagram->length <= last &&
	       run->length + datagram->length <= MAX_UDP_PAYLOAD && last <= mtu && datagram->port == run->port &&
	       datagram->traffic_class == run->traffic_class && address_equals(&datagram->from, &run->from);
}

/*
 * Puts datagrams that follow each other from one source and are of one length behind the first, as the kernel does for
 * some (UDP_GRO): they go to the guest as one super-frame. How many.
 */
HOT static uint32_t join_run(struct datagram *datagrams, uint32_t count, uint32_t mtu)
{
	struct datagram *run = &datagrams[0];
	uint32_t joined = 1, last = run->length;

	if (run->segment != 0 || count == 1)
		return 1;
	run->segment = run->length;
	while (joined < count && continues(run, &datagrams[joined], last, mtu)) {
		last = datagrams[joined].length;
		memcpy(run->bytes + run->length, datagrams[joined].bytes, last);
		run->length += last;
		joined++;
	}
	if (joined == 1)
		run->segment = 0;
	return joined;
}

HOT static void serve(struct watch *watch, uint32_t events, struct receive_room *room)
{
	struct udp_flow *flow = (struct udp_flow *)watch;
	struct datagram datagrams[MAX_RECEIVED];

	if (events & EPOLLERR)
		datagram_read_errors(&flow->base, report);
	if ((events & EPOLLIN) == 0)
		return;
	const uint32_t mtu = flow->base.flow.gateway->mtu - IPV6_HEADER - UDP_HEADER;
	const bool is_known = find_guest(flow);
	if (!is_known && !flow->is_lost) {
		begin_waiting(flow);
		return;
	}
	flow->is_lost = false;
	const uint32_t count = datagram_receive(&flow->base, room, datagrams, report);
	if (!is_known) {
		flow->base.flow.gateway->counters[GATEWAY_DROPPED] += count;
		return;
	}
	for (uint32_t i = 0; i < count;) {
		const uint32_t joined = join_run(&datagrams[i], count - i, mtu);
		deliver(flow, &datagrams[i]);
		i += joined;
	}
}

/* Whom a guest sent the datagram to that an error is about, as it said. */
static bool find_destination(struct udp_flow *flow, const struct datagram_error *error, struct ip_address *remote,
			     uint16_t *port)
{
	const struct datagram datagram = { .from = error->to, .port = error->port };

	return find_source(flow, &datagram, remote, port);
}

/* The error queue has the payload alone; its header is made up again. */
static void report(struct datagram_flow *datagram_flow, const struct datagram_error *error)
{
	struct udp_flow *flow = (struct udp_flow *)datagram_flow;
	uint8_t quoted[UDP_HEADER + 512];
	struct ip_address remote;
	uint16_t port;

	if (!find_destination(flow, error, &remote, &port) || !find_guest(flow))
		return;
	const uint32_t length = error->length < sizeof quoted - UDP_HEADER ? error->length
									   : (uint32_t)sizeof quoted - UDP_HEADER;
	store_u16(quoted, datagram_flow->flow.key.guest_port);
	store_u16(quoted + 2, port);
	store_be16(quoted + UDP_LENGTH, UDP_HEADER + length);
	store_u16(quoted + UDP_CHECKSUM, 0);
	memcpy(quoted + UDP_HEADER, error->bytes, length);
	datagram_pass_on(datagram_flow, PROTOCOL_UDP, error, &remote, quoted, UDP_HEADER + length);
}

/* --- Forwards. --- */

/* What a given socket is bound to. */
static bool read_binding(int fd, union udp_address *bound)
{
	socklen_t length = sizeof *bound;

	*bound = (union udp_address){ 0 };
	return getsockname(fd, (struct sockaddr *)bound, &length) == 0;
}

static struct flow *give_up(int fd, struct udp_flow *flow, int error)
{
	close(fd);
	if (flow != NULL)
		free(flow->peers);
	free(flow);
	errno = error;
	return NULL;
}

struct flow *udp_forward(struct gateway *gateway, int fd, const struct ip_address *guest, uint16_t port)
{
	struct flow_key key = key_of(guest, port);
	union udp_address bound;

	key.remote_port = FORWARD_MARK;
	if (!read_binding(fd, &bound))
		return give_up(fd, NULL, errno);
	if (flow_table_find(&gateway->flows, &key) != NULL)
		return give_up(fd, NULL, EADDRINUSE);
	if (!gateway_make_room(gateway))
		return give_up(fd, NULL, ENOSPC);
	struct udp_flow *flow = make_flow(gateway, &key, fd, bound.family);
	if (flow == NULL)
		return give_up(fd, NULL, ENOMEM);
	flow->peers = forward_peers_open();
	if (flow->peers == NULL)
		return give_up(fd, flow, ENOMEM);
	const struct ip_address address = address_of_socket(&bound);
	flow->is_local = address_is_loopback(&address);
	flow->base.flow.class = CLASS_FORWARD;
	datagram_prepare_socket(fd, bound.family, true);
	if (!datagram_flow_add(gateway, &flow->base))
		return give_up(fd, flow, ENOSPC);
	forward_count++;
	return &flow->base.flow;
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

	if (flow->is_waiting) {
		flow->is_lost = true;
		udp_resolved(common);
	} else if (flow->peers == NULL && datagram_flow_is_over(&flow->base, now_ms)) {
		udp_end(common);
	}
}

void udp_end(struct flow *common)
{
	struct udp_flow *flow = udp_flow_of(common);

	if (flow->peers != NULL)
		forward_count--;
	end_waiting(flow);
	udp_run_forget(&flow->base);
	datagram_flow_close(&flow->base);
	free(flow->peers);
	free(flow);
}
