/*
 * The underlay is made up here: it refuses at random, as a socket whose buffer is full does, and notes what it takes.
 */
#include "tunnel_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../io/segment.h"
#include "../io/tunnel.h"
#include "random_batches.h"

#define VNI 0x123456
#define FIRST_PORT 7000

/* ---- what tunnel.c asks of others ---- */

#define MAX_TARGETS 5
#define MAX_PACKETS (MAX_TARGETS * MAX_PIECES)
#define MAX_PIECES (MAX_SLOTS * CUT_FRAMES)
/* What tunnel.c has room for: a frame that is cut into more is malformed. */
#define CUT_BYTES (256 * 1024)
#define CUT_FRAMES 2048

static struct {
	uint32_t fullness; /* one in so many times it is full; 0: never */
	uint32_t count;
	struct {
		uint16_t port;
		uint32_t length;
		uint32_t sum;
	} packets[MAX_PACKETS];
} wire;

static int64_t clock_ms = 1000;

int64_t port_now_ms(void)
{
	return clock_ms;
}

/* Every byte counts: one that may not be read is noticed. */
static uint32_t sum_of(const uint8_t *bytes, size_t length)
{
	uint32_t sum = 1;

	for (size_t i = 0; i < length; i++)
		sum = sum * 31 + bytes[i];
	return sum;
}

static void note_packet(const union udp_address *to, const uint8_t *packet, size_t length)
{
	static const uint8_t header[VXLAN_HEADER] = { 8, 0, 0, 0, VNI >> 16, VNI >> 8 & 255, VNI & 255, 0 };

	expect(length >= VXLAN_HEADER + 14 && memcmp(packet, header, VXLAN_HEADER) == 0, "packets begin with the header");
	expect(wire.count < MAX_PACKETS, "no more packets than there can be");
	wire.packets[wire.count].port = ntohs(to->v4.sin_port);
	wire.packets[wire.count].length = (uint32_t)(length - VXLAN_HEADER);
	wire.packets[wire.count++].sum = sum_of(packet + VXLAN_HEADER, length - VXLAN_HEADER);
}

int underlay_send(struct underlay *underlay, const union udp_address *to, const uint8_t *bytes, size_t length,
		  uint32_t segment, struct sent_run *sent)
{
	const bool is_cut_by_us = segment != 0 && one_in(4);

	*sent = (struct sent_run){ .is_refused = is_cut_by_us };
	expect(length <= MAX_UDP_PAYLOAD, "a message is no longer than one can be");
	expect(segment == 0 || (underlay->takes_runs && (length + segment - 1) / segment <= MAX_UDP_SEGMENTS),
	       "no more packets than the kernel cuts a message into");
	if (wire.fullness > 0 && one_in(wire.fullness))
		return EAGAIN;
	for (size_t at = 0; at < length; at += segment) {
		const size_t rest = length - at;
		if (is_cut_by_us && wire.fullness > 0 && one_in(wire.fullness)) {
			sent->left = (uint32_t)(at / segment);
			return EAGAIN;
		}
		note_packet(to, bytes + at, segment == 0 || rest < segment ? rest : segment);
		if (segment == 0)
			break;
	}
	return 0;
}

int underlay_send_behind(struct underlay *underlay, const union udp_address *to, const uint8_t *header,
			 size_t header_length, const uint8_t *frame, size_t length)
{
	uint8_t *packet = malloc(header_length + length);
	struct sent_run ignored;

	expect(packet != NULL, "there is memory");
	memcpy(packet, header, header_length);
	memcpy(packet + header_length, frame, length);
	int error = underlay_send(underlay, to, packet, header_length + length, 0, &ignored);
	free(packet);
	return error;
}

/* ---- endpoints ---- */

static union udp_address address_of(uint32_t number)
{
	union udp_address address = { 0 };

	address.v4.sin_family = AF_INET;
	address.v4.sin_addr.s_addr = htonl(0x0a000000 + number / 100);
	address.v4.sin_port = htons((uint16_t)(FIRST_PORT + number % 100));
	return address;
}

#define ADDRESSES 9000
#define ENDPOINT_STEPS 20000

