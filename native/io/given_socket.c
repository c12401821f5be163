/* A descriptor that somebody else opened: what it is. */
#define _GNU_SOURCE
#include "given_socket.h"

#include <sys/socket.h>

/*
 * socketKind(fd, words): 0 or -errno: EBADF when it is not open, ENOTSOCK when it is no socket. words[0] gets its type
 * (SOCK_SEQPACKET ...), words[1] 1 when it is connected.
 */
static napi_value socket_kind(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct sockaddr_storage peer;
	socklen_t length = sizeof peer;
	int32_t fd, *words;
	size_t count;
	int type = 0;
	socklen_t type_length = sizeof type;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_words(&arguments, 1, 2, &words, &count))
		return NULL;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) != 0)
		return number(env, -errno);
	words[0] = type;
	words[1] = getpeername(fd, (struct sockaddr *)&peer, &length) == 0;
	return number(env, 0);
}

void given_socket_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "socketKind", socket_kind);
}
