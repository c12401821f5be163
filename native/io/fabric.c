#define _GNU_SOURCE
#include "fabric.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge.h"
#include "capture.h"
#include "datapath.h"
#include "frame_io.h"
#include "gateway.h"
#include "hot.h"
#include "tunnel.h"
#include "vlan.h"

/* How long a peer may take nothing before what waits for it is dropped (STALL_MS in sender.ts). */
#define STALL_MS 100
/* The same of a tunnel: what waits there waits for a wire, not for somebody, and slow wires take their time. */
#define TUNNEL_STALL_MS 1000
/* How long others wait for a slow port, when there are others. */
#define HOLD_MS 20
#define FIRST_CAPACITY 4

#define MULTICAST_BIT 1
#define DESTINATION_OFFSET 0
#define SOURCE_OFFSET 6

/* Where a frame goes, besides the number of a member. */
#define TO_ALL UINT32_MAX
#define TO_NOBODY (UINT32_MAX - 1)

/* A burst that is being sorted; used with the lock, by whoever forwards. */
static struct {
	uint32_t to[BURST_FRAMES];
	struct frame_slot slots[BURST_FRAMES];
} sorting;

int fabric_prepare(struct fabric *fabric, uint32_t table_size, uint32_t seed, uint32_t expire_ms)
{
	fabric->notice = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fabric->notice < 0)
		return errno;
	fabric->table.seed = seed;
	fabric->table.expire = expire_ms / 100;
	fabric->members = calloc(FIRST_CAPACITY, sizeof(struct member *));
	fabric->capacity = FIRST_CAPACITY;
	return fabric->members == NULL || !forwarding_table_prepare(&fabric->table, table_size) ? ENOMEM : 0;
}

void fabric_release(struct fabric *fabric)
{
	if (fabric->notice >= 0)
		close(fabric->notice);
	forwarding_table_release(&fabric->table);
	free(fabric->control);
	free(fabric->members);
}

struct member *fabric_member_of(const struct fabric *fabric, const struct forwarding_entry *entry, uint32_t now)
{
	return forwarding_entry_is_fresh(&fabric->table, entry, now) ? datapath_member_of(entry->port) : NULL;
}

uint32_t fabric_now(const struct fabric *fabric)
{
	return (uint32_t)((port_now_ms() + fabric->clock_ms) / 100);
}

void fabric_notify(struct fabric *fabric)
{
	if (!fabric->has_reports && !fabric->in_script)
		eventfd_write(fabric->notice, 1);
	fabric->has_reports = true;
}

void fabric_report(struct member *member, uint32_t report)
{
	struct fabric *fabric = member->fabric;

	if (member->reports & report)
		return;
	member->reports |= report;
	fabric_notify(fabric);
}

/* Whether nobody else suffers when one end waits for the other. */
HOT static bool is_line(const struct fabric *fabric)
{
	return fabric->count == 2;
}

/* From now on there are others: who waits for ever, as on a line, waits no longer than they all do. */
static void limit_holds(struct fabric *fabric)
{
	const int64_t until_ms = port_now_ms() + HOLD_MS;

	for (uint32_t i = 0; i < fabric->count; i++) {
		if (fabric->members[i]->held_by == NULL)
			continue;
		fabric->members[i]->hold_until_ms = until_ms;
		datapath_look_at(until_ms);
	}
}

void fabric_choose_way(struct fabric *fabric)
{
	fabric->is_bridge = fabric->is_tagging || fabric->control != NULL || fabric->restricted > 0 || fabric->mates > 0 ||
			    fabric->takes_turns;
}

/* How many other members have this group. */
static uint32_t count_mates(const struct fabric *fabric, uint32_t group)
{
	uint32_t count = 0;

	for (uint32_t i = 0; group >= FIRST_GROUP && i < fabric->count; i++)
		count += fabric->members[i]->group == group;
	return count;
}

int fabric_add(struct fabric *fabric, struct member *member, uint32_t group)
{
	if (fabric->count == fabric->capacity) {
		struct member **larger = realloc(fabric->members, 2 * fabric->capacity * sizeof *larger);
		if (larger == NULL)
			return ENOMEM;
		fabric->members = larger;
		fabric->capacity *= 2;
	}
	if (is_line(fabric))
		limit_holds(fabric);
	const uint32_t mates = count_mates(fabric, group);
	/* The second one makes mates of both. */
	fabric->mates += mates == 1 ? 2 : mates > 0;
	member->fabric = fabric;
	member->group = group >= FIRST_GROUP ? group : member->id;
	member->place = fabric->count;
	fabric->members[fabric->count++] = member;
	fabric_choose_way(fabric);
	return 0;
}