void try_endpoint_table(void)
{
	struct endpoint_table table = { 0 };
	uint32_t *tokens = calloc(ADDRESSES, sizeof *tokens);
	uint32_t now = next_random();

	expect(tokens != NULL && endpoint_table_prepare(&table, next_random()), "there is memory");
	/* Soon the serials begin anew. */
	table.serial = one_in(2) ? UINT32_MAX / MAX_ENDPOINTS - 1 - below(ENDPOINT_STEPS) : 0;
	for (uint32_t step = 0; step < ENDPOINT_STEPS; step++, now += one_in(10)) {
		const uint32_t number = below(ADDRESSES);
		const union udp_address key = address_of(number);
		struct endpoint *endpoint = endpoint_table_find(&table, &key);

		expect(endpoint == NULL || endpoint->token == tokens[number], "who is found has the name that was given");
		expect(tokens[number] == 0 || (endpoint_table_of(&table, tokens[number]) == NULL) == (endpoint == NULL),
		       "a name is good as long as its endpoint is known, and no longer");
		if (endpoint == NULL) {
			endpoint = endpoint_table_add(&table, &key, now);
			tokens[number] = endpoint->token;
			expect(endpoint->token != 0 && endpoint->token != PORT_UNKNOWN, "a name is one");
		} else if (one_in(20)) {
			endpoint_table_forget(endpoint);
			expect(endpoint_table_find(&table, &key) == NULL, "who is forgotten is not found");
			expect(endpoint_table_of(&table, tokens[number]) == NULL, "nor by the name");
			continue;
		}
		endpoint->seen = now;
		expect(endpoint_table_find(&table, &key) == endpoint, "who was added is found");
		expect(endpoint_table_of(&table, endpoint->token) == endpoint, "by the name, too");
	}
	uint32_t known = 0;
	for (uint32_t i = 0; i < ADDRESSES; i++) {
		const struct endpoint *endpoint = tokens[i] == 0 ? NULL : endpoint_table_of(&table, tokens[i]);
		const union udp_address key = address_of(i);
		expect(endpoint == NULL || memcmp(&endpoint->key, &key, sizeof key) == 0, "a name never means another");
		known += endpoint != NULL;
	}
	expect(known > MAX_ENDPOINTS / 2 && known <= MAX_ENDPOINTS, "many are known, and no more than there is room for");
	endpoint_table_clear(&table);
	for (uint32_t i = 0; i < ADDRESSES; i++)
		expect(tokens[i] == 0 || endpoint_table_of(&table, tokens[i]) == NULL, "then nobody is known");
	endpoint_table_release(&table);
	free(tokens);
}

/* ---- packets ---- */

static void set_header(struct tunnel *tunnel, uint32_t vni)
{
	const uint8_t header[VXLAN_HEADER] = { 8, 0, 0, 0, (uint8_t)(vni >> 16), (uint8_t)(vni >> 8), (uint8_t)vni, 0 };

	memcpy(tunnel->header, header, sizeof header);
	tunnel->header_length = VXLAN_HEADER;
}

/* RFC 7348, section 5, and what the originals of vxvde:// do. */
static enum packet_verdict model(const struct tunnel *tunnel, const uint8_t *packet, uint32_t length)
{
	const bool is_line = tunnel->header_length == 0;
	const uint32_t frame = is_line ? length : length - VXLAN_HEADER;

	if (!is_line && length < 8)
		return PACKET_TOO_SHORT;
	if (!is_line) {
		const uint32_t vni = (uint32_t)packet[4] << 16 | (uint32_t)packet[5] << 8 | packet[6];
		if (packet[0] != 8)
			return PACKET_BAD_HEADER;
		if (vni != VNI)
			return PACKET_FOREIGN_VNI;
		if (tunnel->is_strict && (packet[1] | packet[2] | packet[3] | packet[7]) != 0)
			return PACKET_BAD_HEADER;
		if (tunnel->is_strict && frame == 0)
			return PACKET_IS_LEAVE;
	}
	return frame < 14 ? PACKET_TOO_SHORT : PACKET_IS_FRAME;
}

void try_judging(void)
{
	struct tunnel tunnel = { .is_strict = one_in(2) };
	uint8_t header[VXLAN_HEADER];

	set_header(&tunnel, VNI);
	memcpy(header, tunnel.header, sizeof header);
	if (one_in(5))
		tunnel.header_length = 0;
	for (uint32_t i = 0; i < 200; i++) {
		const uint32_t length = below(40);
		uint8_t *packet = exactly(length);
		for (uint32_t at = 0; at < length; at++)
			packet[at] = at < sizeof header && !one_in(20) ? header[at] : (uint8_t)next_random();
		expect(tunnel_judge(&tunnel, packet, length) == model(&tunnel, packet, length), "a packet is judged");
		free(packet);
	}
}

