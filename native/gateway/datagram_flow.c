#define _GNU_SOURCE
#include "datagram_flow.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame_io.h"
#include "hot.h"
#include "icmp_error.h"

/* The kernel gives as much of it as its own limit says (net.core.rmem_max): bursts that come while others have their turn. */
#define RECEIVE_BUFFER (1024 * 1024)
/* How many errors of a socket are read at a time. */
#define MAX_ERRORS_READ 16
/* What is read of the packet that an error is about: more is not quoted. */
#define MAX_QUOTED 1280
/* How often the kernel may refuse in a row to cut, before it is not asked any more. */
#define MAX_REFUSALS 8
/* JavaScript hears of the failures of a rule so often at most. */
#define RULE_PAUSE_MS 1000

/* --- Sockets. --- */

static void set_option(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof value);
}

void datagram_prepare_socket(int fd, sa_family_t family, bool is_udp)
{
	/* A socket of IPv6 that serves IPv4, too, has the options of both. */
	set_option(fd, IPPROTO_IP, IP_RECVERR, 1);
	set_option(fd, IPPROTO_IP, IP_RECVTOS, 1);
	if (family == AF_INET6) {
		set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
		set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	}
	if (!is_udp)
		return;
	set_option(fd, IPPROTO_UDP, UDP_GRO, 1);
	set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
}

static bool is_exhausted(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void tell_exhausted(struct gateway *gateway, int error)
{
	gateway_count(gateway, GATEWAY_EXHAUSTED);
	gateway_tell_seldom(gateway, &(struct gateway_event){ .kind = EVENT_EXHAUSTED, .error = error });
}

int datagram_socket(struct gateway *gateway, sa_family_t family, int protocol)
{
	const int fd = gateway_socket(gateway, family, SOCK_DGRAM, protocol, NULL);

	if (fd < 0) {
		if (is_exhausted(-fd))
			tell_exhausted(gateway, -fd);
		return fd;
	}
	if (family == AF_INET6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	datagram_prepare_socket(fd, family, protocol == IPPROTO_UDP);
	return fd;
}

/* --- Flows. --- */

bool datagram_flow_add(struct gateway *gateway, struct datagram_flow *datagram_flow)
{
	struct flow *flow = &datagram_flow->flow;

	flow->gateway = gateway;
	datagram_flow->dont_fragment = 2;
	datagram_flow->burst.size = 1;
	datagram_flow->used_ms = gateway_now_ms();
	const int error = datapath_watch(&flow->watch, EPOLLIN);
	if (error != 0) {
		tell_exhausted(gateway, error);
		return false;
	}
	flow_table_add(&gateway->flows, flow);
	if (datagram_flow->lifetime_ms > 0)
		gateway_set_timer(flow, datagram_flow->used_ms + datagram_flow->lifetime_ms);
	return true;
}

bool datagram_flow_is_over(struct datagram_flow *flow, int64_t now_ms)
{
	const int64_t due_ms = flow->used_ms + flow->lifetime_ms;

	if (now_ms >= due_ms)
		return true;
	gateway_set_timer(&flow->flow, due_ms);
	return false;
}

HOT void datagram_flow_use(struct datagram_flow *flow)
{
	const int64_t now_ms = gateway_now_ms();

	/* The clock is coarse: within a batch it does not move, and neither need the flow. */
	if (now_ms == flow->used_ms)
		return;
	flow->used_ms = now_ms;
	flow_table_use(&flow->flow.gateway->flows, &flow->flow, flow->flow.class);
}

void datagram_flow_resume(struct datagram_flow *flow)
{
	if (flow->flow.watch.events & EPOLLIN)
		return;
	if (flow->flow.gateway->is_paused)
		gateway_hold_back(&flow->flow);
	else
		datapath_watch(&flow->flow.watch, EPOLLIN);
}

void datagram_flow_close(struct datagram_flow *flow)
{
	gateway_forget(&flow->flow);
	close(flow->flow.watch.fd);
}

/* --- Rules. --- */

static struct gateway_rule *rule_of(struct datagram_flow *flow)
{
	struct gateway *gateway = flow->flow.gateway;
	const int32_t index = flow->flow.rule;

	return index >= 0 && (uint32_t)index < gateway->rule_count ? &gateway->rules[index] : NULL;
}

void datagram_count_answer(struct datagram_flow *flow)
{
	struct gateway_rule *rule = rule_of(flow);

	if (rule != NULL)
		rule->answers++;
}

void datagram_count_failure(struct datagram_flow *flow, int error)
{
	struct gateway_rule *rule = rule_of(flow);
	const int64_t now_ms = gateway_now_ms();

	if (rule == NULL)
		return;
	rule->failures++;
	if (now_ms < rule->failure_told_ms)
		return;
	rule->failure_told_ms = now_ms + RULE_PAUSE_MS;
	gateway_tell(flow->flow.gateway, &(struct gateway_event){ .kind = EVENT_RULE_FAILED, .rule = flow->flow.rule,
								  .error = error });
}

/* --- Errors. --- */

/* Picks an error and who told of it out of what came with it. */
static bool find_error(struct msghdr *header, struct datagram_error *error)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
		if (!(part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) &&
		    !(part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR))
			continue;
		struct {
			struct sock_extended_err about;
			union udp_address offender;
		} said = { 0 };
		const size_t length = part->cmsg_len - CMSG_LEN(0);
		memcpy(&said, CMSG_DATA(part), length < sizeof said ? length : sizeof said);
		error->about = said.about;
		error->has_offender = said.offender.family == AF_INET || said.offender.family == AF_INET6;
		if (error->has_offender)
			error->offender = address_of_socket(&said.offender);
		return true;
	}
	return false;
}