int fabric_put_into_vlans(struct member *member, const struct port_vlans *vlans)
{
	static const struct port_vlans vlan_0;
	struct fabric *fabric = member->fabric;

	if (memcmp(vlans, &vlan_0, sizeof vlan_0) == 0) {
		fabric->restricted -= member->vlans != NULL;
		free(member->vlans);
		member->vlans = NULL;
	} else {
		struct port_vlans *room = member->vlans != NULL ? member->vlans : malloc(sizeof *room);
		if (room == NULL)
			return ENOMEM;
		fabric->restricted += member->vlans == NULL;
		*room = *vlans;
		member->vlans = room;
	}
	fabric_choose_way(fabric);
	return 0;
}

HOT static int64_t stall_ms(const struct port *port)
{
	return port->kind == PORT_TUNNEL ? TUNNEL_STALL_MS : STALL_MS;
}

/* Whether the datapath hears of what is behind the port. */
HOT static bool is_served(const struct member *member)
{
	switch (member->port.kind) {
	case PORT_TUNNEL:
		return member->port.tunnel->member == member;
	case PORT_GATEWAY:
		return member->port.gateway->member == member;
	default:
		return member->watch.is_active;
	}
}

HOT static int watch_for(struct member *member, uint32_t events)
{
	member->events = events;
	switch (member->port.kind) {
	case PORT_TUNNEL:
		return underlay_watch(member->port.tunnel->underlay);
	case PORT_GATEWAY:
		gateway_pause(member->port.gateway, (events & EPOLLIN) == 0);
		return 0;
	default:
		return datapath_watch(&member->watch, events);
	}
}

/* What the datapath is to watch for: frames, unless held; room, while frames wait. */
HOT static void update_watch(struct member *member)
{
	uint32_t events = 0;

	if (member->port.kind == PORT_SCRIPT || !is_served(member))
		return;
	if (member->held_by == NULL)
		events |= EPOLLIN;
	if (port_waiting(&member->port) > 0)
		events |= EPOLLOUT;
	if (events != member->events)
		watch_for(member, events);
}

static void let_go(struct member *member)
{
	if (member->held_by == NULL)
		return;
	member->held_by->holds--;
	member->held_by = NULL;
	if (member->port.kind == PORT_SCRIPT)
		fabric_report(member, REPORT_RELEASED);
	else
		update_watch(member);
}

/* Who waits for the member need not wait any longer. */
static void release_held(struct member *member)
{
	const struct fabric *fabric = member->fabric;

	for (uint32_t i = 0; member->holds > 0 && i < fabric->count; i++) {
		if (fabric->members[i]->held_by == member)
			let_go(fabric->members[i]);
	}
}

void fabric_remove(struct member *member)
{
	struct fabric *fabric = member->fabric;

	release_held(member);
	let_go(member);
	bridge_leave(member);
	fabric->members[member->place] = fabric->members[--fabric->count];
	fabric->members[member->place]->place = member->place;
	const uint32_t mates = count_mates(fabric, member->group);
	fabric->mates -= mates == 1 ? 2 : mates > 0;
	fabric->restricted -= member->vlans != NULL;
	free(member->vlans);
	member->vlans = NULL;
	fabric_choose_way(fabric);
}

/* Does not read @from while frames wait at @to. */
HOT static void hold(struct member *from, struct member *to)
{
	if (from->held_by != NULL || to->is_lagging)
		return;
	from->held_by = to;
	to->holds++;
	from->hold_until_ms = is_line(from->fabric) ? INT64_MAX : port_now_ms() + HOLD_MS;
	update_watch(from);
	datapath_look_at(from->hold_until_ms);
}

void fabric_await_other(struct member *member)
{
	const struct fabric *fabric = member->fabric;
	struct member *other = fabric->members[member->place == 0 ? 1 : 0];

	if (!is_line(fabric) || other->port.kind != PORT_SCRIPT || member->held_by != NULL)
		return;
	member->held_by = other;
	member->hold_until_ms = INT64_MAX;
	other->holds++;
}

static void report_gone(struct member *member)
{
	fabric_unwatch(member);
	fabric_report(member, REPORT_GONE);
}

void fabric_settle(struct member *member)
{
	if (port_waiting(&member->port) == 0) {
		member->is_lagging = false;
		release_held(member);
	}
	update_watch(member);
}

HOT void fabric_deliver(struct member *from, struct member *to, const struct frames *frames, bool is_sole)
{
	const bool had_to_wait = port_waiting(&to->port) > 0;

	port_send(&to->port, frames);
	if (to->port.is_gone && is_served(to))
		report_gone(to);
	if (port_waiting(&to->port) == 0) {
		to->is_lagging = false;
		return;
	}
	/* JavaScript that did not take what it was told of will ask by itself. */
	if (!had_to_wait && to->port.kind == PORT_SCRIPT) {
		fabric_report(to, REPORT_PENDING);
	} else if (!had_to_wait) {
		update_watch(to);
		datapath_look_at(to->port.progress_ms + stall_ms(&to->port));
	}
	if (is_sole && port_is_full(&to->port))
		hold(from, to);
}

