#include "unfinished_test.h"

#include <stdlib.h>
#include <string.h>

#include "../io/segment.h"
#include "../io/unfinished.h"

#define LONGEST 1464
#define OUTPUT_BYTES 800000
#define OUTPUT_SLOTS 4096

/* What was found has to be something that cutting understands. */
static void try_to_cut(const uint8_t *frame, const struct frame_slot *slot)
{
	uint8_t *bytes = exactly(OUTPUT_BYTES);
	struct frame_slot *slots = exactly(OUTPUT_SLOTS * sizeof *slots);
	struct segment_output output = { .bytes = bytes, .size = OUTPUT_BYTES, .slots = slots,
					 .capacity = OUTPUT_SLOTS, .max_frame = UINT32_MAX };
	struct segment_result result;

	segment_batch(frame, slot->length, slot, 0, 1, &output, &result);
	expect(result.consumed == 1, "there is room");
	/* UDP has a length of its own, which may be wrong. */
	expect(result.malformed == 0 || slot->offload.gso_type == OFFLOAD_GSO_UDP_L4, "what is left to do can be done");
	free(bytes);
	free(slots);
}

static void try_frame(const struct batch *batch, const struct frame_slot *original, bool is_valid)
{
	uint8_t *frame = exactly(original->length);
	struct frame_slot slot = { .length = original->length };

	memcpy(frame, batch->arena + original->offset, original->length);
	note_unfinished(&slot, frame, LONGEST, one_in(2) ? 0 : below(2000));
	expect(slot.length <= original->length, "a frame does not grow");
	expect(slot.offload.flags != 0 || slot.offload.gso_type == OFFLOAD_GSO_NONE, "nothing is left to do of a finished one");
	expect(!is_valid || (original->offload.flags & OFFLOAD_FLAG_NEEDS_CHECKSUM) == 0 || slot.offload.flags != 0,
	       "what is left to do is found");
	if (slot.offload.flags != 0)
		try_to_cut(frame, &slot);
	free(frame);
}

void try_unfinished(const struct batch *batch, bool is_valid)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct frame_slot *slot = &batch->slots[i];
		if (slot->offset <= batch->size && slot->length <= batch->size - slot->offset)
			try_frame(batch, slot, is_valid);
	}
}