uint32_t datagram_read_errors(struct datagram_flow *flow, datagram_report *report)
{
	uint8_t bytes[MAX_QUOTED];
	uint32_t mtu = 0;
	uint32_t read = 0;

	for (; read < MAX_ERRORS_READ; read++) {
		union udp_address to = { 0 };
		union {
			struct cmsghdr first;
			char bytes[512];
		} control;
		struct iovec part = { .iov_base = bytes, .iov_len = sizeof bytes };
		struct msghdr header = { .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &part, .msg_iovlen = 1,
					 .msg_control = &control, .msg_controllen = sizeof control };
		const ssize_t length = recvmsg(flow->flow.watch.fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
		struct datagram_error error = { .bytes = bytes, .length = length > 0 ? (uint32_t)length : 0 };
		if (length < 0)
			break;
		if (!find_error(&header, &error))
			continue;
		error.to = address_of_socket(&to);
		error.port = udp_port(&to);
		/* What the host itself says, it says of what is being sent. */
		if (error.about.ee_origin == SO_EE_ORIGIN_LOCAL && error.about.ee_errno == EMSGSIZE)
			mtu = error.about.ee_info;
		if (error.about.ee_origin == SO_EE_ORIGIN_ICMP || error.about.ee_origin == SO_EE_ORIGIN_ICMP6)
			report(flow, &error);
	}
	if (read == 0) {
		/* An error that is in no queue has to be fetched, or it is told of for ever. */
		int ignored;
		socklen_t size = sizeof ignored;
		getsockopt(flow->flow.watch.fd, SOL_SOCKET, SO_ERROR, &ignored, &size);
	}
	return mtu;
}

/* Whether a guest may hear that it was said by them: not by the host's own inside, nor by its neighbours' link-local ones. */
static bool is_presentable(const struct ip_address *offender)
{
	return !address_is_loopback(offender) &&
	       !(offender->bytes[0] == 0xfe && (offender->bytes[1] & 0xc0) == 0x80);
}

void datagram_pass_on(struct datagram_flow *flow, uint8_t protocol, const struct datagram_error *error,
		      const struct ip_address *remote, const uint8_t *quoted, uint32_t quoted_length)
{
	const bool is_v6 = error->about.ee_origin == SO_EE_ORIGIN_ICMP6;
	struct icmp_kind kind = { error->about.ee_type, error->about.ee_code };
	const struct ip_address *offender = &error->offender;
	uint32_t info = error->about.ee_info;

	if (flow->is_connected || !error->has_offender || !is_presentable(offender))
		offender = NULL;
	/* Between IPv4 and IPv6 the headers differ. */
	if (is_v6 != flow->flow.is_v6) {
		const enum icmp_problem problem = icmp_problem_of((int)error->about.ee_errno);
		kind = icmp_kind_of(problem, flow->flow.is_v6);
		info = is_v6 ? info - (IPV6_HEADER - IPV4_HEADER) : info + (IPV6_HEADER - IPV4_HEADER);
	}
	datagram_count_failure(flow, (int)error->about.ee_errno);
	icmp_pass_on(&flow->flow, protocol, kind.type, kind.code, info, offender, remote, quoted, quoted_length);
}

/* --- Sending. --- */

/*
 * The headers that the host writes are to say what the guest's said, one hop further. Sockets are told when that changes,
 * which it seldom does, rather than with each datagram. A guest that does not want its packets to be cut is to hear how
 * long they may be (RFC 4787, REQ-13), so that the discovery of path MTUs is its own.
 */
HOT static void follow_headers(struct datagram_flow *flow, const struct guest_packet *packet, sa_family_t family)
{
	const int fd = flow->flow.watch.fd;
	const bool is_v6 = family == AF_INET6;
	const int level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	const uint8_t hop_limit = (uint8_t)(packet->hop_limit > 1 ? packet->hop_limit - 1 : 1);

	if (hop_limit != flow->hop_limit) {
		set_option(fd, level, is_v6 ? IPV6_UNICAST_HOPS : IP_TTL, hop_limit);
		flow->hop_limit = hop_limit;
	}
	if (packet->traffic_class != flow->traffic_class) {
		set_option(fd, level, is_v6 ? IPV6_TCLASS : IP_TOS, packet->traffic_class);
		flow->traffic_class = packet->traffic_class;
	}
	if (packet->dont_fragment != flow->dont_fragment) {
		/* The values of both are the same. */
		set_option(fd, level, is_v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER,
			   packet->dont_fragment ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
		flow->dont_fragment = packet->dont_fragment;
	}
}

/* A datagram on its way out, or several of one length. */
struct departure {
	struct datagram_flow *flow;
	const union udp_address *to;
	datagram_report *report;
	uint32_t mtu; /* that the host told of */
};

HOT static int send_once(const struct departure *departure, struct iovec *parts, size_t count, uint32_t segment)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control;
	const union udp_address *to = departure->to;
	const uint16_t size = (uint16_t)segment;
	/* Sending does not change what these point to. */
	struct msghdr header = { .msg_name = (void *)(uintptr_t)to,
				 .msg_namelen = to == NULL ? 0 : socket_address_length(to), .msg_iov = parts,
				 .msg_iovlen = count };

	if (segment != 0) {
		header.msg_control = &control;
		header.msg_controllen = sizeof control;
		control.header.cmsg_level = IPPROTO_UDP;
		control.header.cmsg_type = UDP_SEGMENT;
		control.header.cmsg_len = CMSG_LEN(sizeof size);
		memcpy(CMSG_DATA(&control.header), &size, sizeof size);
	}
	return sendmsg(departure->flow->flow.watch.fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}

/* The same; what came back for a packet before is told first instead of sending this one. */
HOT static int send_one(struct departure *departure, struct iovec *parts, size_t count, uint32_t segment)
{
	int error = send_once(departure, parts, count, segment);

	if (error == 0 || error == EAGAIN || error == ENOBUFS)
		return error;
	const uint32_t mtu = datagram_read_errors(departure->flow, departure->report);
	departure->mtu = mtu != 0 ? mtu : departure->mtu;
	if (error == EMSGSIZE && mtu != 0)
		return error;
	error = send_once(departure, parts, count, segment);
	if (error == EMSGSIZE) {
		const uint32_t said = datagram_read_errors(departure->flow, departure->report);
		departure->mtu = said != 0 ? said : departure->mtu;
	}
	return error;
}

/* Whether the kernel will not cut what it is given, though it could send it. */
static bool means_refused(int error)
{
	return error == EINVAL || error == EIO || error == EOPNOTSUPP || error == EMSGSIZE || error == ENOPROTOOPT;
}

/* Notes whether the kernel took several datagrams at once; whether they are to be sent one by one. */
static bool is_refused(struct datagram_flow *flow, int error)
{
	if (error == 0 || !means_refused(error)) {
		flow->refusals = 0;
		return false;
	}
	flow->refusals++;
	return true;
}

static int send_each(struct departure *departure, const uint8_t *bytes, size_t length, uint32_t segment)
{
	for (size_t at = 0; at < length; at += segment) {
		struct iovec part = { .iov_base = (void *)(uintptr_t)(bytes + at),
				      .iov_len = length - at < segment ? length - at : segment };
		const int error = send_one(departure, &part, 1, 0);
		if (error != 0)
			return error;
	}
	return 0;
}

/* As many datagrams at a time as the kernel takes. */
HOT static int send_run(struct departure *departure, const uint8_t *bytes, size_t length, uint32_t segment)
{
	const size_t most = (size_t)segment * MAX_UDP_SEGMENTS;

	for (size_t at = 0; at < length; at += most) {
		const size_t size = length - at < most ? length - at : most;
		struct iovec part = { .iov_base = (void *)(uintptr_t)(bytes + at), .iov_len = size };
		int error = send_one(departure, &part, 1, size > segment ? segment : 0);
		if (is_refused(departure->flow, error))
			error = send_each(departure, bytes + at, size, segment);
		if (error != 0)
			return error;
	}
	return 0;
}

static void refuse(struct departure *departure, const struct guest_packet *packet, int error)
{
	struct datagram_flow *flow = departure->flow;
	struct gateway *gateway = flow->flow.gateway;
	const enum icmp_problem problem = icmp_problem_of(error);

	if (error == EAGAIN || error == ENOBUFS || error == ENOMEM) {
		gateway_count(gateway, GATEWAY_DROPPED);
		return;
	}
	if (flow->is_connected)
		datagram_count_failure(flow, error);
	gateway_count(gateway, GATEWAY_REFUSED);
	/* Too long for any MTU, not for that of the path: there is nothing to say. */
	if (problem != ICMP_TOO_BIG || departure->mtu != 0)
		icmp_refuse(gateway, packet, problem, departure->mtu);
}

HOT int datagram_send(struct datagram_flow *flow, const struct guest_packet *packet, const union udp_address *to,
		      struct iovec *parts, size_t count, uint32_t segment, datagram_report *report)
{
	struct departure departure = { .flow = flow, .to = to, .report = report };
	int error;

	follow_headers(flow, packet, to == NULL ? flow->to.family : to->family);
	if (segment == 0)
		error = send_one(&departure, parts, count, 0);
	else
		error = send_run(&departure, parts[0].iov_base, parts[0].iov_len, segment);
	if (error != 0)
		refuse(&departure, packet, error);
	return error;
}

HOT int datagram_send_run(struct datagram_flow *flow, const struct guest_packet *packet, const union udp_address *to,
			  struct iovec *parts, size_t count, datagram_report *report)
{
	struct departure departure = { .flow = flow, .to = to, .report = report };

	follow_headers(flow, packet, to == NULL ? flow->to.family : to->family);
	int error = send_one(&departure, parts, count, count > 1 ? (uint32_t)parts[0].iov_len : 0);
	if (count > 1 && is_refused(flow, error)) {
		error = 0;
		for (size_t i = 0; i < count && error == 0; i++)
			error = send_one(&departure, &parts[i], 1, 0);
	}
	if (error != 0)
		refuse(&departure, packet, error);
	return error;
}

bool datagram_takes_runs(const struct datagram_flow *flow)
{
	return flow->refusals < MAX_REFUSALS;
}

/* --- Receiving. --- */

union control {
	struct cmsghdr first;
	char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint8_t)) + CMSG_SPACE(sizeof(int))];
};

