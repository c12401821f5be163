#include "reassembly.h"

#include <stdlib.h>

#include "checksum.h"
#include "icmp_error.h"

/* Fragments begin at multiples of it, and all but the last end there (RFC 791, RFC 8200). */
#define FRAGMENT_UNIT 8
#define MAX_PAYLOAD 65535
#define MAX_UNITS ((MAX_PAYLOAD + FRAGMENT_UNIT) / FRAGMENT_UNIT)
#define FRAGMENT_HEADER 8
#define PROTOCOL_FRAGMENT 44
#define IPV4_MORE_FRAGMENTS 0x2000
/* Where the payload lies in what is gathered, whichever IP header comes before it. */
#define PAYLOAD_AT (ETHERNET_HEADER + IPV6_HEADER)
/* What is kept of the first fragment, for saying that the others did not come: as much as is quoted. */
#define MAX_FIRST (ETHERNET_HEADER + 1280)
/* A guest that has so many of the places gives one of its own back when all are taken. */
#define FAIR_SHARE (MAX_GATHERED / 4)

/* What the parts of one packet have in common (RFC 791, 3.2; RFC 8200, 4.5). */
struct fragment_key {
	struct ip_address source;
	struct ip_address destination;
	uint32_t identification;
	uint32_t protocol; /* 0 for IPv6, whose parts may differ in it */
};

/**
 * struct gathered - the parts of one packet.
 * @is_used: it is one
 * @key: which
 * @due_ms: when it has waited long enough
 * @bytes: the packet, from PAYLOAD_AT on; NULL when it has come to nothing, and parts that still come are ignored
 * @units: which parts of it are there, a bit for each FRAGMENT_UNIT
 * @unit_count: how many those are
 * @end: the end of what is there
 * @total: the length of the payload; 0 until the last part is there
 * @fragments: how many came
 * @first: the first fragment, or its beginning, as it came
 * @first_packet: what was read of it
 */
struct gathered {
	bool is_used;
	struct fragment_key key;
	int64_t due_ms;
	uint8_t *bytes;
	uint64_t units[(MAX_UNITS + 63) / 64];
	uint32_t unit_count;
	uint32_t end;
	uint32_t total;
	uint32_t fragments;
	uint8_t first[MAX_FIRST];
	struct guest_packet first_packet;
	bool has_first;
};

struct reassembly {
	uint32_t used;
	uint8_t *whole; /* the packet that was handed out last */
	struct gathered places[MAX_GATHERED];
};

struct reassembly *reassembly_open(void)
{
	return calloc(1, sizeof(struct reassembly));
}

static void hand_back(struct reassembly *reassembly)
{
	free(reassembly->whole);
	reassembly->whole = NULL;
}

void reassembly_close(struct reassembly *reassembly)
{
	if (reassembly == NULL)
		return;
	for (uint32_t i = 0; i < MAX_GATHERED; i++)
		free(reassembly->places[i].bytes);
	hand_back(reassembly);
	free(reassembly);
}

static void count_dropped(struct gateway *gateway, uint32_t fragments)
{
	gateway->counters[GATEWAY_FRAGMENTS_DROPPED] += fragments;
}

/* Gives a place back. */
static void release(struct reassembly *reassembly, struct gathered *gathered)
{
	free(gathered->bytes);
	memset(gathered, 0, sizeof *gathered);
	reassembly->used--;
}

/* Its parts contradict each other: it ends, and so do those that still come (RFC 5722, 4). */
static void spoil(struct gateway *gateway, struct gathered *gathered)
{
	count_dropped(gateway, gathered->fragments);
	gathered->fragments = 0;
	free(gathered->bytes);
	gathered->bytes = NULL;
}

/* --- Places. --- */

static struct fragment_key key_of(const struct guest_packet *fragment)
{
	return (struct fragment_key){ .source = fragment->source, .destination = fragment->destination,
				      .identification = fragment->identification,
				      .protocol = fragment->is_v6 ? 0 : fragment->protocol };
}

