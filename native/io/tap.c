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

#include "frame_io.h"
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

/* tapCheck(fd): 0 when it is a TAP interface as tapAttach makes them; -EINVAL or another -errno when it is not. */
static napi_value tap_check(napi_env env, napi_callback_info info)
{
	const int wanted = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	struct arguments arguments;
	struct ifreq request = { 0 };
	int32_t fd;
	int header = 0;

	if (!get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &fd))
		return NULL;
	if (ioctl(fd, TUNGETIFF, &request) != 0 || ioctl(fd, TUNGETVNETHDRSZ, &header) != 0)
		return number(env, -errno);
	bool is_tap = (request.ifr_flags & wanted) == wanted && header == sizeof(struct offload_header);
	return number(env, is_tap ? 0 : -EINVAL);
}

/* tapReadBatch(fd, arena, slots, largest): see tap_read(). */
static napi_value tap_read_batch(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	int32_t fd, largest;

	if (!get_arguments(env, info, 4, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_batch(&arguments, 1, &batch) || !get_int(&arguments, 3, &largest) || largest <= 0)
		return NULL;
	return number(env, tap_read(fd, batch.arena.data, batch.arena.length, batch.slots, batch.capacity,
				    (size_t)largest));
}

/*
 * tapWriteBatch(fd, arena, slots, count, join, results): see tap_write(). results: frames refused, the last
 * errno, how many of them were in super-frames refused with EINVAL, frames too short, bytes of what did not
 * leave, frames too long.
 */
static napi_value tap_write_batch(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	struct tap_written written;
	int32_t fd, count, join, *results;
	size_t length;

	if (!get_arguments(env, info, 6, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_batch(&arguments, 1, &batch) || !get_int(&arguments, 3, &count) || !get_int(&arguments, 4, &join) ||
	    !get_words(&arguments, 5, 6, &results, &length) || !check_slots(env, &batch, 0, count))
		return NULL;
	tap_write(fd, batch.arena.data, batch.arena.length, batch.slots, (uint32_t)count, join, &written);
	results[0] = (int32_t)written.refused;
	results[1] = written.last_errno;
	results[2] = (int32_t)written.super_refused;
	results[3] = (int32_t)written.too_short;
	results[4] = (int32_t)written.lost_bytes;
	results[5] = (int32_t)written.too_long;
	return number(env, count);
}

void tap_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "tapAttach", tap_attach);
	export_function(env, exports, "tapSetOffload", tap_set_offload);
	export_function(env, exports, "tapSetCarrier", tap_set_carrier);
	export_function(env, exports, "tapCheck", tap_check);
	export_function(env, exports, "tapReadBatch", tap_read_batch);
	export_function(env, exports, "tapWriteBatch", tap_write_batch);
}
