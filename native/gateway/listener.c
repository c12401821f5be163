#define _GNU_SOURCE
#include "listener.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tcp.h"

#define AT_ONCE 16
/* A listener that could not accept, for want of descriptors, tries again after that. */
#define ACCEPT_PAUSE_MS 200

/* The guest hears the client's address, when it can answer it through us. */
static void accept_one(struct listener *listener, int fd, const union udp_address *peer)
{
	const struct ip_address client = address_of_socket(peer);
	const struct ip_address *own = gateway_own(listener->gateway, !address_is_v4(&listener->guest));
	const bool is_kept = address_is_v4(&client) == address_is_v4(&listener->guest) && !address_is_loopback(&client) &&
			     !gateway_is_local(listener->gateway, &client);

	if (!is_kept && own == NULL) {
		close(fd);
		return;
	}
	tcp_forward(listener->gateway, fd, is_kept ? &client : own, udp_port(peer), &listener->guest, listener->port);
}

/* What waits is not told of again, and when the backlog is full nothing new is, either. */
static void stall(struct listener *listener)
{
	struct gateway *gateway = listener->gateway;

	if (listener->is_stalled)
		return;
	listener->is_stalled = true;
	listener->next_stalled = gateway->stalled;
	gateway->stalled = listener;
	gateway->accept_ms = gateway_now_ms() + ACCEPT_PAUSE_MS;
	datapath_look_at(gateway->accept_ms);
}

static void serve(struct watch *watch, uint32_t events, struct receive_room *room)
{
	struct listener *listener = (struct listener *)((char *)watch - offsetof(struct listener, watch));

	(void)events;
	(void)room;
	for (int i = 0; i < AT_ONCE; i++) {
		union udp_address peer = { 0 };
		socklen_t length = sizeof peer;
		const int fd = accept4(watch->fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			accept_one(listener, fd, &peer);
			continue;
		}
		const int error = errno;
		if (error == EMFILE || error == ENFILE)
			gateway_tell_seldom(listener->gateway,
					    &(struct gateway_event){ .kind = EVENT_EXHAUSTED, .error = error });
		if (error != EAGAIN)
			stall(listener);
		return;
	}
	/* There may be more, and what is watched for is a change. */
	datapath_watch(watch, EPOLLIN | EPOLLET);
}

int listener_open(struct listener *listener, struct gateway *gateway, int fd, const struct ip_address *guest,
		  uint16_t port)
{
	*listener = (struct listener){ .watch = { .fd = fd, .serve = serve }, .gateway = gateway, .guest = *guest,
				       .port = port };
	return datapath_watch(&listener->watch, EPOLLIN | EPOLLET);
}

int64_t listener_check(struct gateway *gateway, int64_t now_ms)
{
	if (gateway->stalled == NULL)
		return INT64_MAX;
	if (now_ms < gateway->accept_ms)
		return gateway->accept_ms;
	while (gateway->stalled != NULL) {
		struct listener *listener = gateway->stalled;
		gateway->stalled = listener->next_stalled;
		listener->is_stalled = false;
		datapath_watch(&listener->watch, EPOLLIN | EPOLLET);
	}
	return INT64_MAX;
}

static void forget_stall(struct listener *listener)
{
	struct listener **link = &listener->gateway->stalled;

	while (*link != NULL && *link != listener)
		link = &(*link)->next_stalled;
	if (*link != NULL)
		*link = listener->next_stalled;
}

void listener_close(struct listener *listener)
{
	forget_stall(listener);
	datapath_unwatch(&listener->watch);
	close(listener->watch.fd);
}