static struct gathered *find(struct reassembly *reassembly, const struct fragment_key *key)
{
	for (uint32_t i = 0; i < MAX_GATHERED; i++) {
		struct gathered *gathered = &reassembly->places[i];
		if (gathered->is_used && memcmp(&gathered->key, key, sizeof *key) == 0)
			return gathered;
	}
	return NULL;
}

/* The one that has waited for longest: of that guest when it has more than its share, or of all. */
static struct gathered *find_victim(struct reassembly *reassembly, const struct ip_address *guest)
{
	struct gathered *oldest = NULL, *own = NULL;
	uint32_t share = 0;

	for (uint32_t i = 0; i < MAX_GATHERED; i++) {
		struct gathered *gathered = &reassembly->places[i];
		if (oldest == NULL || gathered->due_ms < oldest->due_ms)
			oldest = gathered;
		if (!address_equals(&gathered->key.source, guest))
			continue;
		share++;
		if (own == NULL || gathered->due_ms < own->due_ms)
			own = gathered;
	}
	return share >= FAIR_SHARE ? own : oldest;
}

static struct gathered *find_free(struct reassembly *reassembly)
{
	uint32_t i = 0;

	while (reassembly->places[i].is_used)
		i++;
	return &reassembly->places[i];
}

/* Begins to gather a packet; NULL when there is no memory. */
static struct gathered *begin(struct gateway *gateway, const struct fragment_key *key)
{
	struct reassembly *reassembly = gateway->fragments;

	if (reassembly->used == MAX_GATHERED) {
		struct gathered *victim = find_victim(reassembly, &key->source);
		count_dropped(gateway, victim->fragments);
		release(reassembly, victim);
	}
	struct gathered *gathered = find_free(reassembly);
	/* Pages that are never touched take no memory. */
	gathered->bytes = malloc(PAYLOAD_AT + MAX_PAYLOAD);
	if (gathered->bytes == NULL)
		return NULL;
	gathered->is_used = true;
	gathered->key = *key;
	gathered->due_ms = gateway_now_ms() + REASSEMBLY_MS;
	reassembly->used++;
	datapath_look_at(gathered->due_ms);
	return gathered;
}

/* --- Parts. --- */

/* The longest payload: lengths of IPv4 include the header. */
static uint32_t longest(const struct guest_packet *fragment)
{
	return fragment->is_v6 ? MAX_PAYLOAD : MAX_PAYLOAD - IPV4_HEADER;
}

static bool is_plausible(const struct guest_packet *fragment, uint32_t length)
{
	/* Options that route are not for us, and would be lost. */
	if (length == 0 || fragment->has_options)
		return false;
	if (fragment->has_more && length % FRAGMENT_UNIT != 0)
		return false;
	return fragment->fragment_offset + length <= longest(fragment);
}

/* How many units of a part are there already. */
static uint32_t count_present(const struct gathered *gathered, uint32_t first, uint32_t end)
{
	uint32_t present = 0;

	for (uint32_t unit = first; unit < end; unit++)
		present += (uint32_t)(gathered->units[unit / 64] >> unit % 64) & 1;
	return present;
}

static void mark(struct gathered *gathered, uint32_t first, uint32_t end)
{
	for (uint32_t unit = first; unit < end; unit++)
		gathered->units[unit / 64] |= (uint64_t)1 << unit % 64;
	gathered->unit_count += end - first;
}

/* What becomes of a part. */
enum outcome { PART_TAKEN, PART_AGAIN, PART_CONTRADICTS };

static enum outcome take_part(struct gathered *gathered, const struct guest_packet *fragment, uint32_t length)
{
	const uint32_t offset = fragment->fragment_offset;
	const uint8_t *payload = fragment->frame + fragment->transport;
	const uint32_t first = offset / FRAGMENT_UNIT;
	const uint32_t end = (offset + length + FRAGMENT_UNIT - 1) / FRAGMENT_UNIT;
	const uint32_t present = count_present(gathered, first, end);
	uint8_t *place = gathered->bytes + PAYLOAD_AT + offset;

