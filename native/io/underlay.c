#define _GNU_SOURCE
#include "underlay.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "datapath.h"
#include "frame_io.h"
#include "hot.h"
#include "local_addresses.h"
#include "tunnel.h"
#include "unfinished.h"

/* Messages of many datagrams each: so many stay in the second-level cache. */
#define MAX_LARGE_MESSAGES 6
#define LARGE_BYTES 8192
/* How often the kernel may refuse in a row to cut, before it is not asked any more. */
#define MAX_REFUSALS 8

static void serve(struct watch *watch, uint32_t events, struct receive_room *room);

int underlay_prepare(struct underlay *underlay, int unicast, int multicast, bool wants_runs)
{
	socklen_t length = sizeof underlay->own;

	for (int i = 0; i < 2; i++) {
		struct underlay_socket *socket = i == 0 ? &underlay->unicast : &underlay->multicast;
		*socket = (struct underlay_socket){
			.watch = { .fd = i == 0 ? unicast : multicast, .serve = serve }, .underlay = underlay, .burst = { .size = 1 },
		};
	}
	underlay->wants_runs = wants_runs;
	underlay->takes_runs = wants_runs;
	return getsockname(unicast, (struct sockaddr *)&underlay->own, &length) == 0 ? 0 : errno;
}

bool underlay_has(const struct underlay *underlay, const struct tunnel *tunnel)
{
	for (const struct tunnel *other = underlay->tunnels; other != NULL; other = other->next) {
		if (other->header_length == 0 || memcmp(other->header, tunnel->header, VXLAN_HEADER) == 0)
			return true;
	}
	return false;
}

void underlay_add(struct underlay *underlay, struct tunnel *tunnel)
{
	tunnel->underlay = underlay;
	tunnel->next = underlay->tunnels;
	underlay->tunnels = tunnel;
}

void underlay_remove(struct underlay *underlay, struct tunnel *tunnel)
{
	struct tunnel **link = &underlay->tunnels;

	while (*link != tunnel)
		link = &(*link)->next;
	*link = tunnel->next;
}

HOT int underlay_watch(struct underlay *underlay)
{
	uint32_t events = 0;
	bool is_used = false;
	int error = 0;

	for (const struct tunnel *tunnel = underlay->tunnels; tunnel != NULL; tunnel = tunnel->next) {
		is_used = is_used || tunnel->member != NULL;
		events |= tunnel->member != NULL ? tunnel->member->events : 0;
	}
	for (int i = 0; i < 2; i++) {
		struct underlay_socket *socket = i == 0 ? &underlay->unicast : &underlay->multicast;
		/* Only one of them sends. */
		const uint32_t its = i == 0 ? events : events & EPOLLIN;
		if (socket->watch.fd < 0)
			continue;
		if (!is_used)
			datapath_unwatch(&socket->watch);
		else if (!socket->watch.is_active || socket->watch.events != its)
			error = datapath_watch(&socket->watch, its);
		if (error != 0)
			return error;
	}
	return 0;
}

/* Whether the kernel will not cut what it is given, though it could send it. */
static bool means_refused(int error)
{
	return error == EINVAL || error == EIO || error == EOPNOTSUPP || error == EMSGSIZE || error == ENOPROTOOPT;
}

/* Sends datagrams one by one, until there is no room; 0 when any left, or an errno. */
static int send_each(struct underlay *underlay, const union udp_address *to, const uint8_t *bytes, size_t length,
		     uint32_t segment, struct sent_run *sent)
{
	int result = 0;
	bool has_left = false;

	for (size_t at = 0; at < length; at += segment) {
		const size_t size = length - at < segment ? length - at : segment;
		int error = udp_send(underlay->unicast.watch.fd, to, bytes + at, size, 0);
		/* What came back for a packet before. */
		if (error == ECONNREFUSED)
			error = udp_send(underlay->unicast.watch.fd, to, bytes + at, size, 0);
		if (error == EAGAIN) {
			sent->left = (uint32_t)(at / segment);
			return EAGAIN;
		}
		has_left = has_left || error == 0;
		result = error != 0 ? error : result;
	}
	return has_left ? 0 : result;
}

HOT int underlay_send(struct underlay *underlay, const union udp_address *to, const uint8_t *bytes, size_t length,
		      uint32_t segment, struct sent_run *sent)
{
	int error = udp_send(underlay->unicast.watch.fd, to, bytes, length, segment);

	*sent = (struct sent_run){ 0 };
	/* What came back for a packet before. */
	if (error == ECONNREFUSED)
		error = udp_send(underlay->unicast.watch.fd, to, bytes, length, segment);
	if (segment == 0 || !means_refused(error)) {
		underlay->refusals = segment != 0 && error == 0 ? 0 : underlay->refusals;
		return error;
	}
	sent->is_refused = true;
	if (++underlay->refusals == MAX_REFUSALS)
		underlay->takes_runs = false;
	return send_each(underlay, to, bytes, length, segment, sent);
}

