/*
 * One frame of a batch, as C and TypeScript share it (src/frames/batch.ts).
 *
 * A batch is an arena of bytes plus an array of these; offset and length say where in the arena
 * the Ethernet frame lies, `offload` is the virtio-net header that belongs to it (all zero for an
 * ordinary frame). Layout is part of the contract: five 32-bit words, host byte order.
 */
#ifndef VDENS_SLOT_H
#define VDENS_SLOT_H

#include <stdint.h>

/* Same layout as struct virtio_net_hdr (virtio 1.2, 5.1.6), fields in host order as TAP gives them. */
struct offload_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t header_length;
	uint16_t gso_size;
	uint16_t checksum_start;
	uint16_t checksum_offset;
};

#define OFFLOAD_FLAG_NEEDS_CHECKSUM 1
#define OFFLOAD_FLAG_DATA_VALID 2
#define OFFLOAD_GSO_NONE 0
#define OFFLOAD_GSO_TCPV4 1
#define OFFLOAD_GSO_UDP 3
#define OFFLOAD_GSO_TCPV6 4
#define OFFLOAD_GSO_UDP_L4 5
#define OFFLOAD_GSO_ECN 0x80

struct frame_slot {
	uint32_t offset;
	uint32_t length;
	struct offload_header offload;
	uint16_t reserved;
};

_Static_assert(sizeof(struct offload_header) == 10, "virtio-net header is 10 bytes");
_Static_assert(sizeof(struct frame_slot) == 20, "a slot is five 32-bit words");

#endif