/* Whether the address was just heard elsewhere, and so is not yet to be noted here. */
static bool stays_elsewhere(const struct member *from, uint64_t key, uint32_t now)
{
	const struct fabric *fabric = from->fabric;
	const struct forwarding_entry *entry = forwarding_table_entry(&fabric->table, key);

	if (entry == NULL || entry->port == from->token || now - entry->seen >= fabric->persist)
		return false;
	const struct member *there = fabric_member_of(fabric, entry, now);
	return there != NULL && there->group != from->group;
}

HOT void fabric_learn(struct member *from, uint64_t key, uint32_t now)
{
	struct fabric *fabric = from->fabric;

	if (fabric->persist == 0 || !stays_elsewhere(from, key, now))
		forwarding_table_learn(&fabric->table, key, from->token, now);
}

HOT static uint32_t destination_of(struct member *from, const uint8_t *frame, uint32_t length, uint32_t now)
{
	struct forwarding_table *table = &from->fabric->table;

	if (table->size == 0)
		return TO_ALL;
	/* A group address cannot be where a frame comes from. */
	if (!(frame[SOURCE_OFFSET] & MULTICAST_BIT))
		fabric_learn(from, forwarding_key(frame, length, SOURCE_OFFSET), now);
	if (frame[DESTINATION_OFFSET] & MULTICAST_BIT)
		return TO_ALL;
	const uint32_t token = forwarding_table_find(table, forwarding_key(frame, length, DESTINATION_OFFSET), now);
	const struct member *to = datapath_member_of(token);
	if (to == NULL)
		return TO_ALL;
	return to == from ? TO_NOBODY : to->id;
}

/* Fills sorting.to; what all frames have in common, or TO_NOBODY when they differ and *is_mixed. */
HOT static uint32_t sort(struct member *from, const struct frames *frames, bool *is_mixed, bool *has_flood)
{
	const uint32_t now = from->fabric->table.size == 0 ? 0 : fabric_now(from->fabric);

	*is_mixed = false;
	*has_flood = false;
	for (uint32_t i = 0; i < frames->count; i++) {
		const struct frame_slot *slot = &frames->slots[i];
		uint32_t to = TO_NOBODY;
		/* What comes from the kernel was looked at before. */
		if (slot->length < MIN_FRAME_BYTES)
			from->port.received[DROP_TOO_SHORT]++;
		else if (slot->length > MAX_FRAME_BYTES)
			from->port.received[DROP_TOO_LONG]++;
		else
			to = destination_of(from, frames->arena + slot->offset, slot->length, now);
		sorting.to[i] = to;
		*is_mixed = *is_mixed || to != sorting.to[0];
		*has_flood = *has_flood || to == TO_ALL;
	}
	return sorting.to[0];
}

/* Sends @to its own frames and those for all, in their order. */
HOT static void deliver_picked(struct member *from, struct member *to, const struct frames *frames)
{
	struct frames picked = *frames;
	bool is_sole = is_line(from->fabric);

	picked.slots = sorting.slots;
	picked.count = 0;
	for (uint32_t i = 0; i < frames->count; i++) {
		if (sorting.to[i] != to->id && sorting.to[i] != TO_ALL)
			continue;
		is_sole = is_sole || sorting.to[i] == to->id;
		sorting.slots[picked.count++] = frames->slots[i];
	}
	if (picked.count > 0)
		fabric_deliver(from, to, &picked, is_sole);
}

HOT static void flood(struct member *from, const struct frames *frames, bool is_mixed)
{
	const struct fabric *fabric = from->fabric;

	for (uint32_t i = 0; i < fabric->count; i++) {
		struct member *to = fabric->members[i];
		if (to == from)
			continue;
		if (is_mixed)
			deliver_picked(from, to, frames);
		else
			fabric_deliver(from, to, frames, is_line(fabric));
	}
}

/* Sends frames for different members, none of them for all. */
HOT static void distribute(struct member *from, const struct frames *frames)
{
	for (uint32_t i = 0; i < frames->count; i++) {
		const uint32_t to = sorting.to[i];
		if (to == TO_NOBODY)
			continue;
		deliver_picked(from, datapath_member(to), frames);
		for (uint32_t later = i; later < frames->count; later++) {
			if (sorting.to[later] == to)
				sorting.to[later] = TO_NOBODY;
		}
	}
}

HOT static void forward_burst(struct member *from, const struct frames *frames)
{
	bool is_mixed, has_flood;
	const uint32_t to = sort(from, frames, &is_mixed, &has_flood);

	if (has_flood)
		flood(from, frames, is_mixed);
	else if (is_mixed)
		distribute(from, frames);
	else if (to != TO_NOBODY)
		fabric_deliver(from, datapath_member(to), frames, true);
}