	/* One that came twice is none that overlaps (RFC 8200, 4.5). */
	if (present == end - first && offset + length <= gathered->end && memcmp(place, payload, length) == 0 &&
	    (fragment->has_more || offset + length == gathered->total))
		return PART_AGAIN;
	if (present > 0)
		return PART_CONTRADICTS;
	/* There is one end, and nothing behind it. */
	if (gathered->total != 0 && (!fragment->has_more || offset + length > gathered->total))
		return PART_CONTRADICTS;
	if (!fragment->has_more && gathered->end > offset)
		return PART_CONTRADICTS;
	memcpy(place, payload, length);
	mark(gathered, first, end);
	if (!fragment->has_more)
		gathered->total = offset + length;
	if (gathered->end < offset + length)
		gathered->end = offset + length;
	return PART_TAKEN;
}

/* Keeps what the first part says of the packet. */
static void keep_first(struct gathered *gathered, const struct guest_packet *fragment)
{
	const uint32_t length = fragment->end < MAX_FIRST ? fragment->end : MAX_FIRST;

	/* Headers that fill so much are nobody's. */
	if (fragment->transport > length)
		return;
	memcpy(gathered->first, fragment->frame, length);
	gathered->first_packet = *fragment;
	gathered->first_packet.frame = gathered->first;
	gathered->first_packet.length = length;
	gathered->first_packet.end = length;
	gathered->has_first = true;
}

static bool is_complete(const struct gathered *gathered)
{
	return gathered->total != 0 && gathered->has_first &&
	       gathered->unit_count == (gathered->total + FRAGMENT_UNIT - 1) / FRAGMENT_UNIT;
}

/* Makes a packet of what was gathered that was never cut; whether it is one. */
static bool make_whole(struct reassembly *reassembly, struct gathered *gathered, struct guest_packet *whole)
{
	const struct guest_packet *first = &gathered->first_packet;
	const uint32_t headers = packet_headers(first->is_v6);
	/* Its headers are written as one writes to a guest: only that source and destination are the other way round. */
	const struct packet_path path = {
		.guest_mac = gathered->first, .gateway_mac = gathered->first + MAC_BYTES, .is_v6 = first->is_v6,
		.source = &first->source, .guest = &first->destination, .hop_limit = first->hop_limit,
		.traffic_class = first->traffic_class,
	};
	const struct offload_header none = { 0 };
	uint8_t *frame = gathered->bytes + PAYLOAD_AT - headers;

	packet_write_headers(frame, &path, first->protocol, gathered->total);
	reassembly->whole = gathered->bytes;
	gathered->bytes = NULL;
	if (guest_packet_parse(frame, headers + gathered->total, &none, whole) != GUEST_PACKET)
		return false;
	/* Whoever cut it allowed others to do so. */
	whole->dont_fragment = false;
	whole->is_gathered = true;
	return true;
}

bool reassembly_add(struct gateway *gateway, const struct guest_packet *fragment, struct guest_packet *whole)
{
	struct reassembly *reassembly = gateway->fragments;
	const uint32_t length = fragment->end - fragment->transport;
	const struct fragment_key key = key_of(fragment);

	hand_back(reassembly);
	if (!is_plausible(fragment, length)) {
		count_dropped(gateway, 1);
		return false;
	}
	struct gathered *gathered = find(reassembly, &key);
	if (gathered == NULL)
		gathered = begin(gateway, &key);
	if (gathered == NULL || gathered->bytes == NULL) {
		count_dropped(gateway, 1);
		return false;
	}
	gathered->fragments++;
	const enum outcome outcome = take_part(gathered, fragment, length);
	if (outcome == PART_CONTRADICTS)
		spoil(gateway, gathered);
	if (outcome != PART_TAKEN)
		return false;
	if (fragment->fragment_offset == 0)
		keep_first(gathered, fragment);
	if (!is_complete(gathered))
		return false;
	const bool is_packet = make_whole(reassembly, gathered, whole);
	if (!is_packet)
		count_dropped(gateway, gathered->fragments);
	release(reassembly, gathered);
	return is_packet;
}