/* ---- headroom ---- */

void try_headroom(void)
{
	static uint8_t plain_bytes[400000], roomy_bytes[400000];
	static struct frame_slot plain_slots[3000], roomy_slots[3000];
	struct batch batch = one_in(3) ? make_garbage() : make_batch(4);
	const uint32_t headroom = below(40), max_frame = one_in(2) ? 1518 : MAX_UDP_PAYLOAD;
	struct segment_output plain = { .bytes = plain_bytes, .slots = plain_slots, .capacity = 3000,
					.size = sizeof plain_bytes, .max_frame = max_frame };
	struct segment_output roomy = { .bytes = roomy_bytes, .slots = roomy_slots, .capacity = 3000,
					.size = sizeof roomy_bytes, .max_frame = max_frame, .headroom = headroom };
	struct segment_result one, other;
	size_t end = 0;

	memset(roomy_bytes, 0xa5, sizeof roomy_bytes);
	/* The same frames: one batch may need more room than there is. */
	segment_batch(batch.arena, batch.size, batch.slots, 0, batch.count, &roomy, &other);
	segment_batch(batch.arena, batch.size, batch.slots, 0, other.consumed, &plain, &one);
	expect(memcmp(&one, &other, sizeof one) == 0 && plain.count == roomy.count, "room makes no difference");
	for (uint32_t i = 0; i < plain.count; i++) {
		const struct frame_slot *slot = &roomy_slots[i];
		expect(slot->offset == end + headroom && slot->length == plain_slots[i].length, "there is room before each");
		for (uint32_t at = 0; at < headroom; at++)
			expect(roomy_bytes[end + at] == 0xa5, "which is not written to");
		expect(memcmp(roomy_bytes + slot->offset, plain_bytes + plain_slots[i].offset, slot->length) == 0,
		       "the frames are the same");
		end = slot->offset + slot->length;
	}
	expect(end == roomy.used, "and nothing is behind the last");
	free_batch(&batch);
}

/* ---- sending ---- */

#define MACS 6

/* What has to leave: each of the frames of a batch, cut. */
static struct {
	uint32_t count;
	uint32_t sums[MAX_PIECES];
	uint32_t lengths[MAX_PIECES];
	uint32_t lost; /* what has to be dropped */
} wanted;

/* Gives frames destinations that stations are behind, or groups, and a number each, so that they differ. */
static void address_frames(struct batch *batch)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < batch->count; i++) {
		const struct frame_slot slot = batch->slots[i];
		/* A port hands on whole frames only. */
		if (slot.offset > batch->size || slot.length > batch->size - slot.offset || slot.length < 14)
			continue;
		uint8_t *frame = batch->arena + slot.offset;
		memset(frame, 0, 12);
		frame[0] = one_in(4) ? 1 : 2;
		frame[5] = (uint8_t)below(MACS);
		frame[11] = (uint8_t)count;
		batch->slots[count++] = slot;
	}
	batch->count = count;
}

static void want(const struct batch *batch)
{
	static uint8_t bytes[CUT_BYTES];
	static struct frame_slot slots[CUT_FRAMES];

	wanted.count = 0;
	wanted.lost = 0;
	for (uint32_t i = 0; i < batch->count; i++) {
		struct segment_output output = { .headroom = VXLAN_HEADER, .bytes = bytes, .size = sizeof bytes,
						 .slots = slots, .capacity = CUT_FRAMES,
						 .max_frame = MAX_UDP_PAYLOAD - VXLAN_HEADER };
		struct segment_result result;
		segment_batch(batch->arena, batch->size, batch->slots, i, 1, &output, &result);
		wanted.lost += result.malformed + result.too_long;
		for (uint32_t at = 0; at < output.count; at++) {
			wanted.lengths[wanted.count] = slots[at].length;
			wanted.sums[wanted.count++] = sum_of(bytes + slots[at].offset, slots[at].length);
		}
	}
}

static void hear(struct tunnel *tunnel, uint32_t mac, uint32_t from)
{
	const uint8_t frame[14] = { 2, 0, 0, 0, 0, 99, 2, 0, 0, 0, 0, (uint8_t)mac };
	const union udp_address address = address_of(from);

	tunnel_learn(tunnel, tunnel_endpoint(tunnel, &address), frame, sizeof frame);
}