HOT void fabric_forward(struct member *from, const struct frames *frames)
{
	struct frames burst = *frames;

	if (is_captured(from->port.capture))
		capture_frames(from->port.capture,
			       from->port.sent < from->port.received ? CAPTURE_SENT : CAPTURE_RECEIVED, frames);
	/* Nothing to sort on a line or a hub. What comes from the kernel was looked at before. */
	if (!from->fabric->is_bridge && from->fabric->table.size == 0 && from->port.kind != PORT_SCRIPT) {
		flood(from, frames, false);
		return;
	}
	for (uint32_t first = 0; first < frames->count; first += BURST_FRAMES) {
		burst.slots = frames->slots + first;
		burst.count = frames->count - first < BURST_FRAMES ? frames->count - first : BURST_FRAMES;
		if (from->fabric->is_bridge)
			bridge_forward(from, &burst);
		else
			forward_burst(from, &burst);
	}
}

/* Fetches, and so forgets, the error of a socket that is not read at present. */
static void fetch_error(struct port *port)
{
	int error = 0;
	socklen_t length = sizeof error;

	if (port->kind == PORT_TAP || getsockopt(port->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0)
		port->is_gone = true;
}

HOT void fabric_flush(struct member *member)
{
	port_flush(&member->port);
	fabric_settle(member);
}

/* Serves a TAP or a socket that the datapath found ready. */
HOT static void serve(struct watch *watch, uint32_t events, struct receive_room *room)
{
	struct member *member = (struct member *)((char *)watch - offsetof(struct member, watch));
	struct port *port = &member->port;

	if (events & EPOLLOUT)
		fabric_flush(member);
	int count = 0;
	/* Who has gone does not wait; what it sent before is still received. */
	if (events & EPOLLHUP || (events & (EPOLLIN | EPOLLERR) && member->held_by == NULL)) {
		/* Receiving also fetches a pending error of a socket. */
		count = port_receive(port, room);
		if (count > 0) {
			const struct frames frames = { .source = member->id, .arena = room->arena, .arena_size = room->arena_size,
						       .slots = room->slots, .count = (uint32_t)count };
			fabric_forward(member, &frames);
		}
	} else if (events & EPOLLERR) {
		fetch_error(port);
	}
	if (((events & EPOLLHUP) && count <= 0) || ((events & EPOLLERR) && port->kind == PORT_TAP))
		port->is_gone = true;
	if (port->is_gone && is_served(member))
		report_gone(member);
}

int fabric_watch(struct member *member)
{
	const uint32_t events = member->held_by == NULL ? EPOLLIN : 0;

	if (member->port.kind == PORT_TUNNEL)
		member->port.tunnel->member = member;
	else if (member->port.kind == PORT_GATEWAY)
		member->port.gateway->member = member;
	else
		member->watch = (struct watch){ .fd = member->port.fd, .serve = serve };
	return watch_for(member, events);
}

void fabric_unwatch(struct member *member)
{
	member->events = 0;
	datapath_unwatch(&member->watch);
	if (member->port.kind == PORT_TUNNEL && member->port.tunnel->member == member) {
		member->port.tunnel->member = NULL;
		underlay_watch(member->port.tunnel->underlay);
	}
	if (member->port.kind == PORT_GATEWAY && member->port.gateway->member == member) {
		gateway_pause(member->port.gateway, true);
		member->port.gateway->member = NULL;
	}
}

int64_t fabric_check_waits(struct fabric *fabric, int64_t now_ms)
{
	int64_t next = INT64_MAX;

	for (uint32_t i = 0; i < fabric->count; i++) {
		struct member *member = fabric->members[i];
		if (member->port.kind == PORT_GATEWAY) {
			const int64_t timers = gateway_check(member->port.gateway, now_ms);
			next = timers < next ? timers : next;
		}
		if (member->held_by != NULL && member->hold_until_ms <= now_ms) {
			struct member *slow = member->held_by;
			slow->is_lagging = !is_line(fabric);
			release_held(slow);
		}
		if (member->held_by != NULL && member->hold_until_ms < next)
			next = member->hold_until_ms;
		if (!port_can_stall(&member->port) || port_waiting(&member->port) == 0)
			continue;
		if (now_ms - member->port.progress_ms >= stall_ms(&member->port)) {
			port_drop(&member->port, DROP_PEER_SLOW);
			release_held(member);
			update_watch(member);
			member->is_lagging = !is_line(fabric);
		} else if (member->port.progress_ms + stall_ms(&member->port) < next) {
			next = member->port.progress_ms + stall_ms(&member->port);
		}
	}
	return next;
}
