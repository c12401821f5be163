#define _GNU_SOURCE
#include "frame_io.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "join.h"
#include "hot.h"

HOT int tap_read(int fd, uint8_t *arena, size_t arena_size, struct frame_slot *slots, size_t capacity, size_t largest)
{
	size_t used = 0;
	size_t count = 0;

	while (count < capacity && used + largest <= arena_size) {
		struct frame_slot *slot = &slots[count];
		struct iovec parts[] = {
			{ .iov_base = &slot->offload, .iov_len = sizeof slot->offload },
			{ .iov_base = arena + used, .iov_len = largest },
		};
		ssize_t length = readv(fd, parts, 2);
		if (length < 0 && count == 0 && errno != EAGAIN)
			return -errno;
		if (length < (ssize_t)sizeof slot->offload)
			break;
		slot->offset = (uint32_t)used;
		slot->length = (uint32_t)length - (uint32_t)sizeof slot->offload;
		slot->reserved = 0;
		/* The next frame begins on a cache line of its own. */
		used += ((size_t)slot->length + 63) & ~(size_t)63;
		count++;
	}
	return (int)count;
}

HOT static void write_parts(int fd, const struct iovec *parts, uint32_t part_count, uint32_t pieces, uint8_t gso_type,
			struct tap_written *written)
{
	if (pieces == 1 && parts[1].iov_len > MAX_FRAME_BYTES) {
		written->too_long++;
		written->lost_bytes += (uint32_t)parts[1].iov_len;
		return;
	}
	if (writev(fd, parts, (int)part_count) >= 0)
		return;
	/* Joined segments had a copy of the headers each. */
	size_t bytes = (pieces - 1) * parts[1].iov_len;
	for (uint32_t i = 1; i < part_count; i++)
		bytes += parts[i].iov_len;
	written->lost_bytes += (uint32_t)bytes;
	if (bytes < MIN_FRAME_BYTES) {
		written->too_short++;
		return;
	}
	written->refused += pieces;
	written->last_errno = errno;
	if (errno == EINVAL && gso_type != OFFLOAD_GSO_NONE)
		written->super_refused += pieces;
}

static void write_joined(int fd, const uint8_t *arena, size_t arena_size, const struct frame_slot *slots,
			 uint32_t count, struct tap_written *written)
{
	struct join_plan plan;
	struct iovec parts[JOIN_MAX_PARTS];

	for (uint32_t first = 0; first < count;) {
		uint32_t covered = join_batch(arena, arena_size, slots + first, count - first, &plan);
		for (uint32_t i = 0; i < plan.count; i++) {
			const struct join_group *group = &plan.groups[i];
			uint32_t part_count = join_iovec(&plan, i, arena, slots + first, parts);
			write_parts(fd, parts, part_count, group->pieces, group->offload.gso_type, written);
		}
		first += covered;
	}
}

HOT void tap_write(int fd, const uint8_t *arena, size_t arena_size, const struct frame_slot *slots, uint32_t count,
	       int join, struct tap_written *written)
{
	*written = (struct tap_written){ 0 };
	if (join && count > 1) {
		write_joined(fd, arena, arena_size, slots, count, written);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct offload_header offload = slots[i].offload;
		struct iovec parts[] = {
			{ .iov_base = &offload, .iov_len = sizeof offload },
			{ .iov_base = (uint8_t *)arena + slots[i].offset, .iov_len = slots[i].length },
		};
		write_parts(fd, parts, 2, 1, offload.gso_type, written);
	}
}

HOT int datagrams_receive(int fd, uint8_t *arena, size_t arena_size, struct frame_slot *slots, size_t capacity,
		      size_t stride)
{
	struct mmsghdr messages[MAX_DATAGRAMS];
	struct iovec vectors[MAX_DATAGRAMS];
	size_t room = arena_size / stride;

	if (room > capacity)
		room = capacity;
	if (room == 1) {
		ssize_t length = recv(fd, arena, stride, MSG_DONTWAIT | MSG_TRUNC);
		if (length < 0)
			return errno == EAGAIN ? 0 : -errno;
		slots[0] = (struct frame_slot){ .length = (size_t)length > stride ? FRAME_TOO_LONG : (uint32_t)length };
		return 1;
	}
	if (room > MAX_DATAGRAMS)
		room = MAX_DATAGRAMS;
	memset(messages, 0, sizeof *messages * room);
	for (size_t i = 0; i < room; i++) {
		vectors[i] = (struct iovec){ .iov_base = arena + i * stride, .iov_len = stride };
		messages[i].msg_hdr.msg_iov = &vectors[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	int count = recvmmsg(fd, messages, (unsigned)room, MSG_DONTWAIT, NULL);
	if (count < 0)
		return errno == EAGAIN ? 0 : -errno;
	for (int i = 0; i < count; i++) {
		bool cut = (messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
		slots[i] = (struct frame_slot){ .offset = (uint32_t)i * (uint32_t)stride,
						.length = cut ? FRAME_TOO_LONG : messages[i].msg_len };
	}
	return count;
}

HOT int datagrams_send(int fd, const uint8_t *arena, const struct frame_slot *slots, uint32_t count)
{
	struct mmsghdr messages[MAX_DATAGRAMS];
	struct iovec vectors[MAX_DATAGRAMS];
	uint32_t sent = 0;

	if (count == 1) {
		ssize_t length = send(fd, arena + slots->offset, slots->length, MSG_DONTWAIT | MSG_NOSIGNAL);
		return length < 0 ? -errno : 1;
	}
	while (sent < count) {
		uint32_t chunk = count - sent < MAX_DATAGRAMS ? count - sent : MAX_DATAGRAMS;
		memset(messages, 0, sizeof *messages * chunk);
		for (uint32_t i = 0; i < chunk; i++) {
			const struct frame_slot *slot = &slots[sent + i];
			vectors[i] = (struct iovec){ .iov_base = (uint8_t *)arena + slot->offset,
						     .iov_len = slot->length };
			messages[i].msg_hdr.msg_iov = &vectors[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		int left = sendmmsg(fd, messages, chunk, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (left < 0 && sent == 0)
			return -errno;
		if (left < 0)
			break;
		sent += (uint32_t)left;
		if ((uint32_t)left < chunk)
			break;
	}
	return (int)sent;
}
