/*
 * VLANs of a port, and tags of frames (IEEE 802.1Q, 9.6 "VLAN Tag Control Information"). Pure byte work; no system
 * calls.
 */
#ifndef VDENS_VLAN_H
#define VDENS_VLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "slot.h"

#define VLAN_IDS 4096
/* What is no VLAN: reserved by IEEE 802.1Q, table 9-2. */
#define VLAN_NONE 4095
/* What a frame without a tag has in the place of a tag's VLAN. */
#define NO_TAG 0xffff
#define VLAN_TAG_BYTES 4

/* VLANs, one bit each: VLAN 0 is the lowest bit of the first byte. */
struct vlan_set {
	uint8_t bits[VLAN_IDS / 8];
};

/**
 * struct port_vlans - which VLANs a port is in.
 * @untagged: that of its frames without a tag, or VLAN_NONE
 * @tagged: those whose frames have a tag here
 * @closed: those whose frames do not pass here at present, because they would go round in circles
 */
struct port_vlans {
	uint16_t untagged;
	struct vlan_set tagged;
	struct vlan_set closed;
};

/* How a frame looks where it leaves. */
enum vlan_form {
	VLAN_AS_IS,
	VLAN_WITHOUT_TAG,
	VLAN_WITH_TAG,
	VLAN_NOT_HERE, /* the port is not in the VLAN */
};

bool vlan_set_has(const struct vlan_set *set, uint16_t vlan);

/* The VLAN that the frame's tag says, 0 for one with a priority alone; NO_TAG without a tag. */
uint16_t vlan_of_tag(const uint8_t *frame, uint32_t length);

/* The VLAN of a frame with this tag that came in at a port; VLAN_NONE when the port is not in it. */
uint16_t vlan_at_port(const struct port_vlans *vlans, uint16_t tag);

/* How a frame of @vlan that came with @tag leaves a port. */
enum vlan_form vlan_form_at(const struct port_vlans *vlans, uint16_t vlan, uint16_t tag);

/*
 * Copies a frame without its tag, or with one that says @vlan; the priority of a tag that it had stays. @room has to
 * have the frame's length and VLAN_TAG_BYTES; @result is the copy's slot, but for the offset.
 */
void vlan_write(const uint8_t *frame, const struct frame_slot *slot, uint16_t vlan, enum vlan_form form, uint8_t *room,
		struct frame_slot *result);

#endif
