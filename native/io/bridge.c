#include "bridge.h"

#include <stdlib.h>
#include <string.h>

#include "datapath.h"
#include "frame_io.h"
#include "hot.h"
#include "vlan.h"

#define DESTINATION_OFFSET 0
#define SOURCE_OFFSET 6
#define MULTICAST_BIT 1
/* What is written anew at a time. */
#define ROOM_BYTES (1024 * 1024)

/* Where a frame goes, besides the group of a member. */
#define TO_ALL UINT32_MAX
#define TO_NOBODY (UINT32_MAX - 1)

/* Bridges, and only they, read what is sent here (IEEE 802.1D, 7.12.3). */
static const uint8_t bridge_address[6] = { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x00 };

/* A burst that is being sorted; used with the lock, by whoever forwards. */
static struct {
	uint32_t to[BURST_FRAMES];
	uint16_t vlan[BURST_FRAMES];
	uint16_t tag[BURST_FRAMES];
	struct frame_slot slots[BURST_FRAMES];
} sorting;

/* Frames that leave in another form than they came, on their way to one member; allocated when first needed. */
static uint8_t *room;

/* Puts a frame aside for JavaScript. One too many is lost, as on a wire: bridges repeat themselves. */
static void keep_control(struct member *from, const uint8_t *frame, uint32_t length)
{
	struct fabric *fabric = from->fabric;
	struct control_queue *queue = fabric->control;

	/* A cable to another bridge may close a loop. What comes behind its first word waits for what that means. */
	from->awaits_bridge = from->awaits_bridge || !from->has_bridge;
	from->has_bridge = true;
	if (queue->count == QUEUE_CONTROL || from->control_waiting == QUEUE_CONTROL_OF_ONE) {
		from->port.received[DROP_QUEUE_FULL]++;
		return;
	}
	from->control_waiting++;
	struct control_frame *kept = &queue->frames[queue->count++];
	kept->member = from->id;
	kept->length = (uint16_t)(length < CONTROL_BYTES ? length : CONTROL_BYTES);
	memcpy(kept->bytes, frame, kept->length);
	fabric_notify(fabric);
}

/* A station's key. Without VLANs the tags of frames, whatever they mean, only tell stations apart. */
HOT static uint64_t key_of(const struct fabric *fabric, const uint8_t *frame, uint32_t length, uint32_t offset,
			   uint16_t vlan)
{
	return fabric->is_tagging ? forwarding_key_in(frame, offset, vlan) : forwarding_key(frame, length, offset);
}

/* Notes where the frame comes from, and says which group it is for. */
HOT static uint32_t look_up(struct member *from, const uint8_t *frame, uint32_t length, uint16_t vlan, uint32_t now)
{
	struct forwarding_table *table = &from->fabric->table;

	if (table->size == 0)
		return TO_ALL;
	const uint64_t source = key_of(from->fabric, frame, length, SOURCE_OFFSET, vlan);
	if (!(frame[SOURCE_OFFSET] & MULTICAST_BIT))
		fabric_learn(from, source, now);
	if (frame[DESTINATION_OFFSET] & MULTICAST_BIT)
		return TO_ALL;
	const uint64_t destination = key_of(from->fabric, frame, length, DESTINATION_OFFSET, vlan);
	const struct member *to = datapath_member_of(forwarding_table_find(table, destination, now));
	if (to == NULL)
		return TO_ALL;
	return to->group == from->group ? TO_NOBODY : to->group;
}

/* Finds out the frame's VLAN, and where it goes. */
HOT static uint32_t sort_frame(struct member *from, const uint8_t *frame, uint32_t length, uint32_t index, uint32_t now)
{
	const struct fabric *fabric = from->fabric;
	const uint16_t tag = vlan_of_tag(frame, length);
	const uint16_t vlan = fabric->is_tagging ? vlan_at_port(from->vlans, tag) : 0;

	if (fabric->control != NULL && memcmp(frame, bridge_address, sizeof bridge_address) == 0) {
		keep_control(from, frame, length);
		return TO_NOBODY;
	}
	sorting.vlan[index] = vlan;
	sorting.tag[index] = tag;
	if (vlan == VLAN_NONE) {
		from->port.received[DROP_FOREIGN_VLAN]++;
		return TO_NOBODY;
	}
	if (from->awaits_bridge || (from->vlans != NULL && vlan_set_has(&from->vlans->closed, vlan))) {
		from->port.received[DROP_BLOCKED]++;
		return TO_NOBODY;
	}
	return look_up(from, frame, length, vlan, now);
}

