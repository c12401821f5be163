/*
 * The rest of the gateway is made up here: frames for guests are gathered, each in a buffer of its exact size, and its
 * clock is that of tunnel_test.c.
 */
#include "gateway_test.h"

#include <stdlib.h>
#include <string.h>

#include "../gateway/forward_peers.h"
#include "../gateway/icmp_error.h"
#include "../gateway/reassembly.h"
#include "../gateway/siphash.h"
#include "../gateway/tcp_flow.h"
#include "../gateway/udp.h"
#include "../io/checksum.h"
#include "random_batches.h"

#define MAX_OUTPUT 64

static double counters[GATEWAY_COUNTERS];
static struct gateway gateway = {
	.counters = counters,
	.mac = { 0x52, 0x55, 10, 0, 2, 2 },
	.mtu = 1500,
};
static const uint8_t guest_mac[MAC_BYTES] = { 2, 0, 0, 0, 0, 1 };

/* ---- what the files of gateways ask of others ---- */

static struct {
	uint8_t *frames[MAX_OUTPUT];
	uint32_t lengths[MAX_OUTPUT];
	uint32_t count;
	uint8_t *reserved;
	uint32_t capacity; /* how many are taken */
} output = { .capacity = MAX_OUTPUT };

uint8_t *gateway_reserve(struct gateway *of, uint32_t size)
{
	expect(of == &gateway && size >= 14, "room is asked for a frame");
	free(output.reserved);
	output.reserved = NULL;
	if (output.count >= output.capacity)
		return NULL;
	output.reserved = exactly(size);
	return output.reserved;
}

void gateway_commit(struct gateway *of, uint32_t length, const struct offload_header *offload)
{
	expect(of == &gateway && output.reserved != NULL && offload == NULL, "what is handed over was reserved");
	/* As many bytes as were asked for. */
	output.frames[output.count] = output.reserved;
	output.lengths[output.count++] = length;
	output.reserved = NULL;
}

const struct ip_address *gateway_own(const struct gateway *of, bool is_v6)
{
	static const uint8_t v4[4] = { 10, 0, 2, 2 };
	static struct ip_address own[2];

	expect(of == &gateway, "it is the gateway");
	own[0] = address_of_v4(v4);
	own[1] = (struct ip_address){ .bytes = { 0xfd, [15] = 2 } };
	return &own[is_v6 ? 1 : 0];
}

/* What the host was given of a guest's bytes. */
static struct {
	uint8_t *bytes;
	uint32_t count;
} host;

int32_t tcp_host_take(struct tcp_flow *tcp, const uint8_t *bytes, uint32_t length)
{
	const uint32_t taken = one_in(4) ? below(length + 1) : length;

	expect(tcp->flow.gateway == &gateway, "it is the gateway's");
	memcpy(host.bytes + host.count, bytes, taken);
	host.count += taken;
	return (int32_t)taken;
}

void datapath_look_at(int64_t time_ms)
{
	expect(time_ms > 0, "a time is said");
}

static void forget_output(void)
{
	for (uint32_t i = 0; i < output.count; i++)
		free(output.frames[i]);
	free(output.reserved);
	output.reserved = NULL;
	output.count = 0;
	output.capacity = MAX_OUTPUT;
}

static void begin_gathering(void)
{
	if (gateway.fragments == NULL)
		gateway.fragments = reassembly_open();
	expect(gateway.fragments != NULL, "there is memory");
}

static void end_gathering(void)
{
	reassembly_close(gateway.fragments);
	gateway.fragments = NULL;
}

/* ---- packets ---- */

static struct ip_address random_host(bool is_v6)
{
	const uint8_t v4[4] = { (uint8_t)(1 + below(120)), (uint8_t)below(4), 2, (uint8_t)below(256) };
	struct ip_address v6 = { .bytes = { 0xfd, [15] = (uint8_t)(2 + below(200)) } };

	return is_v6 ? v6 : address_of_v4(v4);
}

/* A packet of a guest: which, and its bytes. */
struct made {
	bool is_v6;
	uint8_t protocol;
	struct ip_address source;
	struct ip_address destination;
	uint32_t network_end; /* where the transport begins */
	uint32_t length;
	uint8_t frame[2100];
};

