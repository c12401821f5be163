/*
 * TAP interfaces (Documentation/networking/tuntap.rst): batches in and out, offload, carrier.
 *
 * The interfaces are made with IFF_VNET_HDR, so a virtio-net header of 10 bytes travels with every
 * frame; it is kept in the frame's slot, not in the arena.
 */
#define _GNU_SOURCE
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "join.h"
#include "tap.h"

/*
 * tapAttach(fd, name): 0 or -errno. Makes the TAP interface, or attaches to it when it is a persistent one; an
 * empty name lets the kernel choose. A persistent one may remember another size of header.
 */
static napi_value tap_attach(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int32_t fd;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_text(&arguments, 1, request.ifr_name, sizeof request.ifr_name))
		return NULL;
	int header = sizeof(struct offload_header);
	int result = ioctl(fd, TUNSETIFF, &request);
	if (result == 0)
		result = ioctl(fd, TUNSETVNETHDRSZ, &header);
	return result_or_errno(env, result);
}

/* tapSetOffload(fd, flags): 0 or -errno; flags as TUNSETOFFLOAD has them (TUN_F_*). */
static napi_value tap_set_offload(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t fd, flags;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &fd) || !get_int(&arguments, 1, &flags))
		return NULL;
	return result_or_errno(env, ioctl(fd, TUNSETOFFLOAD, (unsigned long)flags));
}

/* tapSetCarrier(fd, on): 0 or -errno. */
static napi_value tap_set_carrier(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t fd, carrier;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_int(&arguments, 1, &carrier))
		return NULL;
	int value = carrier != 0;
	return result_or_errno(env, ioctl(fd, TUNSETCARRIER, &value));
}

/*
 * tapReadBatch(fd, arena, slots, largest): how many frames were waiting, as many as fit with room for
 * the largest; 0 when none waits; -errno when there is an error and no frame.
 */
static napi_value tap_read_batch(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	int32_t fd, largest;
	size_t used = 0;
	size_t count = 0;

	if (!get_arguments(env, info, 4, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_batch(&arguments, 1, &batch) || !get_int(&arguments, 3, &largest) || largest <= 0)
		return NULL;
	while (count < batch.capacity && used + (size_t)largest <= batch.arena.length) {
		struct frame_slot *slot = &batch.slots[count];
		struct iovec parts[] = {
			{ .iov_base = &slot->offload, .iov_len = sizeof slot->offload },
			{ .iov_base = batch.arena.data + used, .iov_len = (size_t)largest },
		};
		ssize_t length = readv(fd, parts, 2);
		if (length < 0 && count == 0 && errno != EAGAIN)
			return number(env, -errno);
		if (length < (ssize_t)sizeof slot->offload)
			break;
		slot->offset = (uint32_t)used;
		slot->length = (uint32_t)length - (uint32_t)sizeof slot->offload;
		slot->reserved = 0;
		/* The next frame begins on a cache line of its own. */
		used += ((size_t)slot->length + 63) & ~(size_t)63;
		count++;
	}
	return number(env, (int64_t)count);
}

/* What became of the frames of one tapWriteBatch, as TypeScript reads it. */
enum { WRITE_REFUSED, WRITE_ERRNO, WRITE_SUPER_REFUSED, WRITE_TOO_SHORT, WRITE_LOST_BYTES, WRITE_RESULTS };

#define ETHERNET_HEADER_BYTES 14

/* The kernel did not take it: how many frames that were, and why. */
static void count_refused(const struct iovec *parts, uint32_t part_count, const struct join_group *group,
			  int32_t *results)
{
	/* Joined segments had a copy of the headers each. */
	size_t bytes = (group->pieces - 1) * parts[1].iov_len;

	for (uint32_t i = 1; i < part_count; i++)
		bytes += parts[i].iov_len;
	results[WRITE_LOST_BYTES] += (int32_t)bytes;
	if (bytes < ETHERNET_HEADER_BYTES) {
		results[WRITE_TOO_SHORT]++;
		return;
	}
	results[WRITE_REFUSED] += (int32_t)group->pieces;
	results[WRITE_ERRNO] = errno;
	if (errno == EINVAL && group->offload.gso_type != OFFLOAD_GSO_NONE)
		results[WRITE_SUPER_REFUSED] += (int32_t)group->pieces;
}

static void write_group(int fd, const struct iovec *parts, uint32_t part_count, const struct join_group *group,
			int32_t *results)
{
	if (writev(fd, parts, (int)part_count) < 0)
		count_refused(parts, part_count, group, results);
}

/*
 * tapWriteBatch(fd, arena, slots, count, join, results): writes all frames; consecutive TCP segments as
 * one super-frame when `join` is not 0. results: frames refused, the last errno, how many of them were in
 * super-frames refused with EINVAL, frames too short, bytes of what did not leave.
 */
static napi_value tap_write_batch(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	int32_t fd, count, join, *results;
	size_t length;

	if (!get_arguments(env, info, 6, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_batch(&arguments, 1, &batch) || !get_int(&arguments, 3, &count) || !get_int(&arguments, 4, &join) ||
	    !get_words(&arguments, 5, WRITE_RESULTS, &results, &length) || !check_slots(env, &batch, 0, count))
		return NULL;
	for (int i = 0; i < WRITE_RESULTS; i++)
		results[i] = 0;
	if (!join || count == 1) {
		for (int32_t i = 0; i < count; i++) {
			struct frame_slot *slot = &batch.slots[i];
			struct join_group group = { .first_slot = (uint32_t)i, .pieces = 1, .offload = slot->offload };
			struct iovec parts[] = {
				{ .iov_base = &slot->offload, .iov_len = sizeof slot->offload },
				{ .iov_base = batch.arena.data + slot->offset, .iov_len = slot->length },
			};
			write_group(fd, parts, 2, &group, results);
		}
		return number(env, count);
	}
	struct join_plan plan;
	struct iovec parts[JOIN_MAX_PARTS];
	for (uint32_t first = 0; first < (uint32_t)count;) {
		const struct frame_slot *slots = batch.slots + first;
		uint32_t covered =
			join_batch(batch.arena.data, batch.arena.length, slots, (uint32_t)count - first, &plan);
		for (uint32_t group = 0; group < plan.count; group++) {
			uint32_t part_count = join_iovec(&plan, group, batch.arena.data, slots, parts);
			write_group(fd, parts, part_count, &plan.groups[group], results);
		}
		first += covered;
	}
	return number(env, count);
}

void tap_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "tapAttach", tap_attach);
	export_function(env, exports, "tapSetOffload", tap_set_offload);
	export_function(env, exports, "tapSetCarrier", tap_set_carrier);
	export_function(env, exports, "tapReadBatch", tap_read_batch);
	export_function(env, exports, "tapWriteBatch", tap_write_batch);
}
