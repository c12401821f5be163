#include "vlan.h"

#include <string.h>

#include "headers.h"
#include "hot.h"

#define TYPE_OFFSET 12
#define TAGGED_HEADER (TYPE_OFFSET + VLAN_TAG_BYTES + 2)
#define ID_MASK 0x0fff

HOT bool vlan_set_has(const struct vlan_set *set, uint16_t vlan)
{
	return (set->bits[vlan / 8] >> vlan % 8 & 1) != 0;
}

static bool has_tag(const uint8_t *frame, uint32_t length)
{
	return length >= TAGGED_HEADER && (frame[TYPE_OFFSET] << 8 | frame[TYPE_OFFSET + 1]) == ETHERTYPE_CVLAN;
}

HOT uint16_t vlan_of_tag(const uint8_t *frame, uint32_t length)
{
	const uint8_t *control = frame + TYPE_OFFSET + 2;

	return has_tag(frame, length) ? (uint16_t)((control[0] << 8 | control[1]) & ID_MASK) : NO_TAG;
}

HOT uint16_t vlan_at_port(const struct port_vlans *vlans, uint16_t tag)
{
	const uint16_t untagged = vlans == NULL ? 0 : vlans->untagged;

	/* A tag with a priority alone belongs where no tag would (IEEE 802.1Q, 6.9.1), unless VLAN 0 has tags here. */
	if (tag == NO_TAG || (tag == 0 && (vlans == NULL || !vlan_set_has(&vlans->tagged, 0))))
		return untagged;
	return tag == untagged || (vlans != NULL && vlan_set_has(&vlans->tagged, tag)) ? tag : VLAN_NONE;
}

HOT enum vlan_form vlan_form_at(const struct port_vlans *vlans, uint16_t vlan, uint16_t tag)
{
	if (vlan == (vlans == NULL ? 0 : vlans->untagged))
		return tag == NO_TAG ? VLAN_AS_IS : VLAN_WITHOUT_TAG;
	if (vlans == NULL || !vlan_set_has(&vlans->tagged, vlan))
		return VLAN_NOT_HERE;
	return tag == vlan ? VLAN_AS_IS : VLAN_WITH_TAG;
}

/* Moves what the offload header says of places in the frame. */
static void shift_offload(struct frame_slot *slot, int by)
{
	if (slot->offload.flags & OFFLOAD_FLAG_NEEDS_CHECKSUM)
		slot->offload.checksum_start = (uint16_t)(slot->offload.checksum_start + by);
	if (slot->offload.gso_type != OFFLOAD_GSO_NONE && slot->offload.header_length != 0)
		slot->offload.header_length = (uint16_t)(slot->offload.header_length + by);
	slot->length = (uint32_t)((int)slot->length + by);
}

HOT void vlan_write(const uint8_t *frame, const struct frame_slot *slot, uint16_t vlan, enum vlan_form form,
		    uint8_t *room, struct frame_slot *result)
{
	const bool had_tag = has_tag(frame, slot->length);
	const bool gets_tag = form == VLAN_WITH_TAG;
	const uint32_t rest = TYPE_OFFSET + (had_tag ? VLAN_TAG_BYTES : 0);
	uint8_t *tag = room + TYPE_OFFSET;

	*result = *slot;
	shift_offload(result, (gets_tag ? VLAN_TAG_BYTES : 0) - (had_tag ? VLAN_TAG_BYTES : 0));
	memcpy(room, frame, TYPE_OFFSET);
	memcpy(tag + (gets_tag ? VLAN_TAG_BYTES : 0), frame + rest, slot->length - rest);
	if (!gets_tag)
		return;
	const uint8_t priority = had_tag ? frame[TYPE_OFFSET + 2] & 0xf0 : 0;
	tag[0] = ETHERTYPE_CVLAN >> 8;
	tag[1] = ETHERTYPE_CVLAN & 0xff;
	tag[2] = (uint8_t)(priority | vlan >> 8);
	tag[3] = (uint8_t)vlan;
}