static void seal_v4(uint8_t *ip)
{
	store_u16(ip + IPV4_CHECKSUM, 0);
	store_u16(ip + IPV4_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(0, ip, (ip[0] & 15u) * 4)));
}

/* Options that mean nothing to us, between the header and the transport; how many bytes. */
static uint32_t add_options(struct made *made)
{
	uint8_t *ip = made->frame + ETHERNET_HEADER;
	const uint32_t words = one_in(3) ? below(11) : 0;

	for (uint32_t at = 0; at < words * 4; at += 4)
		memcpy(ip + IPV4_HEADER + at, (const uint8_t[]){ 1, 0x94, 3, 0 }, 4);
	ip[0] = (uint8_t)(0x45 + words);
	return words * 4;
}

/* Extension headers; how many bytes. */
static uint32_t add_extensions(struct made *made)
{
	static const uint8_t kinds[] = { 0, 60, 43, 60 };
	uint8_t *next = made->frame + ETHERNET_HEADER + IPV6_NEXT_HEADER;
	uint8_t *at = made->frame + ETHERNET_HEADER + IPV6_HEADER;
	const uint32_t count = one_in(3) ? below(5) : 0;

	for (uint32_t i = 0; i < count; i++) {
		const uint32_t units = below(3);
		*next = kinds[i];
		memset(at, 0, (units + 1) * 8);
		at[1] = (uint8_t)units;
		next = at;
		at += (units + 1) * 8;
	}
	*next = made->protocol;
	return (uint32_t)(at - made->frame) - ETHERNET_HEADER - IPV6_HEADER;
}

static void write_transport(struct made *made, uint32_t length)
{
	uint8_t *transport = made->frame + made->network_end;
	const struct packet_path path = { .is_v6 = made->is_v6, .source = &made->source, .guest = &made->destination };
	uint32_t at = 2;

	for (uint32_t i = 0; i < length; i++)
		transport[i] = (uint8_t)next_random();
	if (made->protocol == PROTOCOL_UDP) {
		store_be16(transport + UDP_LENGTH, length);
		at = UDP_CHECKSUM;
	} else if (made->protocol == PROTOCOL_TCP) {
		at = TCP_CHECKSUM;
	}
	const uint64_t pseudo = made->protocol == PROTOCOL_ICMP ? 0 : packet_path_sum(&path, made->protocol, length);
	store_u16(transport + at, 0);
	const uint16_t sum = (uint16_t)~checksum_fold(checksum_add(pseudo, transport, length));
	store_u16(transport + at, sum == 0 ? 0xffff : sum);
}

/* A packet whose destination is a host, with everything right. */
static struct made make_packet(void)
{
	struct made made = { .is_v6 = one_in(2) };
	const uint8_t protocols[] = { PROTOCOL_UDP, PROTOCOL_TCP, made.is_v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP };
	const uint32_t length = 20 + below(1500);

	made.protocol = protocols[below(3)];
	made.source = random_host(made.is_v6);
	made.destination = random_host(made.is_v6);
	const struct packet_path path = { .guest_mac = gateway.mac, .gateway_mac = guest_mac, .is_v6 = made.is_v6,
					  .source = &made.source, .guest = &made.destination,
					  .hop_limit = (uint8_t)(1 + below(255)), .traffic_class = (uint8_t)below(256) };
	const uint32_t begin = packet_write_headers(made.frame, &path, made.protocol, length);
	const uint32_t added = made.is_v6 ? add_extensions(&made) : add_options(&made);
	uint8_t *ip = made.frame + ETHERNET_HEADER;
	made.network_end = begin + added;
	made.length = made.network_end + length;
	if (made.is_v6) {
		store_be16(ip + IPV6_PAYLOAD_LENGTH, added + length);
	} else {
		store_be16(ip + IPV4_TOTAL_LENGTH, IPV4_HEADER + added + length);
		seal_v4(ip);
	}
	write_transport(&made, length);
	return made;
}

