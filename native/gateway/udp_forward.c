#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "udp.h"
#include "udp_flow.h"

/* The remote port of the key of a forward: its remote address is all zero, so no mapping has that key. */
#define FORWARD_MARK 0xffff

/* How many forwards there are: without any, none is searched. */
static uint32_t forward_count;

static struct flow_key key_of(const struct ip_address *guest, uint16_t port)
{
	struct flow_key key = udp_key(guest, port);

	key.remote_port = FORWARD_MARK;
	return key;
}

struct udp_flow *udp_forward_find(struct gateway *gateway, const struct ip_address *guest, uint16_t port)
{
	const struct flow_key key = key_of(guest, port);

	return forward_count == 0 ? NULL : udp_flow_of(flow_table_find(&gateway->flows, &key));
}

bool udp_forward_find_guest(struct udp_flow *flow)
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

void udp_forward_wait(struct udp_flow *flow)
{
	struct flow *common = &flow->base.flow;

	if (flow->is_waiting)
		return;
	flow->is_waiting = true;
	list_add_last(&common->gateway->seekers, &common->wait_link);
	datapath_watch(&common->watch, 0);
	gateway_set_timer(common, gateway_now_ms() + FORWARD_RESOLVE_MS);
}

static void end_waiting(struct udp_flow *flow)
{
	if (!flow->is_waiting)
		return;
	flow->is_waiting = false;
	list_remove(&flow->base.flow.wait_link);
}

void udp_resolved(struct flow *common)
{
	struct udp_flow *flow = udp_flow_of(common);

	if (!flow->is_waiting)
		return;
	end_waiting(flow);
	datagram_flow_resume(&flow->base);
}

void udp_forward_time_out(struct udp_flow *flow)
{
	flow->is_lost = true;
	udp_resolved(&flow->base.flow);
}

/* What a given socket is bound to. */
static bool read_binding(int fd, union udp_address *bound)
{
	socklen_t length = sizeof *bound;

	*bound = (union udp_address){ 0 };
	return getsockname(fd, (struct sockaddr *)bound, &length) == 0;
}

static struct flow *give_up(struct udp_flow *flow, int error)
{
	if (flow != NULL)
		free(flow->peers);
	free(flow);
	errno = error;
	return NULL;
}

struct flow *udp_forward(struct gateway *gateway, int fd, const struct ip_address *guest, uint16_t port)
{
	const struct flow_key key = key_of(guest, port);
	union udp_address bound;

	if (!read_binding(fd, &bound))
		return give_up(NULL, errno);
	if (flow_table_find(&gateway->flows, &key) != NULL)
		return give_up(NULL, EADDRINUSE);
	if (!gateway_make_room(gateway))
		return give_up(NULL, ENOSPC);
	struct udp_flow *flow = udp_flow_make(gateway, &key, fd, bound.family);
	if (flow == NULL)
		return give_up(NULL, ENOMEM);
	flow->peers = forward_peers_open();
	if (flow->peers == NULL)
		return give_up(flow, ENOMEM);
	const struct ip_address address = address_of_socket(&bound);
	flow->is_local = address_is_loopback(&address);
	flow->base.flow.class = CLASS_FORWARD;
	datagram_prepare_socket(fd, bound.family, true);
	if (!datagram_flow_add(gateway, &flow->base))
		return give_up(flow, ENOSPC);
	forward_count++;
	return &flow->base.flow;
}

void udp_forward_end(struct udp_flow *flow)
{
	end_waiting(flow);
	forward_count--;
}