/* It is said that not all came, if the first did (RFC 792; RFC 8200, 4.5). */
static void give_up(struct gateway *gateway, struct gathered *gathered)
{
	count_dropped(gateway, gathered->fragments);
	if (gathered->bytes != NULL && gathered->has_first)
		icmp_refuse(gateway, &gathered->first_packet, ICMP_REASSEMBLY_TIME_EXCEEDED, 0);
	release(gateway->fragments, gathered);
}

int64_t reassembly_check(struct gateway *gateway, int64_t now_ms)
{
	struct reassembly *reassembly = gateway->fragments;
	int64_t next_ms = INT64_MAX;

	if (reassembly->used == 0)
		return next_ms;
	for (uint32_t i = 0; i < MAX_GATHERED; i++) {
		struct gathered *gathered = &reassembly->places[i];
		if (gathered->is_used && gathered->due_ms <= now_ms)
			give_up(gateway, gathered);
		else if (gathered->is_used && gathered->due_ms < next_ms)
			next_ms = gathered->due_ms;
	}
	return next_ms;
}

/* --- Cutting. --- */

/* One datagram that is cut. */
struct cut {
	struct gateway *gateway;
	const struct packet_path *path;
	uint8_t protocol;
	const uint8_t *payload;
	uint32_t length;
	uint32_t identification;
};

static void write_v4_part(uint8_t *frame, const struct cut *cut, uint32_t offset, uint32_t length)
{
	uint8_t *ip = frame + ETHERNET_HEADER;
	const bool has_more = offset + length < cut->length;

	packet_write_headers(frame, cut->path, cut->protocol, length);
	store_be16(ip + IPV4_IDENTIFICATION, cut->identification);
	store_be16(ip + IPV4_FRAGMENT, offset / FRAGMENT_UNIT | (has_more ? IPV4_MORE_FRAGMENTS : 0));
	store_u16(ip + IPV4_CHECKSUM, 0);
	store_u16(ip + IPV4_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(0, ip, IPV4_HEADER)));
}

static void write_v6_part(uint8_t *frame, const struct cut *cut, uint32_t offset, uint32_t length)
{
	uint8_t *header = frame + packet_headers(true);
	const bool has_more = offset + length < cut->length;

	packet_write_headers(frame, cut->path, PROTOCOL_FRAGMENT, FRAGMENT_HEADER + length);
	header[0] = cut->protocol;
	header[1] = 0;
	store_be16(header + 2, offset | (has_more ? 1 : 0));
	store_be32(header + 4, cut->identification);
}

static bool write_part(const struct cut *cut, uint32_t offset, uint32_t length)
{
	const bool is_v6 = cut->path->is_v6;
	const uint32_t headers = packet_headers(is_v6) + (is_v6 ? FRAGMENT_HEADER : 0);
	uint8_t *frame = gateway_reserve(cut->gateway, headers + length);

	if (frame == NULL)
		return false;
	if (is_v6)
		write_v6_part(frame, cut, offset, length);
	else
		write_v4_part(frame, cut, offset, length);
	memcpy(frame + headers, cut->payload + offset, length);
	gateway_commit(cut->gateway, headers + length, NULL);
	return true;
}

void fragments_write(struct gateway *gateway, const struct packet_path *path, uint8_t protocol, const uint8_t *payload,
		     uint32_t length)
{
	static uint32_t identification; /* used with the lock */
	const struct cut cut = { .gateway = gateway, .path = path, .protocol = protocol, .payload = payload,
				 .length = length, .identification = ++identification };
	const uint32_t headers = packet_headers(path->is_v6) - ETHERNET_HEADER + (path->is_v6 ? FRAGMENT_HEADER : 0);
	const uint32_t most = (gateway->mtu - headers) / FRAGMENT_UNIT * FRAGMENT_UNIT;

	/* Without one of its parts the others are for nothing. */
	for (uint32_t offset = 0; offset < length; offset += most) {
		if (!write_part(&cut, offset, length - offset < most ? length - offset : most))
			return;
	}
}
