#define _GNU_SOURCE
#include "gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo.h"
#include "frame_io.h"
#include "hot.h"
#include "icmp_error.h"
#include "listener.h"
#include "reassembly.h"
#include "tcp.h"
#include "udp.h"

#define OUTPUT_BYTES (1024 * 1024)
#define OUTPUT_FRAMES BURST_FRAMES
/* How much leaves for the guests before they are read again: their answers to more would not fit the queue of a TAP. */
#define TURN_BYTES (512 * 1024)
/* How often an event of one kind is told at most, where it says so. */
#define EVENT_PAUSE_MS 1000
#define DHCP_SERVER_PORT 67
#define DHCPV6_SERVER_PORT 547
#define ICMPV6_ROUTER_SOLICITATION 133
#define ICMPV6_REDIRECT 137
#define ICMP_ECHO_REQUEST 8
#define ICMPV6_ECHO_REQUEST 128

/* --- What the files of the protocols use. --- */

static void tell_script(struct gateway *gateway)
{
	eventfd_write(gateway->notice, 1);
}

bool gateway_tell(struct gateway *gateway, const struct gateway_event *event)
{
	if (gateway->event_count == MAX_EVENTS)
		return false;
	if (gateway->event_count == 0)
		tell_script(gateway);
	gateway->events[gateway->event_count++] = *event;
	return true;
}

void gateway_tell_seldom(struct gateway *gateway, const struct gateway_event *event)
{
	const int64_t now_ms = gateway_now_ms();

	if (event->kind >= EVENT_KINDS || now_ms < gateway->event_ms[event->kind])
		return;
	gateway->event_ms[event->kind] = now_ms + EVENT_PAUSE_MS;
	gateway_tell(gateway, event);
}

/* Whether the first @prefix bits are the same. */
static bool has_prefix(const struct ip_address *address, const struct ip_address *network, uint32_t prefix)
{
	const uint32_t whole = prefix / 8;

	if (memcmp(address->bytes, network->bytes, whole) != 0)
		return false;
	const uint8_t mask = (uint8_t)(0xff00 >> prefix % 8);
	return prefix % 8 == 0 || ((address->bytes[whole] ^ network->bytes[whole]) & mask) == 0;
}

HOT struct gateway_rule *gateway_find_rule(struct gateway *gateway, uint32_t protocol, const struct ip_address *address,
					   uint16_t port, int32_t *index)
{
	for (uint32_t i = 0; i < gateway->rule_count; i++) {
		struct gateway_rule *rule = &gateway->rules[i];
		if ((rule->protocols & protocol) == 0 || !has_prefix(address, &rule->address, rule->prefix))
			continue;
		if (protocol != RULE_ECHO && (port < rule->first_port || port > rule->last_port))
			continue;
		*index = (int32_t)i;
		return rule;
	}
	*index = -1;
	return NULL;
}

/* What the file of a protocol does with its flows. */
struct flow_operations {
	void (*task)(struct flow *flow);
	void (*timer)(struct flow *flow, int64_t now_ms);
	void (*end)(struct flow *flow);
};

static const struct flow_operations operations[] = {
	[FLOW_TCP] = { .task = tcp_task, .timer = tcp_timer, .end = tcp_end },
	[FLOW_UDP] = { .task = udp_task, .timer = udp_timer, .end = udp_end },
	[FLOW_ECHO] = { .task = echo_task, .timer = echo_timer, .end = echo_end },
};

HOT static const struct flow_operations *operations_of(const struct flow *flow)
{
	return &operations[flow->key.kind];
}

/* Ends the flow that has to go first; false when none may. */
static bool evict(struct gateway *gateway, const struct flow *spared)
{
	struct flow *oldest = flow_table_oldest(&gateway->flows, spared);

	if (oldest == NULL)
		return false;
	gateway_count(gateway, GATEWAY_EVICTED);
	operations_of(oldest)->end(oldest);
	return true;
}

int gateway_socket(struct gateway *gateway, int family, int type, int protocol, const struct flow *spared)
{
	const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fd = socket(family, type | flags, protocol);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE) && evict(gateway, spared))
		fd = socket(family, type | flags, protocol);
	return fd < 0 ? -errno : fd;
}