/* Says whether what came out is an ICMP error that quotes @quoted. */
static void expect_error(const struct guest_packet *about)
{
	struct guest_packet error;
	const struct offload_header none = { 0 };
	const uint32_t most = ETHERNET_HEADER + (about->is_v6 ? 1280 : 576);

	expect(output.count <= 1 && (output.count == 0 || output.lengths[0] <= most), "one error, as long as may be");
	if (output.count == 0)
		return;
	expect(guest_packet_parse(output.frames[0], output.lengths[0], &none, &error) == GUEST_PACKET, "it is a packet");
	expect(guest_packet_is_intact(&error), "its checksum is right");
	expect(address_equals(&error.destination, &about->source), "it is for the guest");
	expect(error.end - error.transport >= 8 + (about->is_v6 ? IPV6_HEADER : IPV4_HEADER), "it quotes the header");
	const uint8_t *quoted = error.frame + error.transport + 8;
	expect(memcmp(quoted, about->frame + about->network, error.end - error.transport - 8) == 0, "it quotes the packet");
}

static void refuse(const struct guest_packet *packet)
{
	gateway.icmp_errors.since_ms = port_now_ms();
	gateway.icmp_errors.left = 1;
	icmp_refuse(&gateway, packet, below(ICMP_PROBLEMS), below(70000));
	expect_error(packet);
	forget_output();
	gateway.icmp_errors.left = 0;
	icmp_refuse(&gateway, packet, below(ICMP_PROBLEMS), below(70000));
	expect(output.count == 0, "no more errors than are allowed");
}

/* Reads a frame of which nothing is known. */
static enum guest_verdict try_bytes(const uint8_t *bytes, uint32_t length, const struct offload_header *offload)
{
	uint8_t *frame = exactly(length);
	struct guest_packet packet, whole;

	memcpy(frame, bytes, length);
	const enum guest_verdict verdict = guest_packet_parse(frame, length, offload, &packet);
	if (verdict == GUEST_PACKET || verdict == GUEST_FRAGMENT) {
		expect(packet.network == ETHERNET_HEADER && packet.transport > packet.network &&
			       packet.transport <= packet.end && packet.end <= length,
		       "all lies in the frame");
		expect(packet.is_v6 != address_is_v4(&packet.source) && packet.is_v6 != address_is_v4(&packet.destination),
		       "no address is one of the other IP");
		refuse(&packet);
	}
	if (verdict == GUEST_PACKET)
		(void)guest_packet_is_intact(&packet);
	if (verdict == GUEST_FRAGMENT && reassembly_add(&gateway, &packet, &whole))
		expect(whole.end <= whole.length && whole.transport <= whole.end, "what is whole lies in its frame");
	free(frame);
	return verdict;
}

static void damage(struct made *made)
{
	uint8_t *ip = made->frame + ETHERNET_HEADER;

	for (uint32_t count = 1 + below(3); count > 0; count--) {
		const uint32_t limit = one_in(4) ? made->length : ETHERNET_HEADER + 60;
		made->frame[12 + below((limit < made->length ? limit : made->length) - 12)] = (uint8_t)next_random();
	}
	/* Otherwise hardly anything gets beyond the checksum. */
	if (!made->is_v6 && !one_in(4) && made->length >= ETHERNET_HEADER + (ip[0] & 15u) * 4)
		seal_v4(ip);
	if (one_in(4))
		made->length = below(made->length + 1);
}

void try_guest_packets(void)
{
	struct made made = make_packet();
	const struct offload_header none = { 0 };
	struct guest_packet packet;

	begin_gathering();
	expect(guest_packet_parse(made.frame, made.length, &none, &packet) == GUEST_PACKET, "what is right is read");
	expect(packet.transport == made.network_end && packet.end == made.length && packet.protocol == made.protocol,
	       "the transport is found");
	expect(address_equals(&packet.source, &made.source) && address_equals(&packet.destination, &made.destination),
	       "so are the addresses");
	expect(guest_packet_is_intact(&packet), "its checksum is right");
	made.frame[made.network_end + 12 + below(8)] ^= (uint8_t)(1 + below(255));
	expect(guest_packet_parse(made.frame, made.length, &none, &packet) == GUEST_PACKET, "only the header is looked at");
	expect(!guest_packet_is_intact(&packet), "a wrong checksum is noticed");
	for (uint32_t i = 0; i < 20; i++) {
		struct made damaged = made;
		const struct offload_header offload = { .flags = (uint8_t)below(4), .gso_type = (uint8_t)below(6),
							.gso_size = (uint16_t)below(2000) };
		damage(&damaged);
		try_bytes(damaged.frame, damaged.length, one_in(2) ? &none : &offload);
	}
	/* What damaged packets have left behind is met by those of the next round. */
	if (one_in(50))
		end_gathering();
}

