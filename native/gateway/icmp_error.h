/*
 * ICMP errors to guests (RFC 792, RFC 4443): what a router would say, and what a socket's error queue passes on.
 */
#ifndef VDENS_ICMP_ERROR_H
#define VDENS_ICMP_ERROR_H

#include "gateway.h"

/* How many errors leave per second, and at once (RFC 1812, 4.3.2.8; RFC 4443, 2.4 (f)). */
#define MAX_ICMP_ERRORS_PER_SECOND 1000
#define MAX_ICMP_ERRORS_AT_ONCE 200

/* What is the matter, for both kinds of ICMP. */
enum icmp_problem {
	ICMP_NO_ROUTE,
	ICMP_HOST_UNREACHABLE,
	ICMP_PORT_UNREACHABLE,
	ICMP_PROTOCOL_UNREACHABLE,
	ICMP_PROHIBITED,
	ICMP_TOO_BIG,	    /* with the MTU */
	ICMP_TIME_EXCEEDED, /* on the way */
	ICMP_REASSEMBLY_TIME_EXCEEDED,
	ICMP_PROBLEMS,
};

/*
 * Answers a guest's packet with an error from the gateway, or nothing when the packet is one that no error may answer
 * (an ICMP error, a later fragment, to a group: RFC 1122, 3.2.2). At most so many per second leave (RFC 1812, 4.3.2.8).
 */
void icmp_refuse(struct gateway *gateway, const struct guest_packet *packet, enum icmp_problem problem, uint32_t mtu);

/* What an errno of connect(2) or sendmsg(2) means for a guest. */
enum icmp_problem icmp_problem_of(int error);

/* How a problem is said. */
struct icmp_kind {
	uint8_t type;
	uint8_t code;
};

struct icmp_kind icmp_kind_of(enum icmp_problem problem, bool is_v6);

/*
 * Passes an error on that the error queue of a flow's socket told of (ip(7), IP_RECVERR), about a packet that the guest
 * sent: its headers are made up again as the guest sent them, with @quoted behind the IP header.
 * @info: the MTU, or the pointer; 0 otherwise
 * @offender: who told of it, or NULL when it is to come from the gateway
 */
void icmp_pass_on(struct flow *flow, uint8_t protocol, uint8_t type, uint8_t code, uint32_t info,
		  const struct ip_address *offender, const struct ip_address *remote, const uint8_t *quoted,
		  uint32_t quoted_length);

#endif
