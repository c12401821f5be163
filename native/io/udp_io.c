#define _GNU_SOURCE
#include "udp_io.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "hot.h"

union segment_control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static socklen_t length_of(const union udp_address *address)
{
	return address->family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
}

/* How many bytes each datagram of a message has; 0 when it is one. */
HOT static uint32_t segment_of(struct msghdr *header)
{
	int segment = 0;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
		if (part->cmsg_level == IPPROTO_UDP && part->cmsg_type == UDP_GRO)
			memcpy(&segment, CMSG_DATA(part), sizeof segment);
	}
	return segment > 0 ? (uint32_t)segment : 0;
}

HOT static void note(struct udp_message *message, struct msghdr *header, uint32_t offset, uint32_t length)
{
	message->offset = offset;
	message->length = length;
	message->segment = segment_of(header);
	message->is_cut = (header->msg_flags & MSG_TRUNC) != 0;
	/* The kernel says which flow an IPv6 packet belonged to: not part of who sent it. */
	if (message->from.family == AF_INET6)
		message->from.v6.sin6_flowinfo = 0;
}

HOT static struct msghdr header_for(struct udp_message *message, struct iovec *part, union segment_control *control)
{
	memset(&message->from, 0, sizeof message->from);
	return (struct msghdr){ .msg_name = &message->from, .msg_namelen = sizeof message->from, .msg_iov = part,
				.msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof *control };
}

/* One at a time touches less memory, which counts for a lone frame. */
HOT static int receive_one(int fd, uint8_t *arena, size_t stride, struct udp_message *message)
{
	union segment_control control;
	struct iovec part = { .iov_base = arena, .iov_len = stride };
	struct msghdr header = header_for(message, &part, &control);
	ssize_t length = recvmsg(fd, &header, MSG_DONTWAIT);

	if (length < 0)
		return errno == EAGAIN ? 0 : -errno;
	note(message, &header, 0, (uint32_t)length);
	return 1;
}

HOT int udp_receive(int fd, uint8_t *arena, size_t stride, struct udp_message *messages, uint32_t capacity)
{
	struct mmsghdr headers[MAX_UDP_MESSAGES];
	struct iovec parts[MAX_UDP_MESSAGES];
	union segment_control controls[MAX_UDP_MESSAGES];

	if (capacity == 1)
		return receive_one(fd, arena, stride, messages);
	if (capacity > MAX_UDP_MESSAGES)
		capacity = MAX_UDP_MESSAGES;
	for (uint32_t i = 0; i < capacity; i++) {
		parts[i] = (struct iovec){ .iov_base = arena + i * stride, .iov_len = stride };
		headers[i].msg_hdr = header_for(&messages[i], &parts[i], &controls[i]);
	}
	int count = recvmmsg(fd, headers, capacity, MSG_DONTWAIT, NULL);
	if (count < 0)
		return errno == EAGAIN ? 0 : -errno;
	for (int i = 0; i < count; i++)
		note(&messages[i], &headers[i].msg_hdr, (uint32_t)((size_t)i * stride), headers[i].msg_len);
	return count;
}

HOT int udp_send(int fd, const union udp_address *to, const uint8_t *bytes, size_t length, uint32_t segment)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control;
	/* Sending does not change what these point to. */
	struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = length };
	struct msghdr header = { .msg_name = (void *)(uintptr_t)to, .msg_namelen = length_of(to), .msg_iov = &part,
				 .msg_iovlen = 1 };
	const uint16_t size = (uint16_t)segment;

	if (segment != 0 && segment < length) {
		header.msg_control = &control;
		header.msg_controllen = sizeof control;
		control.header.cmsg_level = IPPROTO_UDP;
		control.header.cmsg_type = UDP_SEGMENT;
		control.header.cmsg_len = CMSG_LEN(sizeof size);
		memcpy(CMSG_DATA(&control.header), &size, sizeof size);
	}
	return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}

HOT int udp_send_behind(int fd, const union udp_address *to, const uint8_t *header, size_t header_length,
			const uint8_t *frame, size_t length)
{
	/* Sending does not change what these point to. */
	struct iovec parts[] = {
		{ .iov_base = (void *)(uintptr_t)header, .iov_len = header_length },
		{ .iov_base = (void *)(uintptr_t)frame, .iov_len = length },
	};
	struct msghdr message = { .msg_name = (void *)(uintptr_t)to, .msg_namelen = length_of(to), .msg_iov = parts,
				  .msg_iovlen = 2 };

	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}