/* ---- fragments ---- */

static void shuffle(uint32_t *order, uint32_t count)
{
	for (uint32_t i = count; i > 1; i--) {
		const uint32_t other = below(i), kept = order[i - 1];
		order[i - 1] = order[other];
		order[other] = kept;
	}
}

static bool add_frame(uint32_t index, struct guest_packet *whole)
{
	const struct offload_header none = { 0 };
	struct guest_packet part;

	const enum guest_verdict verdict = guest_packet_parse(output.frames[index], output.lengths[index], &none, &part);
	expect(verdict == GUEST_FRAGMENT && output.lengths[index] <= ETHERNET_HEADER + gateway.mtu, "it is a part that fits");
	return reassembly_add(&gateway, &part, whole);
}

/* Makes a part that says something else of bytes that were there already. */
static void contradict(uint32_t index)
{
	output.frames[index][output.lengths[index] - 1] ^= 1;
}

static void try_one_packet(const uint8_t *payload, uint32_t length, const struct packet_path *path)
{
	uint32_t order[MAX_OUTPUT];
	struct guest_packet whole;
	bool is_whole = false;
	const bool is_contradicted = one_in(4);

	fragments_write(&gateway, path, 99, payload, length);
	const uint32_t count = output.count;
	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	shuffle(order, count);
	for (uint32_t i = 0; i < count; i++) {
		expect(!is_whole, "it is not whole before all came");
		is_whole = add_frame(order[i], &whole);
		if (i + 1 < count && one_in(3))
			expect(!add_frame(order[below(i + 1)], &whole), "one that comes twice changes nothing");
		if (i == 0 && is_contradicted) {
			contradict(order[0]);
			expect(!add_frame(order[0], &whole), "a contradiction makes nothing whole");
			contradict(order[0]);
		}
	}
	expect(is_whole != is_contradicted, "it is whole when all came, unless they contradict each other");
	if (!is_whole)
		return;
	expect(whole.end - whole.transport == length && memcmp(whole.frame + whole.transport, payload, length) == 0,
	       "it is what was cut");
	expect(whole.protocol == 99 && address_equals(&whole.source, path->source) &&
		       address_equals(&whole.destination, path->guest) && whole.hop_limit == path->hop_limit,
	       "so are its headers");
	expect(memcmp(whole.frame, guest_mac, MAC_BYTES) == 0 && !whole.dont_fragment, "it is for whom its parts were");
}

/* More than there is room for, of which none is ever whole. */
static void try_flood(const struct packet_path *path, const uint8_t *payload)
{
	struct guest_packet whole;
	const uint32_t most = 2 * MAX_GATHERED;

	for (uint32_t i = 0; i < most; i++) {
		forget_output();
		output.capacity = 1;
		fragments_write(&gateway, path, 99, payload, 4000);
		expect(!add_frame(0, &whole), "a part is no whole");
	}
	forget_output();
	gateway.icmp_errors.since_ms = port_now_ms();
	gateway.icmp_errors.left = most;
	expect(reassembly_check(&gateway, port_now_ms()) > port_now_ms(), "nothing is late");
	expect(reassembly_check(&gateway, port_now_ms() + REASSEMBLY_MS) == INT64_MAX, "nothing stays for ever");
	expect(output.count == MAX_GATHERED, "whom it was of hears that it came to nothing");
}

/* A part that would reach beyond the longest packet there is. */
static void try_too_long(const struct packet_path *path, const uint8_t *payload)
{
	const double before = counters[GATEWAY_FRAGMENTS_DROPPED];
	const uint32_t offset = 65528;
	struct guest_packet whole;

	output.capacity = 1;
	fragments_write(&gateway, path, 99, payload, 4000);
	uint8_t *ip = output.frames[0] + ETHERNET_HEADER;
	if (path->is_v6) {
		store_be16(ip + IPV6_HEADER + 2, offset | 1);
	} else {
		store_be16(ip + IPV4_FRAGMENT, 0x2000 | offset / 8);
		seal_v4(ip);
	}
	expect(!add_frame(0, &whole) && counters[GATEWAY_FRAGMENTS_DROPPED] == before + 1, "what is too long is dropped");
	forget_output();
}