/* Fills sorting; whether any frame is for all. */
HOT static bool sort(struct member *from, const struct frames *frames)
{
	const uint32_t now = fabric_now(from->fabric);
	bool has_flood = false;

	for (uint32_t i = 0; i < frames->count; i++) {
		const struct frame_slot *slot = &frames->slots[i];
		sorting.to[i] = TO_NOBODY;
		/* What comes from the kernel was looked at before. */
		if (slot->length < MIN_FRAME_BYTES)
			from->port.received[DROP_TOO_SHORT]++;
		else if (slot->length > MAX_FRAME_BYTES)
			from->port.received[DROP_TOO_LONG]++;
		else
			sorting.to[i] = sort_frame(from, frames->arena + slot->offset, slot->length, i, now);
		has_flood = has_flood || sorting.to[i] == TO_ALL;
	}
	return has_flood;
}

HOT static enum vlan_form form_at(const struct member *to, uint32_t index)
{
	const uint16_t vlan = sorting.vlan[index];

	if (to->awaits_bridge || (to->vlans != NULL && vlan_set_has(&to->vlans->closed, vlan)))
		return VLAN_NOT_HERE;
	return to->fabric->is_tagging ? vlan_form_at(to->vlans, vlan, sorting.tag[index]) : VLAN_AS_IS;
}

/* Frames that were picked for a member, all of them in @arena. */
struct picked {
	const uint8_t *arena;
	size_t arena_size;
	size_t used; /* of the room */
	uint32_t count;
	bool is_sole; /* some are for nobody else */
};

HOT static void deliver_picked(struct member *from, struct member *to, const struct frames *frames,
			       struct picked *picked)
{
	const struct frames batch = { .source = frames->source, .arena = picked->arena, .arena_size = picked->arena_size,
				      .slots = sorting.slots, .count = picked->count };

	if (picked->count > 0)
		fabric_deliver(from, to, &batch, picked->is_sole);
	picked->used = 0;
	picked->count = 0;
	picked->is_sole = false;
}

/* Picks a frame that leaves in another form; false when there is no memory. */
static bool pick_written(const struct frames *frames, uint32_t index, enum vlan_form form, struct picked *picked)
{
	const struct frame_slot *slot = &frames->slots[index];

	if (room == NULL)
		room = malloc(ROOM_BYTES);
	if (room == NULL)
		return false;
	struct frame_slot *result = &sorting.slots[picked->count];
	vlan_write(frames->arena + slot->offset, slot, sorting.vlan[index], form, room + picked->used, result);
	result->offset = (uint32_t)picked->used;
	picked->used += result->length;
	picked->arena = room;
	picked->arena_size = ROOM_BYTES;
	picked->count++;
	return true;
}

/* Sends @to its own frames and those for all, in their order and in the form that they have there. */
HOT static void deliver(struct member *from, struct member *to, const struct frames *frames)
{
	struct picked picked = { .arena = frames->arena };

	for (uint32_t i = 0; i < frames->count; i++) {
		if (sorting.to[i] != to->group && sorting.to[i] != TO_ALL)
			continue;
		const enum vlan_form form = form_at(to, i);
		if (form == VLAN_NOT_HERE)
			continue;
		const bool is_written = form != VLAN_AS_IS;
		if (is_written != (picked.arena == room && room != NULL) ||
		    (is_written && picked.used + frames->slots[i].length + VLAN_TAG_BYTES > ROOM_BYTES))
			deliver_picked(from, to, frames, &picked);
		picked.is_sole = picked.is_sole || sorting.to[i] == to->group;
		if (is_written) {
			if (!pick_written(frames, i, form, &picked))
				to->port.sent[DROP_QUEUE_FULL]++;
			continue;
		}
		picked.arena = frames->arena;
		picked.arena_size = frames->arena_size;
		sorting.slots[picked.count++] = frames->slots[i];
	}
	deliver_picked(from, to, frames, &picked);
}

static void deliver_to_group(struct member *from, uint32_t group, const struct frames *frames)
{
	const struct fabric *fabric = from->fabric;

	for (uint32_t i = 0; i < fabric->count; i++) {
		if (fabric->members[i]->group == group)
			deliver(from, fabric->members[i], frames);
	}
}

