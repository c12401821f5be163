/*
 * Sockets that are not connected: a packet to an address, or from one.
 *
 * What a packet socket hears from a sender with checksum offload has a checksum that is not finished, and is right all
 * the same; the kernel says so beside the packet (PACKET_AUXDATA).
 */
#define _GNU_SOURCE
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

#include "packet_socket.h"

/* sendTo(fd, bytes, address): how many bytes left; the address is the bytes of a struct sockaddr. */
static napi_value send_to(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes, address;
	int32_t fd;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_bytes(&arguments, 1, &bytes) || !get_bytes(&arguments, 2, &address))
		return NULL;
	return result_or_errno(env, sendto(fd, bytes.data, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL,
					   (const struct sockaddr *)address.data, (socklen_t)address.length));
}

static uint32_t status_beside(struct msghdr *message)
{
	struct tpacket_auxdata beside;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_PACKET || header->cmsg_type != PACKET_AUXDATA ||
		    header->cmsg_len < CMSG_LEN(sizeof beside))
			continue;
		memcpy(&beside, CMSG_DATA(header), sizeof beside);
		return beside.tp_status;
	}
	return 0;
}

/*
 * receivePacket(fd, buffer, address, words): how many bytes the packet has; what is longer than the buffer is cut, and
 * the number tells. The address gets the sender's struct sockaddr; words[0] its length, words[1] 1 when the checksum
 * need not be looked at.
 */
static napi_value receive_packet(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes, address;
	int32_t fd, *words;
	size_t length;
	union {
		char space[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct cmsghdr align;
	} control;

	if (!get_arguments(env, info, 4, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_bytes(&arguments, 1, &bytes) || !get_bytes(&arguments, 2, &address) ||
	    !get_words(&arguments, 3, 2, &words, &length))
		return NULL;
	struct iovec data = { .iov_base = bytes.data, .iov_len = bytes.length };
	struct msghdr message = { .msg_name = address.data,
				  .msg_namelen = (socklen_t)address.length,
				  .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control.space,
				  .msg_controllen = sizeof control.space };
	ssize_t received = recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC);
	if (received < 0)
		return number(env, -errno);
	words[0] = (int32_t)message.msg_namelen;
	words[1] = (status_beside(&message) & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID)) != 0;
	return number(env, received);
}

void packet_socket_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "sendTo", send_to);
	export_function(env, exports, "receivePacket", receive_packet);
}
