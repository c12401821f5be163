#include "icmp_error.h"

#include <errno.h>

#include "checksum.h"

#define ICMP_HEADER 8
#define ICMP_CHECKSUM 2
#define ICMP_REST 4
#define ICMP_MTU 6
/* RFC 1812, 4.3.2.3: the packet has 576 bytes at most; RFC 4443, 2.4 (c): it fits the least MTU of IPv6. */
#define LONGEST_V4 576
#define LONGEST_V6 1280
#define LONGEST_QUOTE (LONGEST_V6 - IPV6_HEADER - ICMP_HEADER)

#define V4_UNREACHABLE 3
#define V4_FRAGMENTATION_NEEDED 4
#define V4_REDIRECT 5
#define V4_SOURCE_QUENCH 4
#define V4_TIME_EXCEEDED 11
#define V4_PARAMETER_PROBLEM 12
#define V6_TOO_BIG 2
#define V6_PARAMETER_PROBLEM 4
#define V6_FIRST_INFORMATION 128
#define V6_REDIRECT 137

/* Who says what to whom about which packet. */
struct icmp_error {
	struct packet_path path;
	struct icmp_kind kind;
	uint32_t info;
	const uint8_t *quoted; /* an IP packet */
	uint32_t quoted_length;
};

struct icmp_kind icmp_kind_of(enum icmp_problem problem, bool is_v6)
{
	static const struct icmp_kind kinds[ICMP_PROBLEMS][2] = {
		[ICMP_NO_ROUTE] = { { 3, 0 }, { 1, 0 } },
		[ICMP_HOST_UNREACHABLE] = { { 3, 1 }, { 1, 3 } },
		[ICMP_PORT_UNREACHABLE] = { { 3, 3 }, { 1, 4 } },
		[ICMP_PROTOCOL_UNREACHABLE] = { { 3, 2 }, { 4, 1 } },
		[ICMP_PROHIBITED] = { { 3, 13 }, { 1, 1 } },
		[ICMP_TOO_BIG] = { { 3, 4 }, { 2, 0 } },
		[ICMP_TIME_EXCEEDED] = { { 11, 0 }, { 3, 0 } },
		[ICMP_REASSEMBLY_TIME_EXCEEDED] = { { 11, 1 }, { 3, 1 } },
	};

	return kinds[problem][is_v6 ? 1 : 0];
}

enum icmp_problem icmp_problem_of(int error)
{
	switch (error) {
	case ENETUNREACH:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case EINVAL:
		return ICMP_NO_ROUTE;
	case ECONNREFUSED:
		return ICMP_PORT_UNREACHABLE;
	case EACCES:
	case EPERM:
		return ICMP_PROHIBITED;
	case EMSGSIZE:
		return ICMP_TOO_BIG;
	case ENOPROTOOPT:
	case EPROTONOSUPPORT:
		return ICMP_PROTOCOL_UNREACHABLE;
	default:
		return ICMP_HOST_UNREACHABLE;
	}
}

/* Takes one from what may leave, which is replenished as time goes by. */
static bool is_allowed(struct gateway *gateway)
{
	const int64_t now_ms = gateway_now_ms();
	const int64_t elapsed_ms = now_ms - gateway->icmp_errors.since_ms;
	const int64_t more = elapsed_ms > 1000 ? MAX_ICMP_ERRORS_AT_ONCE
					       : elapsed_ms * MAX_ICMP_ERRORS_PER_SECOND / 1000;

	if (more > 0) {
		const uint32_t left = gateway->icmp_errors.left + (uint32_t)more;
		gateway->icmp_errors.left = left < MAX_ICMP_ERRORS_AT_ONCE ? left : MAX_ICMP_ERRORS_AT_ONCE;
		gateway->icmp_errors.since_ms = now_ms;
	}
	if (gateway->icmp_errors.left == 0)
		return false;
	gateway->icmp_errors.left--;
	return true;
}

/* What is behind the checksum: an MTU, a pointer, or nothing (RFC 792, RFC 1191, RFC 4443). */
static void write_rest(uint8_t *icmp, const struct icmp_error *error)
{
	const struct icmp_kind kind = error->kind;

	store_be32(icmp + ICMP_REST, 0);
	if (error->path.is_v6) {
		if (kind.type == V6_TOO_BIG || kind.type == V6_PARAMETER_PROBLEM)
			store_be32(icmp + ICMP_REST, error->info);
	} else if (kind.type == V4_UNREACHABLE && kind.code == V4_FRAGMENTATION_NEEDED) {
		store_be16(icmp + ICMP_MTU, error->info < UINT16_MAX ? error->info : UINT16_MAX);
	} else if (kind.type == V4_PARAMETER_PROBLEM) {
		icmp[ICMP_REST] = (uint8_t)error->info;
	}
}

static uint32_t quote_length(bool is_v6, uint32_t length)
{
	const uint32_t most = is_v6 ? LONGEST_QUOTE : LONGEST_V4 - IPV4_HEADER - ICMP_HEADER;

	return length < most ? length : most;
}