bool gateway_make_room(struct gateway *gateway)
{
	if (gateway->flows.count < gateway->flows.most)
		return true;
	if (evict(gateway, NULL))
		return true;
	gateway_count(gateway, GATEWAY_EXHAUSTED);
	gateway_tell_seldom(gateway, &(struct gateway_event){ .kind = EVENT_EXHAUSTED });
	return false;
}

static bool has_room(const struct gateway_output *output, uint32_t size)
{
	return output->count < output->capacity && size <= output->size - output->used;
}

HOT uint8_t *gateway_reserve(struct gateway *gateway, uint32_t size)
{
	struct gateway_output *output = &gateway->output;

	if (!has_room(output, size) && !gateway->is_reading)
		gateway_flush(gateway);
	if (!has_room(output, size)) {
		gateway_count(gateway, GATEWAY_NO_ROOM);
		return NULL;
	}
	return output->arena + output->used;
}

HOT void gateway_commit(struct gateway *gateway, uint32_t length, const struct offload_header *offload)
{
	struct gateway_output *output = &gateway->output;
	struct frame_slot *slot = &output->slots[output->count++];

	*slot = (struct frame_slot){ .offset = (uint32_t)output->used, .length = length };
	if (offload != NULL)
		slot->offload = *offload;
	output->used += length;
	gateway->allowance -= length;
	datapath_soon(&gateway->finish);
}

HOT void gateway_flush(struct gateway *gateway)
{
	struct gateway_output *output = &gateway->output;
	struct member *member = gateway->member;
	const struct frames frames = { .source = member == NULL ? 0 : member->id, .arena = output->arena,
				       .arena_size = output->size, .slots = output->slots, .count = output->count };

	output->count = 0;
	output->used = 0;
	if (frames.count == 0 || member == NULL)
		return;
	for (uint32_t i = 0; i < frames.count; i++)
		member->port.received[COUNT_BYTES] += frames.slots[i].length;
	member->port.received[COUNT_FRAMES] += frames.count;
	fabric_forward(member, &frames);
}

HOT void gateway_schedule(struct flow *flow)
{
	struct gateway *gateway = flow->gateway;

	if (flow->has_task)
		return;
	flow->has_task = true;
	flow->task_next = NULL;
	*gateway->tasks_end = flow;
	gateway->tasks_end = &flow->task_next;
	gateway->task_count++;
	datapath_soon(&gateway->finish);
}

static void forget_task(struct flow *flow)
{
	struct gateway *gateway = flow->gateway;
	struct flow **link = &gateway->tasks;

	if (!flow->has_task)
		return;
	while (*link != flow)
		link = &(*link)->task_next;
	*link = flow->task_next;
	if (*link == NULL)
		gateway->tasks_end = link;
	gateway->task_count--;
	flow->has_task = false;
}

static struct flow *take_task(struct gateway *gateway)
{
	struct flow *flow = gateway->tasks;

	gateway->tasks = flow->task_next;
	if (gateway->tasks == NULL)
		gateway->tasks_end = &gateway->tasks;
	gateway->task_count--;
	flow->has_task = false;
	return flow;
}

void gateway_hold_back(struct flow *flow)
{
	if (!list_has(&flow->resume_link))
		list_add_last(&flow->gateway->held_back, &flow->resume_link);
}

void gateway_set_timer(struct flow *flow, int64_t due_ms)
{
	timer_set(&flow->gateway->timers, &flow->timer, due_ms);
	datapath_look_at(due_ms);
}

void gateway_forget(struct flow *flow)
{
	timer_stop(&flow->timer);
	forget_task(flow);
	list_remove(&flow->resume_link);
	list_remove(&flow->wait_link);
	datapath_unwatch(&flow->watch);
	flow_table_remove(&flow->gateway->flows, flow);
}

