#include "neighbours.h"

#include "gateway.h"
#include "hot.h"
#include "tcp.h"
#include "udp.h"

/* JavaScript is asked for those of one place no more often. */
#define ASK_PAUSE_MS 200

static struct neighbour *neighbour_place(struct gateway *gateway, const struct ip_address *address)
{
	const uint64_t sum = load_u64(address->bytes) ^ load_u64(address->bytes + 8) * 0x9e3779b97f4a7c15;

	return &gateway->neighbours[(sum ^ sum >> 32) % NEIGHBOURS];
}

/* Those that wait for this guest go on. */
static void resume_seekers(struct gateway *gateway, const struct ip_address *address, const uint8_t *mac)
{
	struct list_link *list = &gateway->seekers;

	for (struct list_link *link = list->next, *next; link != list; link = next) {
		struct flow *flow = list_entry(link, struct flow, wait_link);
		next = link->next;
		if (!address_equals(&flow->key.guest, address))
			continue;
		if (flow->key.kind == FLOW_TCP)
			tcp_resolved(flow, mac);
		else
			udp_resolved(flow);
	}
}

HOT void gateway_learn(struct gateway *gateway, const struct ip_address *address, const uint8_t *mac)
{
	struct neighbour *neighbour = neighbour_place(gateway, address);

	/* Who is known is not looked for. */
	if (neighbour->is_known && address_equals(&neighbour->address, address) &&
	    memcmp(neighbour->mac, mac, MAC_BYTES) == 0)
		return;
	neighbour->address = *address;
	memcpy(neighbour->mac, mac, MAC_BYTES);
	neighbour->is_known = true;
	resume_seekers(gateway, address, mac);
}

const uint8_t *gateway_find_guest(struct gateway *gateway, const struct ip_address *address)
{
	struct neighbour *neighbour = neighbour_place(gateway, address);
	const int64_t now_ms = gateway_now_ms();

	if (neighbour->is_known && address_equals(&neighbour->address, address))
		return neighbour->mac;
	if (now_ms >= neighbour->ask_ms &&
	    gateway_tell(gateway, &(struct gateway_event){ .kind = EVENT_RESOLVE, .address = *address }))
		neighbour->ask_ms = now_ms + ASK_PAUSE_MS;
	return NULL;
}