HOT int underlay_send_behind(struct underlay *underlay, const union udp_address *to, const uint8_t *header,
			     size_t header_length, const uint8_t *frame, size_t length)
{
	const int fd = underlay->unicast.watch.fd;
	int error = udp_send_behind(fd, to, header, header_length, frame, length);

	/* What came back for a packet before. */
	return error == ECONNREFUSED ? udp_send_behind(fd, to, header, header_length, frame, length) : error;
}

static bool is_any(const union udp_address *address)
{
	static const uint8_t zero[16];

	return address->family == AF_INET6 ? memcmp(&address->v6.sin6_addr, zero, 16) == 0
					   : address->v4.sin_addr.s_addr == INADDR_ANY;
}

/* The sender of the packets of a message, and what is known of it. */
struct sender {
	const union udp_address *from;
	struct endpoint *endpoint; /* of the tunnel that the packet before was for; NULL: not looked up */
	enum { NOT_JUDGED, IS_ANOTHER, IS_OURSELVES } identity;
};

/* Whether a packet is our own, that came back: it is from our port, and from an address of ours. */
HOT static bool is_echo(const struct underlay *underlay, const union udp_address *from)
{
	if (udp_port(from) != udp_port(&underlay->own))
		return false;
	if (is_any(&underlay->own))
		return local_addresses_have(from);
	return from->family == AF_INET6
		       ? memcmp(&from->v6.sin6_addr, &underlay->own.v6.sin6_addr, 16) == 0
		       : from->v4.sin_addr.s_addr == underlay->own.v4.sin_addr.s_addr;
}

/* The same of the packets of a message, looked up once. */
HOT static bool is_from_us(const struct underlay *underlay, struct sender *sender)
{
	if (sender->identity == NOT_JUDGED)
		sender->identity = is_echo(underlay, sender->from) ? IS_OURSELVES : IS_ANOTHER;
	return sender->identity == IS_OURSELVES;
}

/* Nobody is behind an address any more that was another host's and is ours now. */
static void forget_ourselves(const struct underlay *underlay, struct tunnel *tunnel)
{
	for (uint32_t i = 0; i < MAX_ENDPOINTS; i++) {
		struct endpoint *endpoint = &tunnel->endpoints.entries[i];
		if (endpoint->token != 0 && is_echo(underlay, &endpoint->address))
			endpoint_table_forget(endpoint);
	}
}

void underlay_refresh(struct underlay *underlay)
{
	local_addresses_refresh();
	underlay->takes_runs = underlay->wants_runs;
	underlay->refusals = 0;
	for (struct tunnel *tunnel = underlay->tunnels; tunnel != NULL && is_any(&underlay->own); tunnel = tunnel->next)
		forget_ourselves(underlay, tunnel);
}

/* Counts packets that no tunnel takes at all that are there. */
static void count_strangers(const struct underlay *underlay, enum counter reason, uint32_t count)
{
	for (const struct tunnel *tunnel = underlay->tunnels; tunnel != NULL; tunnel = tunnel->next) {
		if (tunnel->member != NULL)
			tunnel->member->port.received[reason] += count;
	}
}

/* Frames of one tunnel that go on together. */
struct intake {
	struct receive_room *room;
	struct tunnel *tunnel;
	uint32_t count;
};

HOT static void deliver(struct intake *intake)
{
	struct tunnel *tunnel = intake->tunnel;
	uint64_t bytes = 0;

	if (intake->count == 0)
		return;
	for (uint32_t i = 0; i < intake->count; i++)
		bytes += intake->room->slots[i].length;
	struct member *member = tunnel->member;
	member->port.received[COUNT_FRAMES] += intake->count;
	member->port.received[COUNT_BYTES] += (double)bytes;
	const struct frames frames = { .source = member->id, .arena = intake->room->arena,
				       .arena_size = intake->room->arena_size, .slots = intake->room->slots,
				       .count = intake->count };
	intake->count = 0;
	fabric_forward(member, &frames);
}

/* Which tunnel a packet is for; NULL when for none, and then why not. */
HOT static struct tunnel *tunnel_for(const struct underlay *underlay, const uint8_t *packet, uint32_t length,
				     enum packet_verdict *verdict)
{
	struct tunnel *tunnel = underlay->tunnels;

	*verdict = PACKET_BAD_HEADER;
	for (; tunnel != NULL; tunnel = tunnel->next) {
		*verdict = tunnel_judge(tunnel, packet, length);
		if (*verdict != PACKET_FOREIGN_VNI)
			break;
	}
	return *verdict == PACKET_IS_FRAME || *verdict == PACKET_IS_LEAVE ? tunnel : NULL;
}

