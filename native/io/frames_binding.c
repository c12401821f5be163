/*
 * The doors from JavaScript to segment.c, join.c and checksum.c: arguments are checked here, frames there.
 */
#include "frames_binding.h"

#include <arpa/inet.h>
#include <string.h>

#include "checksum.h"
#include "join.h"
#include "segment.h"

/* Words of a segmentBatch result: consumed, produced, malformed, too long. */
#define RESULT_WORDS 4

static bool refuse(napi_env env, const char *message)
{
	napi_throw_type_error(env, NULL, message);
	return false;
}

/* An empty array may have no memory; C wants an address to count from all the same. */
static void give_address(struct bytes *bytes)
{
	static uint8_t nothing;

	if (bytes->data == NULL)
		bytes->data = &nothing;
}

/* Two batches, the one read and the one written, which must not share bytes. */
static bool get_batches(const struct arguments *arguments, struct batch *in, size_t out_index, struct batch *out)
{
	uintptr_t in_begin, out_begin;

	if (!get_batch(arguments, 0, in) || !get_batch(arguments, out_index, out))
		return false;
	give_address(&in->arena);
	give_address(&out->arena);
	in_begin = (uintptr_t)in->arena.data;
	out_begin = (uintptr_t)out->arena.data;
	if (in_begin < out_begin + out->arena.length && out_begin < in_begin + in->arena.length)
		return refuse(arguments->env, "the output arena overlaps the input arena");
	/* Offsets in slots have 32 bits. */
	if (out->arena.length > UINT32_MAX || out->capacity > UINT32_MAX)
		return refuse(arguments->env, "the output is larger than 4 GiB");
	return true;
}

static bool is_inside(napi_env env, int32_t first, int32_t count, size_t size, const char *message)
{
	if (first >= 0 && count >= 0 && (size_t)first + (size_t)count <= size)
		return true;
	return refuse(env, message);
}

/*
 * segmentBatch(arena, slots, first, count, outArena, outSlots, maxFrame, result): fills the output from
 * its begin, and result with consumed, produced, malformed, too long.
 */
static napi_value segment_binding(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch in, out;
	struct segment_result outcome;
	int32_t first, count, max_frame, *result;
	size_t length;

	if (!get_arguments(env, info, 8, &arguments) || !get_batches(&arguments, &in, 4, &out) ||
	    !get_int(&arguments, 2, &first) || !get_int(&arguments, 3, &count) ||
	    !get_int(&arguments, 6, &max_frame) || !get_words(&arguments, 7, RESULT_WORDS, &result, &length))
		return NULL;
	if (!is_inside(env, first, count, in.capacity, "first and count reach outside the slots"))
		return NULL;
	if (max_frame < 0) {
		refuse(env, "the longest frame has a negative length");
		return NULL;
	}
	struct segment_output output = {
		.bytes = out.arena.data, .size = out.arena.length, .slots = out.slots,
		.capacity = (uint32_t)out.capacity, .max_frame = (uint32_t)max_frame,
	};
	segment_batch(in.arena.data, in.arena.length, in.slots, (uint32_t)first, (uint32_t)count, &output, &outcome);
	memcpy(result, &outcome, sizeof(outcome));
	return NULL;
}

/* Lays a group's parts end to end. Returns false when there is no room. */
static bool write_joined(struct batch *out, uint32_t produced, size_t used, const struct join_group *group,
			 const struct iovec *parts, uint32_t count, size_t *length)
{
	*length = 0;
	if (produced == out->capacity)
		return false;
	for (uint32_t part = 1; part < count; part++) {
		if (parts[part].iov_len > out->arena.length - used - *length)
			return false;
		if (parts[part].iov_len > 0)
			memcpy(out->arena.data + used + *length, parts[part].iov_base, parts[part].iov_len);
		*length += parts[part].iov_len;
	}
	out->slots[produced] = (struct frame_slot){
		.offset = (uint32_t)used, .length = (uint32_t)*length, .offload = group->offload,
	};
	return true;
}

/*
 * joinBatch(arena, slots, count, outArena, outSlots): how many frames there are in the output. Slots that
 * do not lie in the arena are left out.
 */
static napi_value join_binding(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch in, out;
	struct join_plan plan;
	struct iovec parts[JOIN_MAX_PARTS];
	uint32_t produced = 0;
	size_t used = 0, length;
	int32_t count;

	if (!get_arguments(env, info, 5, &arguments) || !get_batches(&arguments, &in, 3, &out) ||
	    !get_int(&arguments, 2, &count) || !is_inside(env, 0, count, in.capacity, "count reaches outside the slots"))
		return NULL;
	for (uint32_t first = 0; first < (uint32_t)count;) {
		const struct frame_slot *slots = in.slots + first;

		first += join_batch(in.arena.data, in.arena.length, slots, (uint32_t)count - first, &plan);
		for (uint32_t group = 0; group < plan.count; group++) {
			uint32_t part_count = join_iovec(&plan, group, in.arena.data, slots, parts);

			if (!write_joined(&out, produced, used, &plan.groups[group], parts, part_count, &length)) {
				refuse(env, "the output has no room for the joined frames");
				return NULL;
			}
			used += length;
			produced++;
		}
	}
	return number(env, produced);
}

/* checksum(bytes, offset, length, initial): the Internet checksum, begun with a folded partial sum. */
static napi_value checksum_binding(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	int32_t offset, length, initial;
	uint16_t sum;

	if (!get_arguments(env, info, 4, &arguments) || !get_bytes(&arguments, 0, &bytes) ||
	    !get_int(&arguments, 1, &offset) || !get_int(&arguments, 2, &length) || !get_int(&arguments, 3, &initial) ||
	    !is_inside(env, offset, length, bytes.length, "offset and length reach outside the bytes"))
		return NULL;
	if (initial < 0 || initial > UINT16_MAX) {
		refuse(env, "the initial sum does not have 16 bits");
		return NULL;
	}
	give_address(&bytes);
	sum = checksum_fold(checksum_add(htons((uint16_t)initial), bytes.data + offset, (size_t)length));
	return number(env, ntohs((uint16_t)~sum));
}

void frames_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "segmentBatch", segment_binding);
	export_function(env, exports, "joinBatch", join_binding);
	export_function(env, exports, "checksum", checksum_binding);
}
