/*
 * Sockets and descriptors as the kernel has them, for what node:net does not offer: datagram unix
 * sockets, raw addresses, netlink, descriptor passing. Every function is one system call; all are
 * non-blocking, and return a number: the call's result, or -errno.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "socket.h"

/* What one message holds (unix(7)). */
#define MAX_DESCRIPTORS 253

/* openSocket(domain, type, protocol): a descriptor. */
static napi_value open_socket(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t domain, type, protocol;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &domain) ||
	    !get_int(&arguments, 1, &type) || !get_int(&arguments, 2, &protocol))
		return NULL;
	return result_or_errno(env, socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

/* openSocketPair(type, ends): 0; ends[0] is non-blocking, ends[1] is for a child and blocks. */
static napi_value open_socket_pair(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t type, *ends;
	size_t length;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &type) ||
	    !get_words(&arguments, 1, 2, &ends, &length))
		return NULL;
	int result = socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends);
	if (result == 0)
		result = fcntl(ends[0], F_SETFL, O_NONBLOCK);
	return result_or_errno(env, result);
}

/* openPipe(ends): 0; ends[0] reads, ends[1] writes. Both block, until setNonBlocking says otherwise. */
static napi_value open_pipe(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t *ends;
	size_t length;

	if (!get_arguments(env, info, 1, &arguments) || !get_words(&arguments, 0, 2, &ends, &length))
		return NULL;
	return result_or_errno(env, pipe2(ends, O_CLOEXEC));
}

static bool get_descriptor_and_bytes(napi_env env, napi_callback_info info, int32_t *fd, struct bytes *bytes)
{
	struct arguments arguments;

	return get_arguments(env, info, 2, &arguments) && get_int(&arguments, 0, fd) && get_bytes(&arguments, 1, bytes);
}

typedef int (*address_call)(int, const struct sockaddr *, socklen_t);

static napi_value call_with_address(napi_env env, napi_callback_info info, address_call call)
{
	struct bytes address;
	int32_t fd;

	if (!get_descriptor_and_bytes(env, info, &fd, &address))
		return NULL;
	return result_or_errno(env, call(fd, (const struct sockaddr *)address.data, (socklen_t)address.length));
}

/* bindSocket(fd, address): the address is the bytes of a struct sockaddr. */
static napi_value bind_socket(napi_env env, napi_callback_info info)
{
	return call_with_address(env, info, bind);
}

/* connectSocket(fd, address): -EINPROGRESS and -EAGAIN as connect(2) says. */
static napi_value connect_socket(napi_env env, napi_callback_info info)
{
	return call_with_address(env, info, connect);
}

/* listen(fd, backlog): 0. */
static napi_value listen_socket(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t fd, backlog;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_int(&arguments, 1, &backlog))
		return NULL;
	return result_or_errno(env, listen(fd, backlog));
}

/* accept(fd): the descriptor of the next connection, or -EAGAIN. */
static napi_value accept_connection(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t fd;

	if (!get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &fd))
		return NULL;
	return result_or_errno(env, accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

/* peerCredentials(fd, credentials): 0; pid, uid and gid of who connected, as they were then. */
static napi_value peer_credentials(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct ucred peer = { 0 };
	socklen_t size = sizeof peer;
	int32_t fd, *credentials;
	size_t length;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_words(&arguments, 1, 3, &credentials, &length))
		return NULL;
	int result = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	if (result == 0) {
		credentials[0] = peer.pid;
		credentials[1] = (int32_t)peer.uid;
		credentials[2] = (int32_t)peer.gid;
	}
	return result_or_errno(env, result);
}

/* The first three arguments of an option's call, and its value. */
struct option {
	int32_t fd, level, name;
	struct bytes value;
};

static bool get_option(napi_env env, napi_callback_info info, struct option *option)
{
	struct arguments arguments;

	return get_arguments(env, info, 4, &arguments) && get_int(&arguments, 0, &option->fd) &&
	       get_int(&arguments, 1, &option->level) && get_int(&arguments, 2, &option->name) &&
	       get_bytes(&arguments, 3, &option->value);
}

/* setSocketOption(fd, level, name, value): 0; the value is the bytes of what setsockopt(2) takes. */
static napi_value set_socket_option(napi_env env, napi_callback_info info)
{
	struct option option;

	if (!get_option(env, info, &option))
		return NULL;
	return result_or_errno(env, setsockopt(option.fd, option.level, option.name, option.value.data,
					       (socklen_t)option.value.length));
}

/* getSocketOption(fd, level, name, buffer): how many bytes of the buffer are the value. */
static napi_value get_socket_option(napi_env env, napi_callback_info info)
{
	struct option option;

	if (!get_option(env, info, &option))
		return NULL;
	socklen_t length = (socklen_t)option.value.length;
	int result = getsockopt(option.fd, option.level, option.name, option.value.data, &length);
	return result_or_errno(env, result == 0 ? (int64_t)length : -1);
}

/* socketName(fd, buffer): how many bytes the local address has; of one that is longer than the buffer, the first. */
static napi_value socket_name(napi_env env, napi_callback_info info)
{
	struct bytes address;
	int32_t fd;

	if (!get_descriptor_and_bytes(env, info, &fd, &address))
		return NULL;
	socklen_t length = (socklen_t)address.length;
	int result = getsockname(fd, (struct sockaddr *)address.data, &length);
	return result_or_errno(env, result == 0 ? (int64_t)length : -1);
}

/* lockDescriptor(fd): 0, and the file is locked for all others as long as the descriptor is open; or -EAGAIN. */
static napi_value lock_descriptor(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t fd;

	if (!get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &fd))
		return NULL;
	return result_or_errno(env, flock(fd, LOCK_EX | LOCK_NB));
}