void try_fragments(void)
{
	const bool is_v6 = one_in(2);
	const struct ip_address source = random_host(is_v6), destination = random_host(is_v6);
	const struct packet_path path = { .guest_mac = guest_mac, .gateway_mac = gateway.mac, .is_v6 = is_v6,
					  .source = &source, .guest = &destination, .hop_limit = 33 };
	const uint32_t length = 1501 + below(one_in(3) ? 64000 : 6000);
	uint8_t *payload = exactly(length < 4000 ? 4000 : length);

	for (uint32_t i = 0; i < length || i < 4000; i++)
		payload[i] = (uint8_t)next_random();
	end_gathering();
	begin_gathering();
	gateway.mtu = 1280 + below(200);
	for (uint32_t i = 0; i < 3; i++) {
		try_one_packet(payload, length, &path);
		forget_output();
	}
	reassembly_check(&gateway, port_now_ms() + REASSEMBLY_MS);
	try_too_long(&path, payload);
	if (one_in(10))
		try_flood(&path, payload);
	forget_output();
	end_gathering();
	gateway.mtu = 1500;
	free(payload);
}

/* ---- timers ---- */

#define TIMERS 40

/* Times of all sizes. */
static int64_t random_delay(void)
{
	const uint32_t limits[] = { 20, 3000, 600000, 100000000 };

	return below(limits[below(4)]);
}

static void expire(struct timer_wheel *wheel, struct timer *timers, bool *runs, int64_t now_ms)
{
	struct timer *timer;

	while ((timer = timer_wheel_expire(wheel, now_ms)) != NULL) {
		expect(timer->due_ms <= now_ms && runs[timer - timers], "none runs early, or twice");
		expect(!timer_runs(timer), "it is stopped");
		runs[timer - timers] = false;
	}
	for (uint32_t i = 0; i < TIMERS; i++)
		expect(!runs[i] || timers[i].due_ms > now_ms - WHEEL_TICK_MS, "none is forgotten");
}

/* One that is set to a time that is over, again and again. */
static void try_late_timer(int64_t now_ms)
{
	struct timer_wheel *wheel = exactly(sizeof *wheel);
	struct timer timer = { 0 };

	timer_wheel_prepare(wheel, now_ms);
	timer_set(wheel, &timer, now_ms);
	for (uint32_t i = 0; i < 20; i++) {
		now_ms += WHEEL_TICK_MS + below(5000);
		expect(timer_wheel_expire(wheel, now_ms) == &timer, "it runs");
		timer_set(wheel, &timer, now_ms - below(6000));
		expect(timer_wheel_expire(wheel, now_ms) == NULL, "but not twice at a time");
		expect(timer_wheel_next_ms(wheel) <= now_ms + WHEEL_TICK_MS, "it is not forgotten");
	}
	free(wheel);
}

void try_timers(void)
{
	struct timer_wheel *wheel = exactly(sizeof *wheel);
	struct timer timers[TIMERS] = { 0 };
	bool runs[TIMERS] = { 0 };
	int64_t now_ms = 1000000 + below(1000000);

	try_late_timer(now_ms);
	memset(wheel, 0, sizeof *wheel);
	timer_wheel_prepare(wheel, now_ms);
	for (uint32_t step = 0; step < 200; step++) {
		const uint32_t number = below(TIMERS);
		if (one_in(5)) {
			timer_stop(&timers[number]);
			runs[number] = false;
		} else {
			timer_set(wheel, &timers[number], now_ms + random_delay());
			runs[number] = true;
		}
		expect(timer_runs(&timers[number]) == runs[number], "it runs when it was started");
		const int64_t next_ms = timer_wheel_next_ms(wheel);
		for (uint32_t i = 0; i < TIMERS; i++)
			expect(!runs[i] || next_ms <= timers[i].due_ms + WHEEL_TICK_MS, "it is looked at in time");
		if (one_in(2))
			now_ms += random_delay() / 4;
		else if (one_in(2) && next_ms != INT64_MAX && next_ms > now_ms)
			now_ms = next_ms;
		expire(wheel, timers, runs, now_ms);
	}
	free(wheel);
}

