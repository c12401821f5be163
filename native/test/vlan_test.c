#include "vlan_test.h"

#include <stdlib.h>
#include <string.h>

#include "../io/vlan.h"

#define SHORTEST_FRAME 14
#define ADDRESSES 12

/* A frame with a tag, and the same without: putting it in and taking it out are each other's reverse. */
static void try_frame(const uint8_t *bytes, const struct frame_slot *slot)
{
	uint8_t *frame = exactly(slot->length);
	uint8_t *tagged = exactly(slot->length + VLAN_TAG_BYTES);
	uint8_t *plain = exactly(slot->length + VLAN_TAG_BYTES);
	const uint16_t vlan = (uint16_t)below(VLAN_NONE);
	struct frame_slot with, without;

	memcpy(frame, bytes, slot->length);
	const uint16_t tag = vlan_of_tag(frame, slot->length);
	vlan_write(frame, slot, vlan, VLAN_WITH_TAG, tagged, &with);
	expect(with.length == slot->length + (tag == NO_TAG ? VLAN_TAG_BYTES : 0), "a frame gets one tag");
	if (with.length >= SHORTEST_FRAME + VLAN_TAG_BYTES)
		expect(vlan_of_tag(tagged, with.length) == vlan, "the tag says the VLAN");
	expect(memcmp(tagged, frame, ADDRESSES) == 0, "the addresses stay");
	vlan_write(frame, slot, vlan, VLAN_WITHOUT_TAG, plain, &without);
	expect(without.length == with.length - VLAN_TAG_BYTES, "without, it is shorter by the tag");
	expect(memcmp(plain, frame, ADDRESSES) == 0, "the addresses stay without it");
	expect(memcmp(plain + ADDRESSES, tagged + ADDRESSES + VLAN_TAG_BYTES, without.length - ADDRESSES) == 0,
	       "what is behind the tag stays");
	if (tag == NO_TAG)
		expect(memcmp(&without, slot, sizeof *slot) == 0, "a frame that had none stays as it is");
	free(frame);
	free(tagged);
	free(plain);
}

/* A port's VLANs, and what they say of every kind of tag. */
static void try_port(void)
{
	struct port_vlans vlans = { .untagged = (uint16_t)(one_in(4) ? VLAN_NONE : below(8)) };
	const uint16_t member = (uint16_t)(1 + below(VLAN_NONE - 1)), tag = (uint16_t)below(VLAN_IDS);

	vlans.tagged.bits[member / 8] |= (uint8_t)(1U << member % 8);
	expect(vlan_at_port(&vlans, NO_TAG) == vlans.untagged, "a frame without a tag is in the port's own VLAN");
	expect(vlan_at_port(&vlans, 0) == vlans.untagged, "and so is one with a priority alone");
	expect(vlan_at_port(&vlans, member) == member, "a member's tag is taken");
	const uint16_t vlan = vlan_at_port(&vlans, tag);
	expect(vlan == VLAN_NONE || vlan == tag || tag == 0, "a tag says its own VLAN, or none");
	if (vlan != VLAN_NONE)
		expect(vlan_form_at(&vlans, vlan, tag) != VLAN_NOT_HERE, "what may come in may leave");
	expect(vlan_at_port(NULL, NO_TAG) == 0 && vlan_form_at(NULL, 0, NO_TAG) == VLAN_AS_IS, "VLAN 0 is where all begin");
}

void try_vlan(const struct batch *batch)
{
	try_port();
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct frame_slot *slot = &batch->slots[i];
		if (slot->length >= SHORTEST_FRAME && slot->offset <= batch->size && slot->length <= batch->size - slot->offset)
			try_frame(batch->arena + slot->offset, slot);
	}
}
