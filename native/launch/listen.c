/*
 * How a client outside hears DHCP and router advertisements of an interface inside, before and while it has addresses.
 *
 * A packet socket takes what the kernel would not deliver to anybody yet; a filter lets through what is for the client
 * alone, so that ordinary traffic wakes nobody. The kernel has that traffic, too: for as long as we live, a socket at
 * each port of the client takes it and throws it away, else servers would be told that the port is unreachable.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launch.h"

#define DHCP_CLIENT_PORT 68
#define DHCPV6_CLIENT_PORT 546
#define ICMPV6_ROUTER_ADVERTISEMENT 134
#define IPV4_FRAGMENT_OFFSET 0x1fff

/* Since Linux 4.20; older headers lack it. */
#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

#define ANCILLARY(what) ((unsigned)(SKF_AD_OFF + (what)))

/* Jumps count the instructions that are passed over; the last two say yes and no. */
static struct sock_filter for_client[] = {
	/*  0 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ANCILLARY(SKF_AD_PKTTYPE)),
	/*  1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 20, 0),
	/*  2 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ANCILLARY(SKF_AD_VLAN_TAG_PRESENT)),
	/*  3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 18),
	/*  4 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ANCILLARY(SKF_AD_PROTOCOL)),
	/*  5 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 8, 0),
	/*  6 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 15),
	/* IPv4, UDP, the first fragment, to the client's port */
	/*  7 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
	/*  8 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 13),
	/*  9 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
	/* 10 */ BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, IPV4_FRAGMENT_OFFSET, 11, 0),
	/* 11 */ BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	/* 12 */ BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
	/* 13 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DHCP_CLIENT_PORT, 7, 8),
	/* IPv6, UDP to the client's port or a router advertisement */
	/* 14 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
	/* 15 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 2),
	/* 16 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 42),
	/* 17 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DHCPV6_CLIENT_PORT, 3, 4),
	/* 18 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 3),
	/* 19 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 40),
	/* 20 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMPV6_ROUTER_ADVERTISEMENT, 0, 1),
	/* 21 */ BPF_STMT(BPF_RET | BPF_K, 0x40000),
	/* 22 */ BPF_STMT(BPF_RET | BPF_K, 0),
};

static struct sock_filter for_nobody[] = { BPF_STMT(BPF_RET | BPF_K, 0) };

static int attach(int fd, struct sock_filter *instructions, size_t count)
{
	struct sock_fprog program = { .len = (unsigned short)count, .filter = instructions };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

int open_client_socket(const char *name)
{
	const int on = 1;
	struct sockaddr_ll address = { .sll_family = AF_PACKET,
				       .sll_protocol = htons(ETH_P_ALL),
				       .sll_ifindex = (int)if_nametoindex(name) };
	/* Without a protocol it hears nothing before it is bound. */
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || address.sll_ifindex == 0 || attach(fd, for_client, sizeof for_client / sizeof *for_client) != 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0)
		fail("listen", name);
	/* A performance matter only: the filter passes over what leaves, too. */
	(void)setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
		fail("listen", name);
	return fd;
}

static void keep_port(const char *name, const struct sockaddr *address, socklen_t length)
{
	const int on = 1;
	int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	/* Not having it is no reason to fail. */
	if (fd < 0)
		return;
	if (attach(fd, for_nobody, 1) != 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) != 0 ||
	    (address->sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
	    bind(fd, address, length) != 0)
		close(fd);
}

void keep_client_ports(const char *name)
{
	const struct sockaddr_in ipv4 = { .sin_family = AF_INET, .sin_port = htons(DHCP_CLIENT_PORT) };
	const struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6, .sin6_port = htons(DHCPV6_CLIENT_PORT) };

	keep_port(name, (const struct sockaddr *)&ipv4, sizeof ipv4);
	keep_port(name, (const struct sockaddr *)&ipv6, sizeof ipv6);
}