static void send_error(struct gateway *gateway, const struct icmp_error *error)
{
	const struct packet_path *path = &error->path;
	const uint32_t length = ICMP_HEADER + quote_length(path->is_v6, error->quoted_length);
	const uint8_t protocol = path->is_v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP;

	if (!is_allowed(gateway))
		return;
	uint8_t *frame = gateway_reserve(gateway, packet_headers(path->is_v6) + length);
	if (frame == NULL)
		return;
	const uint32_t at = packet_write_headers(frame, path, protocol, length);
	uint8_t *icmp = frame + at;
	icmp[0] = error->kind.type;
	icmp[1] = error->kind.code;
	store_u16(icmp + ICMP_CHECKSUM, 0);
	write_rest(icmp, error);
	memcpy(icmp + ICMP_HEADER, error->quoted, length - ICMP_HEADER);
	const uint64_t pseudo = path->is_v6 ? packet_path_sum(path, protocol, length) : 0;
	store_u16(icmp + ICMP_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(pseudo, icmp, length)));
	gateway_commit(gateway, at + length, NULL);
	gateway_count(gateway, GATEWAY_ERRORS_SENT);
}

/* Whether it is an ICMP error itself, or so short that this cannot be told. */
static bool is_error(const struct guest_packet *packet)
{
	if (packet->protocol != (packet->is_v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP))
		return false;
	if (packet->end == packet->transport)
		return true;
	const uint8_t type = packet->frame[packet->transport];
	if (packet->is_v6)
		return type < V6_FIRST_INFORMATION || type == V6_REDIRECT;
	return type == V4_UNREACHABLE || type == V4_SOURCE_QUENCH || type == V4_REDIRECT || type == V4_TIME_EXCEEDED ||
	       type == V4_PARAMETER_PROBLEM;
}

/* Whether an error may answer it at all (RFC 1122, 3.2.2; RFC 4443, 2.4 (e)). */
static bool may_be_answered(const struct guest_packet *packet)
{
	return !is_error(packet) && packet->fragment_offset == 0 && (packet->frame[0] & 1) == 0 &&
	       !address_is_group(&packet->destination);
}

/* Where in an IPv6 packet it says what the transport is: in the header before it, of which there may be several. */
static uint32_t find_next_header(const struct guest_packet *packet)
{
	const uint8_t *ip = packet->frame + packet->network;
	const uint32_t transport = packet->transport - packet->network;
	uint32_t field = IPV6_NEXT_HEADER;

	for (uint32_t at = IPV6_HEADER; at < transport;) {
		/* A fragment header has no length. */
		const uint32_t length = ip[field] == 44 ? 8 : (ip[at + 1] + 1u) * 8;
		field = at;
		at += length;
	}
	return field;
}

void icmp_refuse(struct gateway *gateway, const struct guest_packet *packet, enum icmp_problem problem, uint32_t mtu)
{
	const struct ip_address *own = gateway_own(gateway, packet->is_v6);

	if (own == NULL || !may_be_answered(packet))
		return;
	const struct icmp_error error = {
		.path = { .guest_mac = packet->frame + MAC_BYTES, .gateway_mac = gateway->mac, .is_v6 = packet->is_v6,
			  .source = own, .guest = &packet->source, .hop_limit = OWN_HOP_LIMIT },
		.kind = icmp_kind_of(problem, packet->is_v6),
		.info = problem == ICMP_PROTOCOL_UNREACHABLE && packet->is_v6 ? find_next_header(packet) : mtu,
		.quoted = packet->frame + packet->network,
		.quoted_length = packet->end - packet->network,
	};
	send_error(gateway, &error);
}

void icmp_pass_on(struct flow *flow, uint8_t protocol, uint8_t type, uint8_t code, uint32_t info,
		  const struct ip_address *offender, const struct ip_address *remote, const uint8_t *quoted,
		  uint32_t quoted_length)
{
	struct gateway *gateway = flow->gateway;
	const struct ip_address *own = gateway_own(gateway, flow->is_v6);
	const struct packet_path sent = { .guest_mac = flow->guest_mac, .gateway_mac = gateway->mac, .is_v6 = flow->is_v6,
					  .source = &flow->key.guest, .guest = remote, .hop_limit = OWN_HOP_LIMIT };
	uint8_t frame[ETHERNET_HEADER + LONGEST_QUOTE];
	const uint32_t headers = packet_headers(flow->is_v6);

	if (offender == NULL || address_is_v4(offender) == flow->is_v6)
		offender = own;
	if (offender == NULL || address_is_v4(remote) == flow->is_v6)
		return;
	if (quoted_length > sizeof frame - headers)
		quoted_length = (uint32_t)sizeof frame - headers;
	packet_write_headers(frame, &sent, protocol, quoted_length);
	memcpy(frame + headers, quoted, quoted_length);
	const struct icmp_error error = {
		.path = { .guest_mac = flow->guest_mac, .gateway_mac = gateway->mac, .is_v6 = flow->is_v6,
			  .source = offender, .guest = &flow->key.guest, .hop_limit = OWN_HOP_LIMIT },
		.kind = { type, code },
		.info = info,
		.quoted = frame + ETHERNET_HEADER,
		.quoted_length = headers - ETHERNET_HEADER + quoted_length,
	};
	send_error(gateway, &error);
}