/* What the kernel says beside a message. */
HOT static void read_control(struct datagram *datagram, struct msghdr *header)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
		int value;
		if (part->cmsg_level == IPPROTO_UDP && part->cmsg_type == UDP_GRO) {
			memcpy(&value, CMSG_DATA(part), sizeof value);
			datagram->segment = value > 0 && (uint32_t)value < datagram->length ? (uint32_t)value : 0;
		} else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_TOS) {
			datagram->traffic_class = *CMSG_DATA(part);
		} else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_TCLASS) {
			memcpy(&value, CMSG_DATA(part), sizeof value);
			datagram->traffic_class = (uint8_t)value;
		}
	}
}

HOT static int receive_messages(int fd, struct receive_room *room, struct datagram *datagrams, uint32_t capacity)
{
	struct mmsghdr headers[MAX_RECEIVED];
	struct iovec parts[MAX_RECEIVED];
	union control controls[MAX_RECEIVED];
	union udp_address from[MAX_RECEIVED];

	for (uint32_t i = 0; i < capacity; i++) {
		uint8_t *bytes = room->arena + (size_t)i * MAX_FRAME_BYTES + DATAGRAM_HEADROOM;
		parts[i] = (struct iovec){ .iov_base = bytes, .iov_len = MAX_FRAME_BYTES - DATAGRAM_HEADROOM };
		headers[i].msg_hdr = (struct msghdr){
			.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &parts[i], .msg_iovlen = 1,
			.msg_control = &controls[i], .msg_controllen = sizeof controls[i],
		};
	}
	/* One at a time costs less, which counts for a lone one. */
	int count = 1;
	if (capacity > 1) {
		count = recvmmsg(fd, headers, capacity, MSG_DONTWAIT, NULL);
	} else {
		const ssize_t length = recvmsg(fd, &headers[0].msg_hdr, MSG_DONTWAIT);
		headers[0].msg_len = (unsigned int)length;
		count = length < 0 ? -1 : 1;
	}
	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		datagrams[i] = (struct datagram){ .bytes = parts[i].iov_base, .length = headers[i].msg_len,
						  .from = address_of_socket(&from[i]), .port = udp_port(&from[i]) };
		read_control(&datagrams[i], &headers[i].msg_hdr);
	}
	return count;
}

HOT uint32_t datagram_receive(struct datagram_flow *flow, struct receive_room *room, struct datagram *datagrams,
			      datagram_report *report)
{
	if (flow->flow.gateway->is_paused) {
		datapath_watch(&flow->flow.watch, 0);
		gateway_hold_back(&flow->flow);
		return 0;
	}
	const int count = receive_messages(flow->flow.watch.fd, room, datagrams, flow->burst.size);
	if (count == 0 || count == -EAGAIN)
		return 0;
	if (count < 0) {
		datagram_read_errors(flow, report);
		return 0;
	}
	burst_adapt(&flow->burst, (uint32_t)count, MAX_RECEIVED);
	datagram_flow_use(flow);
	return (uint32_t)count;
}