static void take_targets(struct tunnel *tunnel, uint32_t count)
{
	union udp_address *targets = calloc(count + 1, sizeof *targets);

	expect(targets != NULL, "there is memory");
	for (uint32_t i = 0; i < count; i++)
		targets[i] = address_of(i);
	tunnel_set_targets(tunnel, targets, count);
}

/* What happens while the socket is full. */
enum meanwhile { NOTHING, OTHER_STATIONS, OTHER_TARGETS };

static void change(struct tunnel *tunnel, enum meanwhile meanwhile)
{
	const union udp_address somebody = address_of(below(MAX_TARGETS));

	if (one_in(2))
		hear(tunnel, below(MACS), below(MAX_TARGETS));
	if (one_in(4))
		tunnel_forget(tunnel, &somebody);
	if (one_in(4))
		clock_ms += below(20000);
	if (meanwhile == OTHER_TARGETS && one_in(8))
		take_targets(tunnel, 1 + below(MAX_TARGETS));
}

/* Whether there is another frame like it: segments of one super-frame may be the same. */
static bool has_twin(uint32_t number)
{
	for (uint32_t i = 0; i < wanted.count; i++) {
		if (i != number && wanted.sums[i] == wanted.sums[number] && wanted.lengths[i] == wanted.lengths[number])
			return true;
	}
	return false;
}

/*
 * Each frame left at most once to each target, and in order; when nobody was learned or forgotten meanwhile, exactly
 * once to all of them or to one. New targets may get what they had already when they were the old ones.
 */
static void check_wire(uint32_t target_count, enum meanwhile meanwhile)
{
	static uint32_t times[MAX_PIECES];

	memset(times, 0, wanted.count * sizeof *times);
	for (uint32_t target = 0; target < MAX_TARGETS; target++) {
		uint32_t next = 0;
		for (uint32_t i = 0; i < wire.count; i++) {
			if (wire.packets[i].port != FIRST_PORT + target)
				continue;
			if (meanwhile == OTHER_TARGETS)
				next = 0;
			while (next < wanted.count && (wanted.lengths[next] != wire.packets[i].length ||
							      wanted.sums[next] != wire.packets[i].sum))
				next++;
			expect(next < wanted.count, "only frames of the batch leave, in order, each once");
			times[next++]++;
		}
	}
	for (uint32_t i = 0; i < wanted.count && meanwhile != OTHER_TARGETS; i++)
		expect(times[i] == 1 || times[i] == target_count || (meanwhile != NOTHING && (times[i] > 0 || has_twin(i))),
		       "each frame leaves, to one or to all");
}

static double total(const double *sent)
{
	double sum = 0;

	for (uint32_t i = COUNT_FRAMES; i < COUNTERS_PER_DIRECTION; i++)
		sum += i == COUNT_BYTES || i == COUNT_FRAGMENTED ? 0 : sent[i];
	return sum;
}

void try_sending(void)
{
	struct underlay underlay = { .takes_runs = !one_in(4) };
	struct tunnel tunnel = { .underlay = &underlay };
	struct batch batch = make_batch(one_in(2) ? 0 : 3);
	const uint32_t target_count = 1 + below(MAX_TARGETS);
	const enum meanwhile meanwhile = below(3);
	double sent[COUNTERS_PER_DIRECTION] = { 0 };
	uint32_t done = 0;

	set_header(&tunnel, VNI);
	expect(tunnel_prepare(&tunnel, 64, next_random(), 10000) == 0, "there is memory");
	tunnel.fit = one_in(2) ? 1450 : MAX_UDP_PAYLOAD;
	take_targets(&tunnel, target_count);
	for (uint32_t i = below(MACS); i > 0; i--)
		hear(&tunnel, below(MACS), below(target_count));
	address_frames(&batch);
	want(&batch);
	wire.count = 0;
	wire.fullness = one_in(4) ? 0 : 2 + below(6);
	for (uint32_t call = 0; done < batch.count; call++) {
		const struct frames frames = { .arena = batch.arena, .arena_size = batch.size,
					       .slots = batch.slots + done, .count = batch.count - done };
		const uint32_t left = tunnel_send(&tunnel, &frames, sent);
		expect(left <= frames.count, "no more are dealt with than there are");
		expect(left == frames.count || wire.fullness > 0, "who is never full takes all");
		done += left;
		expect(call < 100000, "it ends");
		if (meanwhile != NOTHING && done < batch.count)
			change(&tunnel, meanwhile);
	}
	check_wire(target_count, meanwhile);
	expect(sent[DROP_MALFORMED] + sent[DROP_TOO_LONG] == wanted.lost, "each that is dropped is counted once");
	expect(total(sent) == wanted.count + wanted.lost, "each is counted once");
	tunnel_release(&tunnel);
	free_batch(&batch);
}