/* send(fd, bytes): how many bytes left. */
static napi_value send_bytes(napi_env env, napi_callback_info info)
{
	struct bytes bytes;
	int32_t fd;

	if (!get_descriptor_and_bytes(env, info, &fd, &bytes))
		return NULL;
	return result_or_errno(env, send(fd, bytes.data, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* receive(fd, buffer): how many bytes arrived; 0 at the end of a stream. */
static napi_value receive_bytes(napi_env env, napi_callback_info info)
{
	struct bytes bytes;
	int32_t fd;

	if (!get_descriptor_and_bytes(env, info, &fd, &bytes))
		return NULL;
	return result_or_errno(env, recv(fd, bytes.data, bytes.length, MSG_DONTWAIT));
}

/* readInto(fd, buffer, offset): read(2) into the buffer from offset on. */
static napi_value read_into(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	int32_t fd, offset;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_bytes(&arguments, 1, &bytes) || !get_int(&arguments, 2, &offset))
		return NULL;
	if (offset < 0 || (size_t)offset > bytes.length) {
		napi_throw_range_error(env, NULL, "the offset lies outside the buffer");
		return NULL;
	}
	return result_or_errno(env, read(fd, bytes.data + offset, bytes.length - (size_t)offset));
}

/*
 * receiveDescriptors(fd, buffer, descriptors): how many bytes arrived. descriptors[0] gets the number of
 * descriptors that came with them, followed by these (close-on-exec).
 */
static napi_value receive_descriptors(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	int32_t fd, *descriptors;
	size_t length;
	union {
		char space[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
		struct cmsghdr align;
	} control;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_bytes(&arguments, 1, &bytes) ||
	    !get_words(&arguments, 2, 1 + MAX_DESCRIPTORS, &descriptors, &length))
		return NULL;
	struct iovec data = { .iov_base = bytes.data, .iov_len = bytes.length };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control.space,
				  .msg_controllen = sizeof control.space };
	descriptors[0] = 0;
	ssize_t received = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (received < 0)
		return number(env, -errno);
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(&descriptors[1 + descriptors[0]], CMSG_DATA(header), count * sizeof(int));
		descriptors[0] += (int32_t)count;
	}
	return number(env, received);
}

/* sendDescriptors(fd, bytes, descriptors): how many bytes left; all the descriptors go with them. */
static napi_value send_descriptors(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	int32_t fd, *descriptors;
	size_t count;
	union {
		char space[CMSG_SPACE(sizeof(int) * MAX_DESCRIPTORS)];
		struct cmsghdr align;
	} control = { 0 };

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_bytes(&arguments, 1, &bytes) || !get_words(&arguments, 2, 1, &descriptors, &count))
		return NULL;
	if (count > MAX_DESCRIPTORS) {
		napi_throw_range_error(env, NULL, "too many descriptors for one message");
		return NULL;
	}
	struct iovec data = { .iov_base = bytes.data, .iov_len = bytes.length };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control.space,
				  .msg_controllen = CMSG_SPACE(sizeof(int) * count) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * count);
	memcpy(CMSG_DATA(header), descriptors, sizeof(int) * count);
	return result_or_errno(env, sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* duplicateDescriptor(fd): another descriptor of the same, close-on-exec. */
static napi_value duplicate_descriptor(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t fd;

	if (!get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &fd))
		return NULL;
	return result_or_errno(env, fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

/* shutdownWriting(fd): 0, and the other end of the stream sees its end when it has read all. */
static napi_value shutdown_writing(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t fd;

	if (!get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &fd))
		return NULL;
	return result_or_errno(env, shutdown(fd, SHUT_WR));
}

/* setNonBlocking(fd): 0. */
static napi_value set_non_blocking(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t fd;

	if (!get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &fd))
		return NULL;
	return result_or_errno(env, fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
}

/* isWritable(fd): 1 when a write to it would take something, or fail; 0 when it would wait; or -errno. */
static napi_value is_writable(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct pollfd poll_fd = { .events = POLLOUT };

	if (!get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &poll_fd.fd))
		return NULL;
	return result_or_errno(env, poll(&poll_fd, 1, 0));
}

/* closeDescriptor(fd): 0. */
static napi_value close_descriptor(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t fd;

	if (!get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &fd))
		return NULL;
	return result_or_errno(env, close(fd));
}

void socket_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "openSocket", open_socket);
	export_function(env, exports, "openSocketPair", open_socket_pair);
	export_function(env, exports, "openPipe", open_pipe);
	export_function(env, exports, "bindSocket", bind_socket);
	export_function(env, exports, "connectSocket", connect_socket);
	export_function(env, exports, "listen", listen_socket);
	export_function(env, exports, "accept", accept_connection);
	export_function(env, exports, "peerCredentials", peer_credentials);
	export_function(env, exports, "setSocketOption", set_socket_option);
	export_function(env, exports, "getSocketOption", get_socket_option);
	export_function(env, exports, "socketName", socket_name);
	export_function(env, exports, "lockDescriptor", lock_descriptor);
	export_function(env, exports, "send", send_bytes);
	export_function(env, exports, "receive", receive_bytes);
	export_function(env, exports, "readInto", read_into);
	export_function(env, exports, "receiveDescriptors", receive_descriptors);
	export_function(env, exports, "sendDescriptors", send_descriptors);
	export_function(env, exports, "duplicateDescriptor", duplicate_descriptor);
	export_function(env, exports, "shutdownWriting", shutdown_writing);
	export_function(env, exports, "setNonBlocking", set_non_blocking);
	export_function(env, exports, "isWritable", is_writable);
	export_function(env, exports, "closeDescriptor", close_descriptor);
}
