/*
 * Readiness of many descriptors: one epoll set, which is itself one descriptor of Node's event loop.
 *
 * The loop wakes JavaScript once; JavaScript then asks `reactorWait` again and again while there is
 * traffic, so that busy descriptors do not pay for a turn of the event loop each time.
 *
 * libuv's header is not needed: the functions below keep their ABI within libuv 1.x, and Node exports
 * them. UV_POLL is 8 in all of 1.x.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "napi_util.h"
#include "reactor.h"

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_poll_s uv_poll_t;
typedef void (*uv_poll_cb)(uv_poll_t *, int status, int events);
extern size_t uv_handle_size(int type);
extern int uv_poll_init(uv_loop_t *, uv_poll_t *, int fd);
extern int uv_poll_start(uv_poll_t *, int events, uv_poll_cb);
extern int uv_poll_stop(uv_poll_t *);
extern void uv_handle_set_data(void *, void *);
extern void *uv_handle_get_data(const void *);
extern void uv_ref(void *);
extern void uv_unref(void *);

#define UV_POLL_HANDLE 8
#define UV_READABLE_EVENT 1
#define MAX_EVENTS 64

/* One per environment, for its whole life. */
struct reactor {
	napi_env env;
	napi_ref callback;
	napi_async_context context;
	uv_poll_t *poll;
	int epoll;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct reactor *reactor = uv_handle_get_data(poll);
	napi_handle_scope scope;
	napi_value callback, global, result;

	(void)status;
	(void)events;
	if (napi_open_handle_scope(reactor->env, &scope) != napi_ok)
		return;
	if (napi_get_reference_value(reactor->env, reactor->callback, &callback) == napi_ok &&
	    napi_get_global(reactor->env, &global) == napi_ok &&
	    napi_make_callback(reactor->env, reactor->context, global, callback, 0, NULL, &result) ==
		    napi_pending_exception) {
		napi_value error;
		if (napi_get_and_clear_last_exception(reactor->env, &error) == napi_ok)
			napi_fatal_exception(reactor->env, error);
	}
	napi_close_handle_scope(reactor->env, scope);
}

/* reactorOpen(callback): the epoll descriptor, or -errno. The callback runs when any descriptor is ready. */
static napi_value reactor_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	uv_loop_t *loop;
	napi_value name;

	if (!get_arguments(env, info, 1, &arguments))
		return NULL;
	struct reactor *reactor = calloc(1, sizeof *reactor);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	if (reactor == NULL || epoll < 0) {
		free(reactor);
		return result_or_errno(env, -1);
	}
	*reactor = (struct reactor){ .env = env, .epoll = epoll, .poll = calloc(1, uv_handle_size(UV_POLL_HANDLE)) };
	napi_create_string_utf8(env, "vdens", NAPI_AUTO_LENGTH, &name);
	if (reactor->poll == NULL || napi_get_uv_event_loop(env, (void *)&loop) != napi_ok ||
	    napi_async_init(env, NULL, name, &reactor->context) != napi_ok ||
	    napi_create_reference(env, arguments.values[0], 1, &reactor->callback) != napi_ok ||
	    uv_poll_init(loop, reactor->poll, epoll) != 0) {
		napi_throw_error(env, NULL, "cannot watch descriptors with this version of Node.js");
		return NULL;
	}
	uv_handle_set_data(reactor->poll, reactor);
	uv_poll_start(reactor->poll, UV_READABLE_EVENT, on_readable);
	uv_unref(reactor->poll);
	napi_set_instance_data(env, reactor, NULL, NULL);
	return number(env, epoll);
}

/* reactorHold(on): whether watching keeps the event loop alive. */
static napi_value reactor_hold(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct reactor *reactor = NULL;
	int32_t hold;

	if (!get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &hold))
		return NULL;
	if (napi_get_instance_data(env, (void **)&reactor) == napi_ok && reactor != NULL) {
		if (hold)
			uv_ref(reactor->poll);
		else
			uv_unref(reactor->poll);
	}
	return NULL;
}

/* reactorWatch(epoll, operation, fd, token, events): 0 or -errno. Operations as in epoll_ctl(2). */
static napi_value reactor_watch(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t values[5];

	if (!get_arguments(env, info, 5, &arguments))
		return NULL;
	for (size_t i = 0; i < 5; i++) {
		if (!get_int(&arguments, i, &values[i]))
			return NULL;
	}
	struct epoll_event event = { .events = (uint32_t)values[4], .data.u32 = (uint32_t)values[3] };
	return result_or_errno(env, epoll_ctl(values[0], values[1], values[2], &event));
}

static int wait_microseconds(int epoll, struct epoll_event *events, int32_t timeout_us)
{
#ifdef SYS_epoll_pwait2
	if (timeout_us > 0) {
		struct timespec timeout = { .tv_nsec = (long)timeout_us * 1000 };
		long ready = syscall(SYS_epoll_pwait2, epoll, events, MAX_EVENTS, &timeout, NULL, 0);
		if (ready >= 0 || errno != ENOSYS)
			return (int)ready;
	}
#endif
	(void)timeout_us;
	return epoll_wait(epoll, events, MAX_EVENTS, 0);
}

/*
 * reactorWait(epoll, ready, timeoutMicroseconds): how many descriptors are ready; `ready` gets a
 * token and its events for each. Waits at most the time-out (below one second).
 */
static napi_value reactor_wait(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct epoll_event events[MAX_EVENTS];
	int32_t epoll, timeout_us, *ready;
	size_t length;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &epoll) ||
	    !get_words(&arguments, 1, 2 * MAX_EVENTS, &ready, &length) || !get_int(&arguments, 2, &timeout_us))
		return NULL;
	int count = wait_microseconds(epoll, events, timeout_us);
	for (int i = 0; i < count; i++) {
		ready[2 * i] = (int32_t)events[i].data.u32;
		ready[2 * i + 1] = (int32_t)events[i].events;
	}
	return number(env, count < 0 ? 0 : count);
}

void reactor_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "reactorOpen", reactor_open);
	export_function(env, exports, "reactorHold", reactor_hold);
	export_function(env, exports, "reactorWatch", reactor_watch);
	export_function(env, exports, "reactorWait", reactor_wait);
}
