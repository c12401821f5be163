/*
 * Batches over a connected datagram socket: one frame per datagram, many datagrams per system call.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>

#include "datagram.h"

#define MAX_DATAGRAMS 64

/*
 * receiveBatch(fd, arena, slots, stride): how many frames arrived (0 when none waits), or -errno.
 * Frame i lies at i * stride; one that is longer than the stride gets the length 0xffffffff.
 */
static napi_value receive_batch(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	struct mmsghdr messages[MAX_DATAGRAMS];
	struct iovec vectors[MAX_DATAGRAMS];
	int32_t fd, stride;

	if (!get_arguments(env, info, 4, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_batch(&arguments, 1, &batch) || !get_int(&arguments, 3, &stride) || stride <= 0)
		return NULL;
	size_t capacity = batch.arena.length / (size_t)stride;
	if (capacity > batch.capacity)
		capacity = batch.capacity;
	if (capacity > MAX_DATAGRAMS)
		capacity = MAX_DATAGRAMS;
	memset(messages, 0, sizeof *messages * capacity);
	for (size_t i = 0; i < capacity; i++) {
		vectors[i] = (struct iovec){ .iov_base = batch.arena.data + i * (size_t)stride,
					     .iov_len = (size_t)stride };
		messages[i].msg_hdr.msg_iov = &vectors[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	int count = recvmmsg(fd, messages, (unsigned)capacity, MSG_DONTWAIT, NULL);
	if (count < 0)
		return number(env, errno == EAGAIN ? 0 : -errno);
	for (int i = 0; i < count; i++) {
		bool cut = (messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
		batch.slots[i] = (struct frame_slot){ .offset = (uint32_t)i * (uint32_t)stride,
						      .length = cut ? UINT32_MAX : messages[i].msg_len };
	}
	return number(env, count);
}

/*
 * sendBatch(fd, arena, slots, first, count): how many frames left (fewer than count when the other side's
 * queue is full), or -errno when not even the first could.
 */
static napi_value send_batch(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	struct mmsghdr messages[MAX_DATAGRAMS];
	struct iovec vectors[MAX_DATAGRAMS];
	int32_t fd, first, count;
	int32_t sent = 0;

	if (!get_arguments(env, info, 5, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_batch(&arguments, 1, &batch) || !get_int(&arguments, 3, &first) ||
	    !get_int(&arguments, 4, &count) || !check_slots(env, &batch, first, count))
		return NULL;
	while (sent < count) {
		int32_t chunk = count - sent < MAX_DATAGRAMS ? count - sent : MAX_DATAGRAMS;
		memset(messages, 0, sizeof *messages * (size_t)chunk);
		for (int32_t i = 0; i < chunk; i++) {
			const struct frame_slot *slot = &batch.slots[first + sent + i];
			vectors[i] = (struct iovec){ .iov_base = batch.arena.data + slot->offset,
						     .iov_len = slot->length };
			messages[i].msg_hdr.msg_iov = &vectors[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		int left = sendmmsg(fd, messages, (unsigned)chunk, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (left < 0 && sent == 0)
			return number(env, -errno);
		if (left < 0)
			break;
		sent += left;
		if (left < chunk)
			break;
	}
	return number(env, sent);
}

void datagram_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "receiveBatch", receive_batch);
	export_function(env, exports, "sendBatch", send_batch);
}