static void give_frame(struct gateway *gateway, const uint8_t *bytes, uint32_t length,
		       const struct offload_header *offload)
{
	const struct frame_slot slot = { .length = length, .offload = *offload };
	const struct frames frames = { .arena = bytes, .arena_size = length, .slots = &slot, .count = 1 };
	const bool had_to_wait = port_waiting(&gateway->script) > 0;

	port_send(&gateway->script, &frames);
	if (!had_to_wait && port_waiting(&gateway->script) > 0)
		tell_script(gateway);
}

void gateway_give_script(struct gateway *gateway, const struct guest_packet *packet)
{
	give_frame(gateway, packet->frame, packet->length, &packet->offload);
}

/* --- Addresses. --- */

const struct ip_address *gateway_own(const struct gateway *gateway, bool is_v6)
{
	for (uint32_t i = 0; i < gateway->own_count; i++) {
		const struct ip_address *own = &gateway->own[i];
		const bool is_link_local = own->bytes[0] == 0xfe && (own->bytes[1] & 0xc0) == 0x80;
		if (address_is_v4(own) != is_v6 && !is_link_local)
			return own;
	}
	return NULL;
}

bool gateway_is_own(const struct gateway *gateway, const struct ip_address *address)
{
	for (uint32_t i = 0; i < gateway->own_count; i++) {
		if (address_equals(&gateway->own[i], address))
			return true;
	}
	return false;
}

/* --- Frames of guests. --- */

bool gateway_is_local(const struct gateway *gateway, const struct ip_address *address)
{
	for (uint32_t i = 0; i < gateway->guest_network_count; i++) {
		if (has_prefix(address, &gateway->guest_networks[i].address, gateway->guest_networks[i].prefix))
			return true;
	}
	return false;
}

/* Whether an address of the guests' network stands for all of it, or for everybody in it (RFC 1122, 3.2.1.3). */
static bool is_whole(const struct gateway *gateway, const struct ip_address *address)
{
	const uint32_t number = load_be32(address->bytes + MAPPED_BYTES);

	for (uint32_t i = 0; address_is_v4(address) && i < gateway->guest_network_count; i++) {
		const uint32_t prefix = gateway->guest_networks[i].prefix;
		const uint32_t hosts = prefix > 96 && prefix < 127 ? UINT32_MAX >> (prefix - 96) : 0;
		if (hosts != 0 && has_prefix(address, &gateway->guest_networks[i].address, prefix) &&
		    ((number & hosts) == 0 || (number & hosts) == hosts))
			return true;
	}
	return false;
}

static bool is_icmp(const struct guest_packet *packet)
{
	return packet->protocol == (packet->is_v6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP) && packet->end > packet->transport;
}

static bool is_neighbour_discovery(const struct guest_packet *packet)
{
	const uint8_t type = packet->frame[packet->transport];

	return packet->is_v6 && is_icmp(packet) && type >= ICMPV6_ROUTER_SOLICITATION && type <= ICMPV6_REDIRECT;
}

static bool is_echo_request(const struct guest_packet *packet)
{
	return is_icmp(packet) &&
	       packet->frame[packet->transport] == (packet->is_v6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO_REQUEST);
}

static bool is_for_dhcp(const struct guest_packet *packet)
{
	if (packet->protocol != PROTOCOL_UDP || packet->end - packet->transport < UDP_HEADER)
		return false;
	const uint16_t port = load_be16(packet->frame + packet->transport + 2);
	return port == (packet->is_v6 ? DHCPV6_SERVER_PORT : DHCP_SERVER_PORT);
}

static void count_unsupported(struct gateway *gateway)
{
	gateway_count(gateway, GATEWAY_UNSUPPORTED);
}