static enum counter reason_of(enum packet_verdict verdict)
{
	if (verdict == PACKET_TOO_SHORT)
		return DROP_TOO_SHORT;
	return verdict == PACKET_FOREIGN_VNI ? DROP_FOREIGN_VNI : DROP_BAD_HEADER;
}

HOT static void take_packet(struct underlay *underlay, struct intake *intake, struct sender *sender, uint32_t offset,
			    uint32_t length, uint32_t udp_segment)
{
	const uint8_t *packet = intake->room->arena + offset;
	enum packet_verdict verdict;
	struct tunnel *tunnel = tunnel_for(underlay, packet, length, &verdict);

	if (tunnel == NULL) {
		count_strangers(underlay, reason_of(verdict), 1);
		return;
	}
	if (tunnel->member == NULL)
		return;
	if (is_from_us(underlay, sender)) {
		tunnel->member->port.received[DROP_ECHO]++;
		return;
	}
	if (!tunnel_hears(tunnel, sender->from)) {
		tunnel->member->port.received[DROP_FOREIGN_SENDER]++;
		return;
	}
	if (verdict == PACKET_IS_LEAVE) {
		tunnel_forget(tunnel, sender->from);
		sender->endpoint = NULL;
		return;
	}
	if (tunnel != intake->tunnel || intake->count == BURST_FRAMES)
		deliver(intake);
	if (sender->endpoint == NULL || tunnel != intake->tunnel)
		sender->endpoint = tunnel_endpoint(tunnel, sender->from);
	intake->tunnel = tunnel;
	const uint32_t header = tunnel->header_length;
	tunnel_learn(tunnel, sender->endpoint, packet + header, length - header);
	struct frame_slot *slot = &intake->room->slots[intake->count++];
	*slot = (struct frame_slot){ .offset = offset + header, .length = length - header };
	note_unfinished(slot, packet + header, tunnel->fit, udp_segment);
}

/*
 * Whether a message is one packet though it came with a size of segments: then it holds a super-frame of UDP, whole, and
 * the size is that of its own segments (see unfinished.h).
 */
HOT static bool holds_super_frame(const struct underlay *underlay, const uint8_t *bytes, const struct udp_message *message)
{
	const struct tunnel *tunnel = underlay->tunnels;
	const uint32_t header = tunnel == NULL ? 0 : tunnel->header_length;

	return message->segment > header && message->length > message->segment &&
	       is_whole_packet(bytes + header, message->segment - header, message->length - header);
}

HOT static void take_message(struct underlay *underlay, struct intake *intake, const struct udp_message *message)
{
	const bool is_one = message->segment == 0 ||
			    holds_super_frame(underlay, intake->room->arena + message->offset, message);
	const uint32_t segment = is_one ? message->length : message->segment;
	const uint32_t udp_segment = is_one ? message->segment : 0;
	struct sender sender = { .from = &message->from };
	uint32_t at = 0;

	if (message->is_cut) {
		count_strangers(underlay, DROP_TOO_LONG, 1);
		return;
	}
	/* No answer can go there (RFC 768: the port is not used). */
	if (udp_port(&message->from) == 0) {
		count_strangers(underlay, DROP_BAD_HEADER, segment == 0 ? 1 : (message->length + segment - 1) / segment);
		return;
	}
	do {
		const uint32_t length = message->length - at < segment ? message->length - at : segment;
		take_packet(underlay, intake, &sender, message->offset + at, length, udp_segment);
		at += segment;
	} while (at < message->length);
}

HOT static void receive(struct underlay_socket *socket, struct receive_room *room)
{
	/* Used with the lock, by the thread alone. */
	static struct udp_message messages[MAX_UDP_MESSAGES];
	struct intake intake = { .room = room };
	uint64_t bytes = 0;
	int count = udp_receive(socket->watch.fd, room->arena, MAX_FRAME_BYTES, messages, socket->burst.size);

	for (int i = 0; i < count; i++) {
		bytes += messages[i].length;
		take_message(socket->underlay, &intake, &messages[i]);
	}
	deliver(&intake);
	if (count <= 0)
		return;
	const uint32_t most = bytes / (uint32_t)count > LARGE_BYTES ? MAX_LARGE_MESSAGES : MAX_UDP_MESSAGES;
	burst_adapt(&socket->burst, (uint32_t)count, most);
}

HOT static void serve(struct watch *watch, uint32_t events, struct receive_room *room)
{
	struct underlay_socket *socket =
		(struct underlay_socket *)((char *)watch - offsetof(struct underlay_socket, watch));
	const struct tunnel *next;

	for (const struct tunnel *tunnel = socket->underlay->tunnels; events & EPOLLOUT && tunnel != NULL; tunnel = next) {
		next = tunnel->next;
		if (tunnel->member != NULL)
			fabric_flush(tunnel->member);
	}
	/* Receiving also fetches a pending error. */
	if (events & (EPOLLIN | EPOLLERR))
		receive(socket, room);
}
