#define _GNU_SOURCE
#include <sys/epoll.h>

#include "checksum.h"
#include "hot.h"
#include "reassembly.h"
#include "udp_flow.h"

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

	if (flow->peers != NULL && udp_address_for(flow->base.family, &datagram->from, datagram->port, &real))
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

HOT void udp_serve(struct watch *watch, uint32_t events, struct receive_room *room)
{
	struct udp_flow *flow = (struct udp_flow *)watch;
	struct datagram datagrams[MAX_RECEIVED];

	if (events & EPOLLERR)
		datagram_read_errors(&flow->base, udp_report);
	if ((events & EPOLLIN) == 0)
		return;
	const uint32_t mtu = flow->base.flow.gateway->mtu - IPV6_HEADER - UDP_HEADER;
	const bool is_known = udp_forward_find_guest(flow);
	if (!is_known && !flow->is_lost) {
		udp_forward_wait(flow);
		return;
	}
	flow->is_lost = false;
	const uint32_t count = datagram_receive(&flow->base, room, datagrams, udp_report);
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
void udp_report(struct datagram_flow *datagram_flow, const struct datagram_error *error)
{
	struct udp_flow *flow = (struct udp_flow *)datagram_flow;
	uint8_t quoted[UDP_HEADER + 512];
	struct ip_address remote;
	uint16_t port;

	if (!find_destination(flow, error, &remote, &port) || !udp_forward_find_guest(flow))
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

