#define _GNU_SOURCE
#include "listener.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tcp.h"

#define AT_ONCE 16

static bool is_loopback(const struct ip_address *address)
{
	static const uint8_t one[ADDRESS_BYTES] = { [15] = 1 };

	return address_is_v4(address) ? address->bytes[MAPPED_BYTES] == 127
				      : memcmp(address->bytes, one, ADDRESS_BYTES) == 0;
}

/* The guest hears the client's address, when it can answer it through us. */
static void accept_one(struct listener *listener, int fd, const union udp_address *peer)
{
	const struct ip_address client = address_of_socket(peer);
	const struct ip_address *own = gateway_own(listener->gateway, !address_is_v4(&listener->guest));
	const bool is_kept = address_is_v4(&client) == address_is_v4(&listener->guest) && !is_loopback(&client) &&
			     !gateway_is_local(listener->gateway, &client);

	if (!is_kept && own == NULL) {
		close(fd);
		return;
	}
	tcp_forward(listener->gateway, fd, is_kept ? &client : own, udp_port(peer), &listener->guest, listener->port);
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
		/* Without a descriptor it would be told again at once; a new connection tells, too. */
		if (errno == EMFILE || errno == ENFILE)
			gateway_tell_seldom(listener->gateway,
					    &(struct gateway_event){ .kind = EVENT_EXHAUSTED, .error = errno });
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

void listener_close(struct listener *listener)
{
	datapath_unwatch(&listener->watch);
	close(listener->watch.fd);
}
