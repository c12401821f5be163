/*
 * Packet sockets that stand for an interface (packet(7)), in src/plugs/wire.ts.
 *
 * The kernel hands over what the interface received: with what it merged (GRO) in one piece, with an unfinished checksum
 * where the sender is on this machine, and with the VLAN tag beside the frame, not in it.
 */
#define _GNU_SOURCE
#include "wire.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/socket.h>

#include "frame_io.h"
#include "headers.h"
#include "hot.h"

#define TAG_BYTES 4
#define ADDRESSES_BYTES 12
/* How many frames that cannot be had are passed over at a time. */
#define MOST_LOST 64
/* What waits may be as much as a few super-frames, each way; the kernel gives less where an administrator said so. */
#define SOCKET_BYTES (4 * 1024 * 1024)
/* Where so many wait, some may have found no room. */
#define OVERFLOW_SIGN 4

/* What the kernel tells beside a frame. */
union beside {
	char space[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct cmsghdr align;
};

/* The tag that is not in the frame, as TPID and TCI; false when there is none. */
HOT static bool tag_beside(struct msghdr *message, uint8_t tag[TAG_BYTES])
{
	struct tpacket_auxdata data;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_PACKET || header->cmsg_type != PACKET_AUXDATA ||
		    header->cmsg_len < CMSG_LEN(sizeof data))
			continue;
		memcpy(&data, CMSG_DATA(header), sizeof data);
		if (!(data.tp_status & TP_STATUS_VLAN_VALID))
			return false;
		const uint16_t type = data.tp_status & TP_STATUS_VLAN_TPID_VALID ? data.tp_vlan_tpid : ETH_P_8021Q;
		tag[0] = (uint8_t)(type >> 8);
		tag[1] = (uint8_t)type;
		tag[2] = (uint8_t)(data.tp_vlan_tci >> 8);
		tag[3] = (uint8_t)data.tp_vlan_tci;
		return true;
	}
	return false;
}

/* Puts a tag into a frame that has room before it; the offload header counts from the beginning of the frame. */
static void insert_tag(uint8_t *arena, struct frame_slot *slot, const uint8_t tag[TAG_BYTES])
{
	uint8_t *frame = arena + slot->offset;

	memmove(frame - TAG_BYTES, frame, ADDRESSES_BYTES);
	memcpy(frame - TAG_BYTES + ADDRESSES_BYTES, tag, TAG_BYTES);
	slot->offset -= TAG_BYTES;
	slot->length += TAG_BYTES;
	if (slot->offload.flags & OFFLOAD_FLAG_NEEDS_CHECKSUM)
		slot->offload.checksum_start = (uint16_t)(slot->offload.checksum_start + TAG_BYTES);
	if (slot->offload.gso_type != OFFLOAD_GSO_NONE)
		slot->offload.header_length = (uint16_t)(slot->offload.header_length + TAG_BYTES);
}

/* Reads one frame to where there is room for a tag before it; its length, or -errno. */
HOT static ssize_t read_frame(int fd, uint8_t *arena, size_t at, size_t largest, struct frame_slot *slot)
{
	union beside beside;
	uint8_t tag[TAG_BYTES];
	struct iovec parts[] = {
		{ .iov_base = &slot->offload, .iov_len = sizeof slot->offload },
		{ .iov_base = arena + at + TAG_BYTES, .iov_len = largest - TAG_BYTES },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2, .msg_control = beside.space,
				  .msg_controllen = sizeof beside.space };
	const ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT);

	if (length < 0)
		return -errno;
	slot->offset = (uint32_t)(at + TAG_BYTES);
	slot->length = length < (ssize_t)sizeof slot->offload ? 0 : (uint32_t)length - (uint32_t)sizeof slot->offload;
	slot->reserved = 0;
	/* That somebody has looked at the checksum is no concern of the next. */
	slot->offload.flags &= OFFLOAD_FLAG_NEEDS_CHECKSUM;
	if (message.msg_flags & MSG_TRUNC)
		return -EINVAL;
	if (slot->length >= ADDRESSES_BYTES && tag_beside(&message, tag))
		insert_tag(arena, slot, tag);
	return length;
}

/* How many frames came since it was asked last for which there was no room. */
static uint32_t overflow_of(int fd)
{
	struct tpacket_stats stats;
	socklen_t length = sizeof stats;

	return getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0 ? stats.tp_drops : 0;
}

