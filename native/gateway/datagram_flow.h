/*
 * What UDP (udp.h) and echo (echo.h) have in common: flows with a datagram socket of the host, that end when they were
 * not used for a while.
 */
#ifndef VDENS_DATAGRAM_FLOW_H
#define VDENS_DATAGRAM_FLOW_H

#include <time.h>

#include <linux/errqueue.h>
#include <sys/uio.h>

#include "burst.h"
#include "gateway.h"

/* How many messages are received at a time; others then have their turn. */
#define MAX_RECEIVED 32
/* Free bytes before each message that was received. */
#define DATAGRAM_HEADROOM 8

/**
 * struct datagram_flow - one.
 * @flow: as the gateway knows it
 * @family: of the socket; one that was given may be AF_INET6 and serve IPv4, too
 * @is_connected: to @to, where a rule leads: who answers is the remote of the key
 * @hop_limit: of what leaves, as the socket was told last
 * @traffic_class: likewise
 * @dont_fragment: likewise: 0 or 1; 2 at first
 * @to: of a connected one
 * @used_ms: when it was used last
 * @lifetime_ms: how long it stays after that
 * @burst: how many messages to ask for
 * @refusals: how often in a row the kernel did not take several datagrams at once
 */
struct datagram_flow {
	struct flow flow;
	sa_family_t family;
	bool is_connected;
	uint8_t hop_limit;
	uint8_t traffic_class;
	uint8_t dont_fragment;
	union udp_address to;
	int64_t used_ms;
	int32_t lifetime_ms;
	struct burst burst;
	uint32_t refusals;
};

/* What came out of a socket: one datagram, or several of @segment bytes each. */
struct datagram {
	uint8_t *bytes;
	uint32_t length;
	uint32_t segment; /* 0 when it is one */
	uint8_t traffic_class;
	struct ip_address from;
	uint16_t port; /* network order */
};

/* What the error queue of a socket told. */
struct datagram_error {
	struct sock_extended_err about;
	bool has_offender;
	struct ip_address offender;
	struct ip_address to;
	uint16_t port; /* network order */
	const uint8_t *bytes; /* as much of the packet as was quoted; echo: with its ICMP header */
	uint32_t length;
};

typedef void datagram_report(struct datagram_flow *flow, const struct datagram_error *error);

/* A socket that says its errors; or -errno, which has been counted and told. */
int datagram_socket(struct gateway *gateway, sa_family_t family, int protocol);

/* Makes a given socket one of a gateway. */
void datagram_prepare_socket(int fd, sa_family_t family, bool is_udp);

/*
 * Adds a flow whose key, class, socket, serve, family and lifetime are filled in. False when it cannot be watched; then
 * it is the caller's still.
 */
bool datagram_flow_add(struct gateway *gateway, struct datagram_flow *flow);

/* Its timer ran: whether its time is over. */
bool datagram_flow_is_over(struct datagram_flow *flow, int64_t now_ms);

/* It was used. */
void datagram_flow_use(struct datagram_flow *flow);

/* Reads on after a pause. */
void datagram_flow_resume(struct datagram_flow *flow);

/* Takes it out of the gateway, and closes its socket. */
void datagram_flow_close(struct datagram_flow *flow);

/*
 * Sends what a guest's packet carries, @count parts, as datagrams of @segment bytes when that is not 0. What cannot leave
 * is counted, and answered with an ICMP error; 0 or an errno.
 * @to: NULL for a connected flow
 */
int datagram_send(struct datagram_flow *flow, const struct guest_packet *packet, const union udp_address *to,
		  struct iovec *parts, size_t count, uint32_t segment, datagram_report *report);

/*
 * The same of several datagrams, one in each part: all as long as the first, but for the last, which may be shorter; no
 * more than MAX_UDP_SEGMENTS and MAX_UDP_PAYLOAD. They leave in one system call.
 * @packet: that of the first
 */
int datagram_send_run(struct datagram_flow *flow, const struct guest_packet *packet, const union udp_address *to,
		      struct iovec *parts, size_t count, datagram_report *report);

/* Whether the kernel takes several datagrams of the flow at once, as far as is known. */
bool datagram_takes_runs(const struct datagram_flow *flow);

/* Receives what waits; how many, or 0. */
uint32_t datagram_receive(struct datagram_flow *flow, struct receive_room *room, struct datagram *datagrams,
			  datagram_report *report);

/* Reads the errors of a socket; the MTU that the host itself told of, or 0. */
uint32_t datagram_read_errors(struct datagram_flow *flow, datagram_report *report);

/* Passes one on: @quoted is what was behind the IP header of the guest's packet. */
void datagram_pass_on(struct datagram_flow *flow, uint8_t protocol, const struct datagram_error *error,
		      const struct ip_address *remote, const uint8_t *quoted, uint32_t quoted_length);

/* Counts an answer, or an error, of the rule that translates a flow. */
void datagram_count_answer(struct datagram_flow *flow);
void datagram_count_failure(struct datagram_flow *flow, int error);

#endif
