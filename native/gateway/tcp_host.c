/*
 * The host's side of a guest's TCP connection: a socket, or what JavaScript made in its place.
 *
 * What the host sent stays in the socket until the guest has acknowledged it. Where the socket remembers how far it was
 * read (SO_PEEK_OFF: TCP since Linux 6.9, Unix sockets), it is asked for what follows; elsewhere what was read before is
 * read again, into nowhere, which is why less is on the way at a time there.
 */
#define _GNU_SOURCE
#include "tcp_flow.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hot.h"

/* What a guest may send before the connection stands. */
#define FIRST_ROOM_BYTES 65535
#define MOST_ROOM_BYTES (8 * 1024 * 1024)
/* A host that does not answer is found out after 5 minutes of silence, and as long again. */
#define KEEPALIVE_IDLE_S 300
#define KEEPALIVE_PAUSE_S 60
#define KEEPALIVE_PROBES 5
#define NOWHERE_BYTES (1024 * 1024)

/* Where bytes go that were read before. */
static uint8_t nowhere[NOWHERE_BYTES];

static void set_option(int fd, int level, int name, int value)
{
	setsockopt(fd, level, name, &value, sizeof value);
}

static void serve(struct watch *watch, uint32_t events, struct receive_room *room);

int tcp_host_attach(struct tcp_flow *tcp, int fd, bool is_connecting)
{
	int domain = 0;
	socklen_t length = sizeof domain;

	tcp->flow.watch.fd = fd;
	tcp->flow.watch.serve = serve;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0)
		return errno;
	tcp->is_tcp = domain == AF_INET || domain == AF_INET6;
	if (!is_connecting)
		tcp_host_opened(tcp);
	/* What stays in the socket would be told again and again: only what is new counts. */
	return datapath_watch(&tcp->flow.watch, EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int tcp_host_connect(struct tcp_flow *tcp, const union udp_address *to)
{
	const int fd = gateway_socket(tcp->flow.gateway, to->family, SOCK_STREAM, 0, &tcp->flow);

	if (fd < 0)
		return -fd;
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (connect(fd, (const struct sockaddr *)to, socket_address_length(to)) != 0 && errno != EINPROGRESS) {
		const int error = errno;
		close(fd);
		return error;
	}
	const int error = tcp_host_attach(tcp, fd, true);
	if (error != 0) {
		close(fd);
		tcp->flow.watch.fd = -1;
	}
	return error;
}

void tcp_host_opened(struct tcp_flow *tcp)
{
	const int fd = tcp->flow.watch.fd;
	const int begin = 0;

	tcp->seen |= SEEN_CONNECTED;
	tcp->may_read = true;
	tcp->peeks_on = setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &begin, sizeof begin) == 0;
	if (!tcp->is_tcp)
		return;
	set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

void tcp_host_keep_alive(struct tcp_flow *tcp)
{
	const int fd = tcp->flow.watch.fd;

	if (tcp->is_kept_alive || !tcp->is_tcp)
		return;
	tcp->is_kept_alive = true;
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_PAUSE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

/* Keeps what the socket did not take; how much of it. */
static uint32_t hold(struct tcp_flow *tcp, const uint8_t *bytes, uint32_t length)
{
	if (tcp->held == NULL)
		tcp->held = malloc(HOLD_BYTES);
	if (tcp->held == NULL)
		return 0;
	const uint32_t most = HOLD_BYTES - tcp->held_end;
	const uint32_t count = length < most ? length : most;
	memcpy(tcp->held + tcp->held_end, bytes, count);
	tcp->held_end += count;
	return count;
}

static bool is_no_memory(int error)
{
	return error == ENOBUFS || error == ENOMEM;
}

HOT int32_t tcp_host_take(struct tcp_flow *tcp, const uint8_t *bytes, uint32_t length)
{
	ssize_t taken = 0;

	if (tcp->held_end == 0 && tcp->seen & SEEN_CONNECTED) {
		taken = send(tcp->flow.watch.fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (taken < 0 && errno != EAGAIN && !is_no_memory(errno))
			return -errno;
		tcp->lacks_memory = taken < 0 && is_no_memory(errno);
		taken = taken < 0 ? 0 : taken;
	}
	if (taken < length)
		taken += hold(tcp, bytes + taken, length - (uint32_t)taken);
	return (int32_t)taken;
}

int tcp_host_flush(struct tcp_flow *tcp)
{
	if (tcp->held_end == 0)
		return 0;
	const ssize_t taken = send(tcp->flow.watch.fd, tcp->held + tcp->held_first, tcp->held_end - tcp->held_first,
				   MSG_DONTWAIT | MSG_NOSIGNAL);
	tcp->lacks_memory = taken < 0 && is_no_memory(errno);
	if (taken < 0)
		return errno == EAGAIN || tcp->lacks_memory ? 0 : errno;
	tcp->held_first += (uint32_t)taken;
	if (tcp->held_first < tcp->held_end)
		return 0;
	free(tcp->held);
	tcp->held = NULL;
	tcp->held_first = tcp->held_end = 0;
	tcp->owes |= OWES_ACK;
	return 0;
}

/* Reads behind what was read before, where the socket does not remember how far that was. */
static ssize_t peek_over(struct tcp_flow *tcp, uint8_t *bytes, uint32_t length)
{
	const uint32_t before = tcp_in_flight(tcp) + tcp->to_discard;
	struct iovec parts[] = { { nowhere, before }, { bytes, length } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

	if (before > NOWHERE_BYTES) {
		errno = EAGAIN;
		return -1;
	}
	const ssize_t count = recvmsg(tcp->flow.watch.fd, &message, MSG_PEEK | MSG_DONTWAIT);
	if (count > 0 && (size_t)count > before)
		return count - (ssize_t)before;
	if (count < 0 || (count > 0 && !tcp->host_ends) || (size_t)count < before) {
		errno = count < 0 ? errno : EAGAIN;
		return -1;
	}
	return 0;
}

HOT int32_t tcp_host_peek(struct tcp_flow *tcp, uint8_t *bytes, uint32_t length)
{
	const ssize_t count = tcp->peeks_on ? recv(tcp->flow.watch.fd, bytes, length, MSG_PEEK | MSG_DONTWAIT)
					    : peek_over(tcp, bytes, length);

	return count < 0 ? -errno : (int32_t)count;
}

void tcp_host_seek(struct tcp_flow *tcp, uint32_t offset)
{
	const int value = (int)offset;

	if (tcp->peeks_on)
		setsockopt(tcp->flow.watch.fd, SOL_SOCKET, SO_PEEK_OFF, &value, sizeof value);
}

HOT void tcp_host_discard(struct tcp_flow *tcp)
{
	while (tcp->to_discard > 0) {
		const uint32_t most = tcp->is_tcp || tcp->to_discard < NOWHERE_BYTES ? tcp->to_discard : NOWHERE_BYTES;
		const ssize_t count = recv(tcp->flow.watch.fd, tcp->is_tcp ? NULL : nowhere, most,
					   MSG_DONTWAIT | (tcp->is_tcp ? MSG_TRUNC : 0));
		if (count <= 0)
			return;
		tcp->to_discard -= (uint32_t)count;
	}
}

HOT uint32_t tcp_host_room(const struct tcp_flow *tcp)
{
	int waiting = 0, size = 0;
	socklen_t length = sizeof size;

	if (!(tcp->seen & SEEN_CONNECTED))
		return FIRST_ROOM_BYTES;
	if (tcp->held_end > 0 || tcp->seen & SEEN_GUEST_FIN)
		return 0;
	if (ioctl(tcp->flow.watch.fd, SIOCOUTQ, &waiting) != 0 ||
	    getsockopt(tcp->flow.watch.fd, SOL_SOCKET, SO_SNDBUF, &size, &length) != 0)
		return HOLD_BYTES;
	/* The buffer counts more than the bytes: a quarter for that. What is too much is held, and says when to go on. */
	const int free_bytes = size / 4 * 3 - waiting;
	const uint32_t room = (uint32_t)(free_bytes > 0 ? free_bytes : 0) + HOLD_BYTES / 2;
	return room < MOST_ROOM_BYTES ? room : MOST_ROOM_BYTES;
}

void tcp_host_close(struct tcp_flow *tcp, bool is_abrupt)
{
	const struct linger at_once = { .l_onoff = 1 };

	free(tcp->held);
	tcp->held = NULL;
	if (tcp->flow.watch.fd < 0)
		return;
	if (tcp->token != 0)
		gateway_tell(tcp->flow.gateway, &(struct gateway_event){ .kind = EVENT_DISCONNECT, .token = tcp->token });
	datapath_unwatch(&tcp->flow.watch);
	if (is_abrupt)
		setsockopt(tcp->flow.watch.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(tcp->flow.watch.fd);
	tcp->flow.watch.fd = -1;
}

static int fetch_error(int fd)
{
	int error = 0;
	socklen_t length = sizeof error;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

/* What epoll tells of the socket is noted; the flow's task does the rest. */
HOT static void serve(struct watch *watch, uint32_t events, struct receive_room *room)
{
	struct tcp_flow *tcp = (struct tcp_flow *)((char *)watch - offsetof(struct flow, watch));
	const bool is_connecting = !(tcp->seen & SEEN_CONNECTED);

	(void)room;
	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP))
		tcp->may_read = true;
	if (events & EPOLLPRI)
		tcp->has_urgent = true;
	if (events & (EPOLLRDHUP | EPOLLHUP))
		tcp->host_ends = true;
	/* A connection that stands may have an error that was overcome: it is not asked for then. */
	const bool may_fail = (events & EPOLLERR) || (is_connecting && events & EPOLLHUP);
	const int error = may_fail ? fetch_error(watch->fd) : 0;
	if (is_connecting && error == 0 && events & EPOLLOUT)
		tcp_host_opened(tcp);
	tcp_host_event(tcp, error);
}