/* Packets that leave the guests' network, or are for a service of the gateway. */
HOT static void translate(struct gateway *gateway, const struct guest_packet *packet)
{
	const bool is_own = gateway_is_own(gateway, &packet->destination);

	if (packet->has_options) {
		count_unsupported(gateway);
		return;
	}
	if (packet->hop_limit <= 1 && !is_own) {
		icmp_refuse(gateway, packet, ICMP_TIME_EXCEEDED, 0);
		return;
	}
	if (!guest_packet_is_intact(packet)) {
		gateway_count(gateway, GATEWAY_BAD_CHECKSUM);
		return;
	}
	if (packet->protocol == PROTOCOL_TCP)
		tcp_input(gateway, packet);
	else if (packet->protocol == PROTOCOL_UDP)
		udp_input(gateway, packet);
	else if (is_own && is_echo_request(packet))
		echo_answer(gateway, packet);
	else if (is_icmp(packet) && !is_own)
		echo_input(gateway, packet);
	else if (is_icmp(packet))
		count_unsupported(gateway);
	else
		icmp_refuse(gateway, packet, ICMP_PROTOCOL_UNREACHABLE, 0);
}

HOT static void read_packet(struct gateway *gateway, const struct guest_packet *packet)
{
	if (is_neighbour_discovery(packet)) {
		gateway_give_script(gateway, packet);
		return;
	}
	if (address_is_group(&packet->destination)) {
		if (is_for_dhcp(packet))
			gateway_give_script(gateway, packet);
		else
			count_unsupported(gateway);
		return;
	}
	/* Neighbours ask each other by link-local addresses, and may do so of us; nothing of that leads further. */
	const bool is_link_local = packet->is_v6 && packet->source.bytes[0] == 0xfe;
	const bool is_guest = gateway_is_local(gateway, &packet->source) && !gateway_is_own(gateway, &packet->source) &&
			      !is_whole(gateway, &packet->source);
	if (!is_guest && !(is_link_local && gateway_is_own(gateway, &packet->destination))) {
		gateway_count(gateway, GATEWAY_BAD_SOURCE);
		return;
	}
	if (memcmp(packet->frame, gateway->mac, MAC_BYTES) != 0)
		return; /* A switch did not know where it belongs: it is another guest's. */
	gateway_learn(gateway, &packet->source, packet->frame + MAC_BYTES);
	if (is_for_dhcp(packet))
		gateway_give_script(gateway, packet);
	else
		translate(gateway, packet);
}

HOT static void read_frame(struct gateway *gateway, const uint8_t *frame, const struct frame_slot *slot)
{
	struct guest_packet packet, whole;

	switch (guest_packet_parse(frame, slot->length, &slot->offload, &packet)) {
	case GUEST_PACKET:
		read_packet(gateway, &packet);
		break;
	case GUEST_FRAGMENT:
		gateway_count(gateway, GATEWAY_FRAGMENTS);
		if (memcmp(frame, gateway->mac, MAC_BYTES) == 0 && reassembly_add(gateway, &packet, &whole))
			read_packet(gateway, &whole);
		break;
	case GUEST_NOT_IP:
		give_frame(gateway, frame, slot->length, &slot->offload);
		break;
	case GUEST_MALFORMED:
		gateway_count(gateway, GATEWAY_MALFORMED);
		break;
	}
}

HOT void gateway_input(struct gateway *gateway, const struct frames *frames)
{
	gateway->is_reading = true;
	for (uint32_t i = 0; i < frames->count; i++)
		read_frame(gateway, frames->arena + frames->slots[i].offset, &frames->slots[i]);
	udp_input_end();
	gateway->is_reading = false;
}

/* --- Work. --- */

/* Each flow that has work to do gets one turn; those that have more then come again later. */
HOT static void finish(struct datapath_task *task)
{
	struct gateway *gateway = (struct gateway *)((char *)task - offsetof(struct gateway, finish));

	gateway->allowance = TURN_BYTES;
	for (uint32_t rest = gateway->task_count; rest > 0 && gateway->tasks != NULL && gateway->allowance > 0; rest--) {
		struct flow *flow = take_task(gateway);
		operations_of(flow)->task(flow);
	}
	gateway_flush(gateway);
	/* What was asked for meanwhile is for later. */
	datapath_cancel(&gateway->finish);
	if (gateway->tasks != NULL)
		datapath_next_turn(&gateway->again);
}

static void go_on(struct datapath_task *task)
{
	struct gateway *gateway = (struct gateway *)((char *)task - offsetof(struct gateway, again));

	datapath_soon(&gateway->finish);
}

