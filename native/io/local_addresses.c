#include "local_addresses.h"

#include <ifaddrs.h>
#include <string.h>

#include "hot.h"
#include "port.h"

/* The first byte of all addresses of 127.0.0.0/8 (RFC 1122, 3.2.1.3), most of which no interface lists. */
#define LOOPBACK_NET 127

/* Addresses without ports. */
static struct {
	union udp_address ours[MAX_LOCALS];
	uint32_t count;
	union udp_address strangers[MAX_STRANGERS]; /* each where its bytes lead to; family 0: none */
	bool was_asked;
	int64_t asked_ms;
} known;

/* What of an address tells hosts apart. */
HOT static union udp_address host_of(const union udp_address *address)
{
	union udp_address host = { 0 };

	if (address->family == AF_INET6) {
		host.v6.sin6_family = AF_INET6;
		host.v6.sin6_addr = address->v6.sin6_addr;
		host.v6.sin6_scope_id = address->v6.sin6_scope_id;
	} else {
		host.v4.sin_family = AF_INET;
		host.v4.sin_addr = address->v4.sin_addr;
	}
	return host;
}

HOT static union udp_address *stranger_place(const union udp_address *host)
{
	uint32_t sum = 0;

	for (size_t at = 0; at < sizeof host->bytes; at += sizeof sum) {
		uint32_t word;
		memcpy(&word, host->bytes + at, sizeof word);
		sum = (sum ^ word) * 0x9e3779b1U;
		sum ^= sum >> 16;
	}
	return &known.strangers[sum % MAX_STRANGERS];
}

HOT static bool is_known(const union udp_address *host)
{
	for (uint32_t i = 0; i < known.count; i++) {
		if (memcmp(&known.ours[i], host, sizeof *host) == 0)
			return true;
	}
	return false;
}

/* Replaces what is known; whether @wanted is among the addresses, be there room for it or not; -1 when they are not told. */
static int look_up(const union udp_address *wanted)
{
	struct ifaddrs *list;
	bool is_ours = false;

	if (getifaddrs(&list) != 0)
		return -1;
	known.count = 0;
	for (const struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next) {
		union udp_address address = { 0 };
		if (entry->ifa_addr == NULL ||
		    (entry->ifa_addr->sa_family != AF_INET && entry->ifa_addr->sa_family != AF_INET6))
			continue;
		memcpy(&address, entry->ifa_addr,
		       entry->ifa_addr->sa_family == AF_INET6 ? sizeof address.v6 : sizeof address.v4);
		const union udp_address host = host_of(&address);
		is_ours = is_ours || memcmp(&host, wanted, sizeof host) == 0;
		if (known.count < MAX_LOCALS)
			known.ours[known.count++] = host;
	}
	freeifaddrs(list);
	/* It is here, and will be met again. */
	if (is_ours && !is_known(wanted))
		known.ours[MAX_LOCALS - 1] = *wanted;
	return is_ours;
}

HOT bool local_addresses_have(const union udp_address *address)
{
	const union udp_address host = host_of(address);
	union udp_address *stranger = stranger_place(&host);

	if (memcmp(stranger, &host, sizeof host) == 0)
		return false;
	if ((host.family == AF_INET && host.bytes[offsetof(struct sockaddr_in, sin_addr)] == LOOPBACK_NET) ||
	    is_known(&host))
		return true;
	const int64_t now = port_now_ms();
	if (known.was_asked && now - known.asked_ms < LOCALS_PAUSE_MS)
		return false;
	known.was_asked = true;
	known.asked_ms = now;
	const int is_ours = look_up(&host);
	if (is_ours == 0)
		*stranger = host;
	return is_ours > 0;
}

void local_addresses_refresh(void)
{
	memset(&known, 0, sizeof known);
}