/* Sends frames none of which is for all. */
HOT static void distribute(struct member *from, const struct frames *frames)
{
	for (uint32_t i = 0; i < frames->count; i++) {
		const uint32_t to = sorting.to[i];
		if (to == TO_NOBODY)
			continue;
		/* Who is alone in a group is the one with that number. */
		if (to < FIRST_GROUP)
			deliver(from, datapath_member(to), frames);
		else
			deliver_to_group(from, to, frames);
		for (uint32_t later = i; later < frames->count; later++) {
			if (sorting.to[later] == to)
				sorting.to[later] = TO_NOBODY;
		}
	}
}

/* How many members take turns: those in a group. */
static uint32_t count_grouped(const struct fabric *fabric)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < fabric->count; i++)
		count += fabric->members[i]->group >= FIRST_GROUP;
	return count;
}

/* Puts the place of the one whose turn it is, among those in a group, in the place of what sort() found. */
static void give_turns(struct fabric *fabric, uint32_t count, uint32_t grouped)
{
	for (uint32_t i = 0; i < count; i++) {
		if (sorting.to[i] != TO_NOBODY)
			sorting.to[i] = ++fabric->turn % grouped;
	}
}

/* Sends a member in a group the frames of its turns. */
static void deliver_turns(struct member *from, struct member *to, const struct frames *frames, uint32_t place)
{
	struct picked picked = { .arena = frames->arena, .arena_size = frames->arena_size, .is_sole = true };

	for (uint32_t i = 0; i < frames->count; i++) {
		if (sorting.to[i] == place)
			sorting.slots[picked.count++] = frames->slots[i];
	}
	deliver_picked(from, to, frames, &picked);
}

/*
 * Sends each frame to one of those in a group, the second of them first, as the originals begin. Frames are left as
 * they are: who takes turns has no VLANs.
 */
static void take_turns(struct member *from, const struct frames *frames)
{
	struct fabric *fabric = from->fabric;
	const uint32_t grouped = count_grouped(fabric);

	sort(from, frames);
	if (grouped == 0)
		return;
	give_turns(fabric, frames->count, grouped);
	for (uint32_t i = 0, place = 0; i < fabric->count; i++) {
		if (fabric->members[i]->group >= FIRST_GROUP)
			deliver_turns(from, fabric->members[i], frames, place++);
	}
}

HOT void bridge_forward(struct member *from, const struct frames *frames)
{
	const struct fabric *fabric = from->fabric;

	if (fabric->takes_turns && from->group < FIRST_GROUP) {
		take_turns(from, frames);
		return;
	}
	if (!sort(from, frames)) {
		distribute(from, frames);
		return;
	}
	for (uint32_t i = 0; i < fabric->count; i++) {
		if (fabric->members[i]->group != from->group)
			deliver(from, fabric->members[i], frames);
	}
}

void bridge_leave(struct member *member)
{
	struct control_queue *queue = member->fabric->control;
	uint32_t kept = 0;

	for (uint32_t i = 0; queue != NULL && i < queue->count; i++) {
		if (queue->frames[i].member != member->id)
			queue->frames[kept++] = queue->frames[i];
	}
	if (queue != NULL)
		queue->count = kept;
	member->control_waiting = 0;
}

void bridge_resume(struct fabric *fabric)
{
	for (uint32_t i = 0; i < fabric->count; i++)
		fabric->members[i]->awaits_bridge = false;
}

void bridge_end_control(struct fabric *fabric)
{
	free(fabric->control);
	fabric->control = NULL;
	bridge_resume(fabric);
	for (uint32_t i = 0; i < fabric->count; i++) {
		fabric->members[i]->has_bridge = false;
		fabric->members[i]->control_waiting = 0;
	}
}

void bridge_forget(struct fabric *fabric, const struct member *member, uint16_t vlan)
{
	struct forwarding_table *table = &fabric->table;

	for (uint32_t i = 0; i < table->size; i++) {
		struct forwarding_entry *entry = &table->entries[i];
		if (member != NULL && entry->port != member->token)
			continue;
		if (vlan == VLAN_NONE || forwarding_entry_vlan(entry) == vlan)
			*entry = (struct forwarding_entry){ 0 };
	}
}