/* ---- hashes ---- */

/* The vectors of SipHash-2-4 of those who made it: bytes 0, 1, 2 ... with a key of such bytes. */
void try_siphash(void)
{
	static const struct {
		size_t length;
		uint64_t hash;
	} vectors[] = {
		{ 0, 0x726fdb47dd0e0e31 }, { 1, 0x74f839c593dc67fd }, { 7, 0xab0200f58b01d137 },
		{ 8, 0x93f5f5799a932462 }, { 15, 0xa129ca6149be45e5 },
	};
	struct siphash_key key;

	for (uint32_t i = 0; i < sizeof key.bytes; i++)
		key.bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		uint8_t *input = exactly(vectors[i].length);
		for (size_t at = 0; at < vectors[i].length; at++)
			input[at] = (uint8_t)at;
		expect(siphash(&key, input, vectors[i].length) == vectors[i].hash, "the hash is as its authors say");
		free(input);
	}
}

/* ---- flows ---- */

#define FLOWS 600

static struct flow_key key_of(uint32_t number)
{
	const uint8_t guest[4] = { 10, 0, 2, (uint8_t)(number % 7) };

	return (struct flow_key){ .guest = address_of_v4(guest), .guest_port = (uint16_t)(number / 7), .kind = number % 3 };
}

static void forget_flow(struct flow_table *table, struct flow **flows, uint32_t number)
{
	flow_table_remove(table, flows[number]);
	free(flows[number]);
	flows[number] = NULL;
}

static void use_flow(struct flow_table *table, struct flow **flows, uint32_t number, uint64_t *used, uint64_t now)
{
	const enum flow_class class = below(FLOW_CLASSES);

	if (flows[number] == NULL) {
		flows[number] = exactly(sizeof **flows);
		memset(flows[number], 0, sizeof **flows);
		flows[number]->key = key_of(number);
		flows[number]->class = class;
		flow_table_add(table, flows[number]);
	} else {
		flow_table_use(table, flows[number], class);
	}
	used[number] = now;
}

/* Whom it says to be the oldest is: of the first class that has any. */
static void expect_oldest(const struct flow_table *table, struct flow **flows, const uint64_t *used)
{
	const struct flow *oldest = flow_table_oldest(table, NULL);
	uint32_t best = FLOWS;

	for (uint32_t i = 0; i < FLOWS; i++) {
		if (flows[i] == NULL || flows[i]->class > CLASS_DATAGRAMS)
			continue;
		if (best == FLOWS || flows[i]->class < flows[best]->class ||
		    (flows[i]->class == flows[best]->class && used[i] < used[best]))
			best = i;
	}
	expect(oldest == (best == FLOWS ? NULL : flows[best]), "the oldest goes first");
}

void try_flow_table(void)
{
	struct flow *flows[FLOWS] = { 0 };
	uint64_t used[FLOWS] = { 0 };
	struct flow_table table = { 0 };
	struct siphash_key secret;
	uint32_t count = 0;

	for (uint32_t i = 0; i < sizeof secret.bytes; i++)
		secret.bytes[i] = (uint8_t)next_random();
	expect(flow_table_prepare(&table, FLOWS, &secret) == 0, "there is memory");
	for (uint32_t step = 1; step < 3000; step++) {
		const uint32_t number = below(FLOWS);
		const struct flow_key key = key_of(number);
		expect(flow_table_find(&table, &key) == flows[number], "what was added is found");
		count += flows[number] == NULL ? 1 : 0;
		if (flows[number] != NULL && one_in(3)) {
			forget_flow(&table, flows, number);
			count--;
		} else {
			use_flow(&table, flows, number, used, step);
		}
		expect(table.count == count, "all are counted");
		if (step % 64 == 0)
			expect_oldest(&table, flows, used);
	}
	for (uint32_t i = 0; i < FLOWS; i++) {
		if (flows[i] != NULL)
			forget_flow(&table, flows, i);
	}
	flow_table_release(&table);
}

/* ---- segments before their turn ---- */

#define STREAM_BYTES 60000

