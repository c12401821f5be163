/*
 * foreign - a network that only the original library knows, in a process of its own.
 *
 * usage: foreign NETWORK [DESCRIPTION]
 *
 *   vdens ═══ descriptor 3: packets, one frame each ═══ foreign ── libvdeplug ── its plugin ── the network
 *                 ◀── descriptor 4: a byte now and then, for as long as it is not stuck ──
 *
 * The first packet says what became of opening: an OPENED or a FAILED, with an errno. From then on every packet is a frame. It
 * ends with the socket, or with its parent, and says why on standard error when the network does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define LIBRARY "libvdeplug.so.2"
/* LIBVDEPLUG_INTERFACE_VERSION of libvdeplug.h */
#define INTERFACE_VERSION 1

#define SOCKET 3
#define SIGN_OF_LIFE 4
#define LARGEST_FRAME 65536
#define MIN_FRAME_BYTES 14
/* How long without a sign of life at most; src/plugs/foreign.ts waits several times as long. */
#define SIGN_MS 2000
/* How long none is given after one, so that their number does not depend on that of the frames. */
#define SIGN_PAUSE_MS 1000
/* How many errors in a row that are none of waiting make the network one that is gone, and the pause between them. */
#define MAX_FAILURES 10
#define FAILURE_PAUSE_US 10000
/* How many times in a row a network says that frames wait, and has none, before it is asked less often. */
#define MAX_FRUITLESS 10
/* How many frames pass one way before the other has its turn. */
#define FRAMES_AT_ONCE 32

#define OPENED 'O'
#define FAILED 'F'
/* Exit statuses: there is no such library, the network could not be opened, it is gone. */
#define NO_LIBRARY 10
#define NOT_OPENED 11
#define IS_GONE 12

struct vdeconn;

/* What the library has (libvdeplug.h). */
static struct {
	struct vdeconn *(*open)(char *network, char *description, int version, void *arguments);
	ssize_t (*receive)(struct vdeconn *connection, void *buffer, size_t size, int flags);
	ssize_t (*send)(struct vdeconn *connection, const void *buffer, size_t length, int flags);
	int (*data)(struct vdeconn *connection);
	int (*control)(struct vdeconn *connection);
	int (*close)(struct vdeconn *connection);
} library;

static struct vdeconn *connection;
/* A frame that found no room in the socket. */
static uint8_t waiting[LARGEST_FRAME];
static size_t waiting_length;
static int failures;
static int fruitless;

static void report(char what, int error)
{
	uint8_t message[1 + sizeof(int32_t)] = { (uint8_t)what };
	const int32_t number = error;

	memcpy(message + 1, &number, sizeof number);
	if (send(SOCKET, message, sizeof message, MSG_NOSIGNAL) < 0)
		_exit(0);
}

static void *find(void *handle, const char *name)
{
	void *symbol = dlsym(handle, name);

	if (symbol != NULL)
		return symbol;
	fprintf(stderr, LIBRARY " has no %s\n", name);
	report(FAILED, ENOSYS);
	exit(NO_LIBRARY);
}

static void load(void)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_GLOBAL);

	if (handle == NULL) {
		report(FAILED, ELIBACC);
		exit(NO_LIBRARY);
	}
	*(void **)&library.open = find(handle, "vde_open_real");
	*(void **)&library.receive = find(handle, "vde_recv");
	*(void **)&library.send = find(handle, "vde_send");
	*(void **)&library.data = find(handle, "vde_datafd");
	*(void **)&library.control = find(handle, "vde_ctlfd");
	*(void **)&library.close = find(handle, "vde_close");
}

static void end(const char *why)
{
	/* The mark tells it from what plugins print. */
	fprintf(stderr, "\1%s\n", why);
	library.close(connection);
	exit(IS_GONE);
}