/* ---- stations on our side ---- */

#define STATIONS 40
#define EXPIRE_MS 10000

static void set_station(uint8_t *frame, uint32_t number)
{
	memset(frame, 0, 14);
	memset(frame, 0xff, 6);
	frame[6] = 2;
	frame[10] = (uint8_t)(number / 7);
	frame[11] = (uint8_t)number;
}

/* Frames of stations, one after another in one batch. */
static void send_from(struct tunnel *tunnel, const uint32_t *stations, uint32_t count)
{
	static uint8_t bytes[8 * 60];
	struct frame_slot slots[8] = { 0 };
	double sent[COUNTERS_PER_DIRECTION] = { 0 };

	for (uint32_t i = 0; i < count; i++) {
		slots[i] = (struct frame_slot){ .offset = i * 60, .length = 60 };
		set_station(bytes + i * 60, stations[i]);
	}
	const struct frames frames = { .arena = bytes, .arena_size = sizeof bytes, .slots = slots, .count = count };
	expect(tunnel_send(tunnel, &frames, sent) == count, "all leave");
}

/* Whether a frame that announces this station is on the wire. */
static bool is_announced(uint32_t number)
{
	uint8_t frame[60] = { 0 };

	set_station(frame, number);
	frame[12] = 0x80;
	frame[13] = 0x35;
	frame[15] = 1;
	frame[16] = 8;
	frame[18] = 6;
	frame[19] = 4;
	frame[21] = 3;
	memcpy(frame + 22, frame + 6, 6);
	memcpy(frame + 32, frame + 6, 6);
	for (uint32_t i = 0; i < wire.count; i++) {
		if (wire.packets[i].length == sizeof frame && wire.packets[i].sum == sum_of(frame, sizeof frame))
			return true;
	}
	return false;
}

/* Announced are those that sent last and not too long ago, and were not heard from elsewhere since. */
void try_announcing(void)
{
	struct underlay underlay = { .takes_runs = true };
	struct tunnel tunnel = { .underlay = &underlay };
	int64_t sent_ms[STATIONS] = { 0 };
	const union udp_address elsewhere = address_of(7);
	uint32_t ours = 0, announced = 0;

	set_header(&tunnel, VNI);
	expect(tunnel_prepare(&tunnel, 64, next_random(), EXPIRE_MS) == 0, "there is memory");
	take_targets(&tunnel, 1);
	wire.fullness = 0;
	for (uint32_t step = 0; step < 60; step++, clock_ms += one_in(8) ? EXPIRE_MS : 100 + below(500)) {
		uint32_t stations[8];
		const uint32_t count = 1 + below(8);
		uint8_t frame[14];
		wire.count = 0;
		for (uint32_t i = 0; i < count; i++) {
			stations[i] = below(step < 30 ? MAX_ANNOUNCED : STATIONS);
			sent_ms[stations[i]] = clock_ms;
		}
		send_from(&tunnel, stations, count);
		const uint32_t moved = below(STATIONS);
		set_station(frame, moved);
		tunnel_learn(&tunnel, tunnel_endpoint(&tunnel, &elsewhere), frame, sizeof frame);
		sent_ms[moved] = 0;
		wire.count = 0;
		tunnel_announce(&tunnel);
		ours = 0;
		announced = 0;
		for (uint32_t i = 0; i < STATIONS; i++) {
			const bool is_ours = sent_ms[i] != 0 && clock_ms / 100 - sent_ms[i] / 100 < EXPIRE_MS / 100;
			ours += is_ours;
			announced += is_announced(i);
			expect(is_ours || !is_announced(i), "who is silent or elsewhere is not announced");
			expect(!is_ours || step >= 30 || is_announced(i), "all are, while there is room");
			expect(sent_ms[i] != clock_ms || is_announced(i), "who sent just now is");
		}
		expect(announced <= MAX_ANNOUNCED && (ours > 0) == (announced > 0), "as many as there is room for");
	}
	tunnel_release(&tunnel);
}