/* A piece of a stream arrives: what is expected goes to the host, what is not is kept. */
static void arrive(struct tcp_flow *tcp, const uint8_t *stream, uint32_t first, uint32_t at, uint32_t length)
{
	const uint32_t done = tcp->expected - first;

	if (at > done) {
		tcp_ahead_keep(tcp, first + at, stream + at, length);
	} else if (at + length > done) {
		tcp->expected += (uint32_t)tcp_host_take(tcp, stream + done, at + length - done);
		expect(tcp_ahead_pass(tcp) == 0, "the host takes it");
	}
}

/* A stream in pieces of all sizes, which come in any order, some of them often. */
static void try_stream(void)
{
	const uint32_t first = next_random();
	struct tcp_flow tcp = { .flow.gateway = &gateway, .expected = first };
	uint8_t *stream = exactly(STREAM_BYTES);

	for (uint32_t i = 0; i < STREAM_BYTES; i++)
		stream[i] = (uint8_t)next_random();
	host.bytes = exactly(STREAM_BYTES);
	host.count = 0;
	while (tcp.expected - first < STREAM_BYTES) {
		const uint32_t done = tcp.expected - first;
		const uint32_t at = one_in(3) ? done : below(STREAM_BYTES);
		const uint32_t most = STREAM_BYTES - at < 3000 ? STREAM_BYTES - at : 3000;
		arrive(&tcp, stream, first, at, 1 + below(most));
		expect(host.count == tcp.expected - first, "what is acknowledged was taken");
		if (tcp.ahead != NULL)
			expect(tcp_ahead_pass(&tcp) == 0, "the host takes it");
	}
	expect(memcmp(host.bytes, stream, STREAM_BYTES) == 0, "the host has what was sent, in order");
	expect(tcp.ahead == NULL && gateway.ahead_count == 0, "nothing is kept of what the host has");
	free(host.bytes);
	free(stream);
}

/* Guests that leave holes have all places. */
static void try_places(void)
{
	static struct tcp_flow flows[MAX_AHEAD + 2];
	const uint8_t byte = 7;

	for (uint32_t i = 0; i < MAX_AHEAD + 2; i++)
		flows[i] = (struct tcp_flow){ .flow.gateway = &gateway };
	for (uint32_t i = 0; i <= MAX_AHEAD; i++)
		tcp_ahead_keep(&flows[i], 1, &byte, 1);
	expect(flows[MAX_AHEAD].ahead == NULL && gateway.ahead_count == MAX_AHEAD, "places are few");
	for (uint32_t i = 0; i < MAX_AHEAD; i++)
		flows[i].ahead->progress_ms -= AHEAD_STUCK_MS;
	flows[0].expected = UINT32_MAX;
	expect(tcp_ahead_pass(&flows[0]) == 0, "the host takes it");
	tcp_ahead_keep(&flows[MAX_AHEAD], 1, &byte, 1);
	expect(flows[MAX_AHEAD].ahead != NULL && flows[0].ahead != NULL && flows[1].ahead == NULL,
	       "who was stuck for longest makes room");
	for (uint32_t i = 0; i <= MAX_AHEAD; i++)
		tcp_ahead_forget(&flows[i]);
	expect(gateway.ahead_count == 0 && list_is_empty(&gateway.ahead), "all places are free again");
}

void try_tcp_ahead(void)
{
	list_prepare(&gateway.ahead);
	try_stream();
	try_places();
}

/* ---- peers of a forward ---- */

void try_forward_peers(void)
{
	struct forward_peers *peers = forward_peers_open();
	const struct ip_address shown = random_host(one_in(2));
	const uint32_t count = 1 + below(4 * MAX_FORWARD_PEERS);

	expect(peers != NULL, "there is memory");
	expect(forward_peers_find(peers, &shown, 1) == NULL, "nobody is known at first");
	for (uint32_t i = 1; i <= count; i++) {
		const union udp_address real = socket_address(&shown, (uint16_t)(i + 1));
		forward_peers_note(peers, &shown, (uint16_t)i, &real);
		const struct forward_peer *peer = forward_peers_find(peers, &shown, (uint16_t)i);
		expect(peer != NULL && memcmp(&peer->real, &real, sizeof real) == 0, "who was just heard is known");
	}
	free(peers);
}