int64_t gateway_check(struct gateway *gateway, int64_t now_ms)
{
	struct timer *timer;

	while ((timer = timer_wheel_expire(&gateway->timers, now_ms)) != NULL) {
		struct flow *flow = (struct flow *)((char *)timer - offsetof(struct flow, timer));
		operations_of(flow)->timer(flow, now_ms);
	}
	const int64_t flows_ms = timer_wheel_next_ms(&gateway->timers);
	const int64_t fragments_ms = reassembly_check(gateway, now_ms);
	const int64_t listeners_ms = listener_check(gateway, now_ms);
	const int64_t next_ms = flows_ms < fragments_ms ? flows_ms : fragments_ms;
	return next_ms < listeners_ms ? next_ms : listeners_ms;
}

void gateway_pause(struct gateway *gateway, bool is_paused)
{
	if (gateway->is_paused == is_paused)
		return;
	gateway->is_paused = is_paused;
	if (is_paused)
		return;
	while (!list_is_empty(&gateway->held_back)) {
		struct list_link *first = gateway->held_back.next;
		list_remove(first);
		gateway_schedule(list_entry(first, struct flow, resume_link));
	}
	const int64_t next_ms = timer_wheel_next_ms(&gateway->timers);
	datapath_look_at(next_ms < gateway->accept_ms || gateway->stalled == NULL ? next_ms : gateway->accept_ms);
}

/* --- Begin and end. --- */

/* The keys of the table and of sequence numbers, which must not be told from each other's values; 0 or an errno. */
static int make_keys(struct siphash_key keys[2])
{
	const size_t length = 2 * sizeof *keys;
	ssize_t count;

	do
		count = getrandom(keys, length, 0);
	while (count < 0 && errno == EINTR);
	return count < 0 ? errno : (size_t)count < length ? EIO : 0;
}

int gateway_prepare(struct gateway *gateway, uint32_t most_flows)
{
	struct siphash_key keys[2];

	gateway->is_paused = true;
	gateway->finish.run = finish;
	gateway->again.run = go_on;
	gateway->tasks_end = &gateway->tasks;
	list_prepare(&gateway->held_back);
	list_prepare(&gateway->ahead);
	list_prepare(&gateway->askers);
	list_prepare(&gateway->seekers);
	gateway->script = (struct port){ .kind = PORT_SCRIPT, .fd = -1, .max_frame = MAX_FRAME_BYTES,
					 .sent = gateway->script_counters,
					 .received = gateway->script_counters + COUNTERS_PER_DIRECTION };
	gateway->notice = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (gateway->notice < 0)
		return errno;
	timer_wheel_prepare(&gateway->timers, gateway_now_ms());
	gateway->fragments = reassembly_open();
	struct gateway_output *output = &gateway->output;
	output->size = OUTPUT_BYTES;
	output->capacity = OUTPUT_FRAMES;
	output->arena = malloc(output->size);
	output->slots = malloc(output->capacity * sizeof *output->slots);
	if (gateway->fragments == NULL || output->arena == NULL || output->slots == NULL)
		return ENOMEM;
	const int error = make_keys(keys);
	if (error != 0)
		return error;
	gateway->sequence_key = keys[1];
	return flow_table_prepare(&gateway->flows, most_flows < MAX_FLOW_WATCHES ? most_flows : MAX_FLOW_WATCHES,
				  &keys[0]);
}

void gateway_release(struct gateway *gateway)
{
	for (int class = 0; gateway->flows.buckets != NULL && class < FLOW_CLASSES; class++) {
		struct list_link *list = &gateway->flows.classes[class];
		while (!list_is_empty(list)) {
			struct flow *flow = list_entry(list->next, struct flow, class_link);
			operations_of(flow)->end(flow);
		}
	}
	datapath_cancel(&gateway->finish);
	datapath_cancel(&gateway->again);
	port_release(&gateway->script);
	reassembly_close(gateway->fragments);
	free(gateway->output.arena);
	free(gateway->output.slots);
	flow_table_release(&gateway->flows);
	if (gateway->notice >= 0)
		close(gateway->notice);
}
