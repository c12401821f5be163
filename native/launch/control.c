/*
 * What goes over the control socket (SOCK_SEQPACKET) to the parent:
 *
 *   "E" with descriptors: the files of /etc that it writes, when there are any
 *   "L" with descriptors: the sockets that hear DHCP, when there are any (listen.c)
 *   "R" with descriptors: the rtnetlink socket, then one per TAP; the last one
 *   "F<step>\n<errno>\n<subject>" when something failed (report.c)
 *
 * And from it:
 *   "u<path>" remove this name when I am gone
 *   "k<path>" no need to: it is gone already
 *   "K"       no need to for any of them: only the namespaces end, the parent does not
 *
 * The end of the connection ends this process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launch.h"

#define ORDER_REMOVE 'u'
#define ORDER_FORGET 'k'
#define ORDER_FORGET_ALL 'K'
#define MAX_ENTRUSTED 16

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

/* Passes the descriptors out, and closes ours. */
static void send_descriptors(int control, char letter, const int *fds, size_t count)
{
	union {
		struct cmsghdr alignment;
		char space[CMSG_SPACE(sizeof(int) * (MAX_TAPS + 1))];
	} control_data;
	struct iovec data = { .iov_base = &letter, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control_data.space,
				  .msg_controllen = CMSG_SPACE(sizeof(int) * count) };

	memset(&control_data, 0, sizeof control_data);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * count);
	memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
	if (sendmsg(control, &message, MSG_NOSIGNAL) < 0)
		exit(STATUS_OWN_FAILURE); /* the parent is gone, there is nobody to tell */
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static void send_etc_files(const struct launch_options *options)
{
	int fds[MAX_ETC_FILES];
	size_t count = 0;

	for (size_t i = 0; i < options->etc_count; i++) {
		if (options->etc[i].handed_out)
			fds[count++] = options->etc[i].fd;
	}
	if (count > 0)
		send_descriptors(options->control, 'E', fds, count);
}

static void send_client_sockets(const struct launch_options *options)
{
	int fds[MAX_TAPS];
	size_t count = options->listening_count;

	for (size_t i = 0; i < count; i++) {
		fds[i] = open_client_socket(options->listening[i]);
		keep_client_ports(options->listening[i]);
	}
	if (count > 0)
		send_descriptors(options->control, 'L', fds, count);
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
	write_sysctls(options);
	send_etc_files(options);
	send_client_sockets(options);
	send_descriptors(options->control, 'R', fds, count);
}

/* Names that the parent wants removed, should it be killed before it does so itself. */
static char entrusted[MAX_ENTRUSTED][PATH_MAX];

static char *find_entrusted(const char *path)
{
	for (size_t i = 0; i < MAX_ENTRUSTED; i++) {
		if (strcmp(entrusted[i], path) == 0)
			return entrusted[i];
	}
	return NULL;
}

static void forget_all(void)
{
	for (size_t i = 0; i < MAX_ENTRUSTED; i++)
		entrusted[i][0] = '\0';
}

static void obey(const char *order)
{
	if (order[0] == ORDER_FORGET_ALL) {
		forget_all();
		return;
	}
	char *place = find_entrusted(order[0] == ORDER_REMOVE ? "" : order + 1);

	if (place == NULL || order[1] == '\0')
		return;
	if (order[0] == ORDER_REMOVE)
		strcpy(place, order + 1);
	else if (order[0] == ORDER_FORGET)
		place[0] = '\0';
}

static void remove_entrusted(void)
{
	for (size_t i = 0; i < MAX_ENTRUSTED; i++) {
		if (entrusted[i][0] != '\0')
			unlink(entrusted[i]);
	}
}

void hold_namespaces(int control)
{
	/* What a terminal or a shell sends to the whole process group is for the command alone. */
	static const int ignored[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1 };
	char order[PATH_MAX];
	ssize_t length;

	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		signal(ignored[i], SIG_IGN);
	for (errno = 0; (length = recv(control, order, sizeof order - 1, 0)) > 0 || errno == EINTR; errno = 0) {
		if (length <= 0)
			continue;
		order[length] = '\0';
		obey(order);
	}
	remove_entrusted();
}