/* Whether the frame has left, or never will. */
static bool deliver(const uint8_t *frame, size_t length)
{
	if (send(SOCKET, frame, length, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		return true;
	if (errno == EAGAIN || errno == ENOBUFS)
		return false;
	if (errno == EPIPE || errno == ECONNRESET || errno == ECONNREFUSED) {
		library.close(connection);
		exit(0);
	}
	return true;
}

/* What a plugin reads need not be a frame; one that has nothing to read, and says otherwise, is asked less often. */
static void note_fruitless(void)
{
	if (fruitless < MAX_FRUITLESS)
		fruitless++;
	else
		usleep(FAILURE_PAUSE_US);
}

/* Some networks fail once and go on; one that does nothing else is gone. */
static void note_failure(int error)
{
	if (error == EAGAIN || error == EINTR || error == 0) {
		note_fruitless();
		return;
	}
	if (++failures < MAX_FAILURES) {
		usleep(FAILURE_PAUSE_US);
		return;
	}
	end(strerror(error));
}

/* Takes frames out of the network until none is there, or there is no room for them. */
static void take_from_network(void)
{
	for (int i = 0; i < FRAMES_AT_ONCE && waiting_length == 0; i++) {
		struct pollfd ready = { .fd = library.data(connection), .events = POLLIN };
		if (i > 0 && poll(&ready, 1, 0) <= 0)
			return;
		errno = 0;
		const ssize_t length = library.receive(connection, waiting, sizeof waiting, 0);
		if (length < 0) {
			note_failure(errno);
			return;
		}
		if (length < MIN_FRAME_BYTES) {
			note_fruitless();
			return;
		}
		failures = 0;
		fruitless = 0;
		if (!deliver(waiting, (size_t)length))
			waiting_length = (size_t)length;
	}
}

/* Gives frames to the network; what it does not take is lost, as on a wire. */
static void give_to_network(void)
{
	static uint8_t frame[LARGEST_FRAME];

	for (int i = 0; i < FRAMES_AT_ONCE; i++) {
		const ssize_t length = recv(SOCKET, frame, sizeof frame, MSG_DONTWAIT);
		if (length < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (length <= 0) {
			library.close(connection);
			exit(0);
		}
		library.send(connection, frame, (size_t)length, 0);
	}
}

/* The end of the control connection is that of the network; nothing else is ever said on it. */
static void look_at_control(int control)
{
	char ignored[256];
	const ssize_t length = read(control, ignored, sizeof ignored);

	if (length == 0)
		end("the other side closed the connection");
	if (length < 0)
		note_failure(errno);
}

static void give_sign_of_life(void)
{
	static int64_t last = -SIGN_PAUSE_MS;
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	const int64_t now = (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
	if (now - last < SIGN_PAUSE_MS)
		return;
	last = now;
	/* Parents that do not listen have ended, or will. */
	(void)!write(SIGN_OF_LIFE, ".", 1);
}

static void relay(void)
{
	const int control = library.control(connection);

	for (;;) {
		struct pollfd polled[] = {
			{ .fd = SOCKET, .events = (short)(POLLIN | (waiting_length > 0 ? POLLOUT : 0)) },
			{ .fd = waiting_length > 0 ? -1 : library.data(connection), .events = POLLIN },
			{ .fd = control, .events = POLLIN },
		};
		give_sign_of_life();
		if (poll(polled, 3, SIGN_MS) < 0 && errno != EINTR)
			end(strerror(errno));
		if (polled[0].revents & POLLOUT && deliver(waiting, waiting_length))
			waiting_length = 0;
		if (polled[0].revents & (POLLIN | POLLHUP | POLLERR))
			give_to_network();
		if (polled[1].revents & (POLLIN | POLLERR))
			take_from_network();
		else if (polled[1].revents & (POLLHUP | POLLNVAL))
			end("the network is gone");
		if (polled[2].revents & POLLNVAL)
			end("the network is gone");
		if (polled[2].revents)
			look_at_control(control);
	}
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	fcntl(SIGN_OF_LIFE, F_SETFL, O_NONBLOCK);
	fcntl(SOCKET, F_SETFD, FD_CLOEXEC);
	fcntl(SIGN_OF_LIFE, F_SETFD, FD_CLOEXEC);
	setvbuf(stderr, NULL, _IOLBF, 0);
	load();
	errno = 0;
	connection = library.open(argv[1], argc > 2 ? argv[2] : argv[0], INTERFACE_VERSION, NULL);
	if (connection == NULL) {
		report(FAILED, errno == 0 ? EPROTO : errno);
		return NOT_OPENED;
	}
	report(OPENED, 0);
	relay();
}