HOT int wire_read(int fd, uint8_t *arena, size_t arena_size, struct frame_slot *slots, size_t capacity, size_t largest,
		  struct wire_loss *loss)
{
	size_t used = 0;
	size_t count = 0;

	*loss = (struct wire_loss){ 0 };
	while (count < capacity && used + largest + TAG_BYTES <= arena_size) {
		const ssize_t length = read_frame(fd, arena, used, largest + TAG_BYTES, &slots[count]);
		/* Merged in a way for which the header has no words, or too long; the kernel has thrown it away. */
		if (length == -EINVAL) {
			loss->unusable++;
			if (loss->unusable < MOST_LOST)
				continue;
			break;
		}
		if (length < 0 && count == 0 && length != -EAGAIN)
			return (int)length;
		if (length < 0)
			break;
		used = (slots[count].offset + (size_t)slots[count].length + 63) & ~(size_t)63;
		count++;
	}
	if (count + loss->unusable >= OVERFLOW_SIGN)
		loss->overflown = overflow_of(fd);
	return (int)count;
}

/* Frames that have the interface's own address as source came from here, and went round. */
static int leave_out_source(int fd, const uint8_t mac[6])
{
	const uint32_t high = (uint32_t)mac[0] << 8 | mac[1];
	const uint32_t low = (uint32_t)mac[2] << 24 | (uint32_t)mac[3] << 16 | (uint32_t)mac[4] << 8 | mac[5];
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 8),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog filter = { .len = sizeof program / sizeof *program, .filter = program };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

/* What has to be so before the first frame comes. */
static int prepare(int fd)
{
	static const int on = 1;
	static const int bytes = SOCKET_BYTES;

	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0)
		return -1;
	/* It works with less, too. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	return 0;
}

/* Binds it: from now on frames come. A link of another type than Ethernet is EPROTOTYPE, one that is down ENETDOWN. */
static int join_interface(int fd, uint32_t index)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)ETH_P_ALL),
				       .sll_ifindex = (int)index };
	const struct packet_mreq all = { .mr_ifindex = (int)index, .mr_type = PACKET_MR_PROMISC };
	socklen_t length = sizeof address;
	int error = 0;
	socklen_t error_length = sizeof error;

	if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_length) != 0)
		return -1;
	if (address.sll_hatype != ARPHRD_ETHER || address.sll_halen != ETH_ALEN)
		error = EPROTOTYPE;
	if (error != 0) {
		errno = error;
		return -1;
	}
	if (leave_out_source(fd, address.sll_addr) != 0)
		return -1;
	return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all);
}

/*
 * wireAttach(fd, name): the interface's number, or -errno: ENODEV when there is none of that name, EPROTOTYPE when it is
 * no Ethernet, ENETDOWN when it is not up. The descriptor is an AF_PACKET socket of protocol 0.
 */
static napi_value wire_attach(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char name[IF_NAMESIZE];
	int32_t fd;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_text(&arguments, 1, name, sizeof name))
		return NULL;
	const uint32_t index = if_nametoindex(name);
	if (index == 0)
		return number(env, -ENODEV);
	return result_or_errno(env, prepare(fd) == 0 && join_interface(fd, index) == 0 ? (int64_t)index : -1);
}

/* interfaceIndex(name): its number in our network, or -ENODEV. */
static napi_value interface_index(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char name[IF_NAMESIZE];

	if (!get_arguments(env, info, 1, &arguments) || !get_text(&arguments, 0, name, sizeof name))
		return NULL;
	const uint32_t index = if_nametoindex(name);
	return number(env, index == 0 ? -ENODEV : (int64_t)index);
}

/* wireReadBatch(fd, arena, slots, largest, lost): see wire_read(); lost gets both numbers of its last argument. */
static napi_value wire_read_batch(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	int32_t fd, largest, *words;
	size_t length;
	struct wire_loss loss;

	if (!get_arguments(env, info, 5, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_batch(&arguments, 1, &batch) || !get_int(&arguments, 3, &largest) || largest <= 0 ||
	    !get_words(&arguments, 4, 2, &words, &length))
		return NULL;
	const int count = wire_read(fd, batch.arena.data, batch.arena.length, batch.slots, batch.capacity,
				    (size_t)largest, &loss);
	words[0] = (int32_t)loss.unusable;
	words[1] = (int32_t)loss.overflown;
	return number(env, count);
}

void wire_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "wireAttach", wire_attach);
	export_function(env, exports, "interfaceIndex", interface_index);
	export_function(env, exports, "wireReadBatch", wire_read_batch);
}
