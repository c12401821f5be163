/*
 * The control socket (SOCK_SEQPACKET) to the parent.
 *
 * To the parent:   "R" with descriptors: the rtnetlink socket, then one per TAP
 *                  "S" with a datagram socket whose receive queue is long
 *                  "F<step>\n<errno>\n<subject>" when something failed (report.c)
 * From the parent: "g" go, become the command
 *                  "s" another such socket, please
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launch.h"

#define QUEUE_SYSCTL "/proc/sys/net/unix/max_dgram_qlen"
#define LONG_QUEUE "512"

static int open_tap(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		fail("tun-open", "/dev/net/tun");
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, TUNSETIFF, &request) != 0)
		fail("tun-attach", name);
	return fd;
}

static void send_descriptors(int control, char kind, const int *fds, size_t count)
{
	char space[CMSG_SPACE(sizeof(int) * (MAX_TAPS + 1))];
	struct iovec data = { .iov_base = &kind, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	memset(space, 0, sizeof space);
	if (count > 0) {
		message.msg_control = space;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
	}
	if (sendmsg(control, &message, MSG_NOSIGNAL) < 0)
		exit(STATUS_OWN_FAILURE); /* the parent is gone, there is nobody to tell */
}

void send_interfaces(const struct launch_options *options)
{
	int fds[MAX_TAPS + 1];
	size_t count = 0;

	fds[count++] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fds[0] < 0)
		fail("netlink", "socket");
	for (size_t i = 0; i < options->tap_count; i++)
		fds[count++] = open_tap(options->taps[i]);
	send_descriptors(options->control, 'R', fds, count);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

/*
 * A unix datagram socket takes its queue length from the network namespace it is made in, and in
 * this one we may set it: 512 datagrams where the system's default is 10. unix(7) sockets with
 * pathnames are not tied to a network namespace, so the parent can use it outside.
 */
static void send_long_queue_socket(int control)
{
	char before[16];
	int sysctl = open(QUEUE_SYSCTL, O_RDWR | O_CLOEXEC);
	ssize_t length = sysctl < 0 ? -1 : read(sysctl, before, sizeof before);

	if (length > 0)
		(void)!pwrite(sysctl, LONG_QUEUE, strlen(LONG_QUEUE), 0);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (length > 0)
		(void)!pwrite(sysctl, before, (size_t)length, 0);
	if (sysctl >= 0)
		close(sysctl);
	send_descriptors(control, 'S', &fd, fd < 0 ? 0 : 1);
	if (fd >= 0)
		close(fd);
}

/* Receives one request; 0 when the parent is gone. */
static char receive_request(int control)
{
	char request;
	ssize_t length;

	do
		length = recv(control, &request, 1, 0);
	while (length < 0 && errno == EINTR);
	return length == 1 ? request : 0;
}

bool serve_control(int control)
{
	char request = receive_request(control);
	if (request == 's')
		send_long_queue_socket(control);
	return request != 0;
}

void wait_for_go(int control)
{
	char request;
	while ((request = receive_request(control)) != 'g') {
		if (request == 0)
			exit(STATUS_OWN_FAILURE);
		if (request == 's')
			send_long_queue_socket(control);
	}
}
