/*
 * Readiness of many descriptors: one epoll set, in which Node's event loop is one member among others.
 *
 * As long as something is watched, we do the event loop's waiting for it: its `prepare` phase calls
 * JavaScript, which asks `reactorWait` again and again. The wait ends for a watched descriptor, which
 * JavaScript then serves on the spot, without a turn of the loop; or for the loop's own descriptor or
 * timers, and then JavaScript returns and the loop takes its turn.
 *
 *   epoll set ── TAP, sockets …            served at once
 *            └── uv_backend_fd             signals, child processes, node:net …: the loop's turn
 *
 * libuv's header is not needed: the functions below keep their ABI within libuv 1.x, and Node exports
 * them. The handle types have had these numbers in all of 1.x.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "napi_util.h"
#include "reactor.h"

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_handle_s uv_handle_t;
typedef void (*uv_callback)(uv_handle_t *);
extern size_t uv_handle_size(int type);
extern int uv_backend_fd(const uv_loop_t *);
extern int uv_backend_timeout(const uv_loop_t *);
extern void uv_update_time(uv_loop_t *);
extern int uv_prepare_init(uv_loop_t *, uv_handle_t *);
extern int uv_prepare_start(uv_handle_t *, uv_callback);
extern int uv_prepare_stop(uv_handle_t *);
extern int uv_idle_init(uv_loop_t *, uv_handle_t *);
extern int uv_idle_start(uv_handle_t *, uv_callback);
extern int uv_idle_stop(uv_handle_t *);
extern void uv_close(uv_handle_t *, uv_callback);
extern void uv_unref(uv_handle_t *);
extern void uv_handle_set_data(uv_handle_t *, void *);
extern void *uv_handle_get_data(const uv_handle_t *);

#define IDLE_HANDLE 6
#define PREPARE_HANDLE 9

#define MAX_EVENTS 64
/* Stands for the event loop's own descriptor. */
#define LOOP_TOKEN UINT32_MAX
/* In the result of reactorWait: the event loop has something to do. */
#define LOOP_WAITS 0x10000

/* One per environment, for its whole life. */
struct reactor {
	napi_env env;
	napi_ref callback;
	napi_async_context context;
	uv_loop_t *loop;
	uv_handle_t *prepare;
	/* Keeps the loop from waiting itself: its poll phase just looks. */
	uv_handle_t *idle;
	int epoll;
	bool held; /* something is watched */
};

static void call_javascript(struct reactor *reactor)
{
	napi_handle_scope scope;
	napi_value callback, global, result;

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

static void do_nothing(uv_handle_t *idle)
{
	(void)idle;
}

static void on_prepare(uv_handle_t *prepare)
{
	struct reactor *reactor = uv_handle_get_data(prepare);

	/* An active idle handle would make every wait end at once. */
	uv_idle_stop(reactor->idle);
	call_javascript(reactor);
	/* The last watch may have ended meanwhile; then the loop waits for itself again. */
	if (reactor->held)
		uv_idle_start(reactor->idle, do_nothing);
}

static void close_handles(void *data)
{
	struct reactor *reactor = data;
	uv_close(reactor->prepare, NULL);
	uv_close(reactor->idle, NULL);
	close(reactor->epoll);
}

static bool watch_loop(struct reactor *reactor)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = LOOP_TOKEN };
	return epoll_ctl(reactor->epoll, EPOLL_CTL_ADD, uv_backend_fd(reactor->loop), &event) == 0;
}

/* reactorOpen(callback): the epoll descriptor, or -errno. The callback does the event loop's waiting. */
static napi_value reactor_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	napi_value name;

	if (!get_arguments(env, info, 1, &arguments))
		return NULL;
	struct reactor *reactor = calloc(1, sizeof *reactor);
	if (reactor == NULL)
		return number(env, -ENOMEM);
	*reactor = (struct reactor){ .env = env,
				     .epoll = epoll_create1(EPOLL_CLOEXEC),
				     .prepare = calloc(1, uv_handle_size(PREPARE_HANDLE)),
				     .idle = calloc(1, uv_handle_size(IDLE_HANDLE)) };
	if (reactor->epoll < 0)
		return number(env, -errno);
	napi_create_string_utf8(env, "vdens", NAPI_AUTO_LENGTH, &name);
	if (reactor->prepare == NULL || reactor->idle == NULL ||
	    napi_get_uv_event_loop(env, (void *)&reactor->loop) != napi_ok ||
	    napi_async_init(env, NULL, name, &reactor->context) != napi_ok ||
	    napi_create_reference(env, arguments.values[0], 1, &reactor->callback) != napi_ok ||
	    uv_prepare_init(reactor->loop, reactor->prepare) != 0 ||
	    uv_idle_init(reactor->loop, reactor->idle) != 0 || !watch_loop(reactor)) {
		napi_throw_error(env, NULL, "cannot watch descriptors with this version of Node.js");
		return NULL;
	}
	uv_handle_set_data(reactor->prepare, reactor);
	uv_unref(reactor->idle);
	napi_set_instance_data(env, reactor, NULL, NULL);
	napi_add_env_cleanup_hook(env, close_handles, reactor);
	return number(env, reactor->epoll);
}

static struct reactor *get_reactor(napi_env env)
{
	struct reactor *reactor = NULL;
	napi_get_instance_data(env, (void **)&reactor);
	return reactor;
}

/* reactorHold(on): whether anything is watched; while it is, the event loop stays alive. */
static napi_value reactor_hold(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct reactor *reactor = get_reactor(env);
	int32_t hold;

	if (reactor == NULL || !get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &hold))
		return NULL;
	reactor->held = hold != 0;
	if (hold) {
		uv_prepare_start(reactor->prepare, on_prepare);
	} else {
		uv_prepare_stop(reactor->prepare);
		uv_idle_stop(reactor->idle);
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

/*
 * reactorWait(ready): waits as long as the event loop would. `ready` gets a token and its events for each
 * watched descriptor that is ready; the result is their number, plus LOOP_WAITS when the loop is to
 * take its turn.
 */
static napi_value reactor_wait(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct epoll_event events[MAX_EVENTS];
	struct reactor *reactor = get_reactor(env);
	int32_t *ready;
	int32_t result = 0;
	size_t length;

	if (reactor == NULL || !get_arguments(env, info, 1, &arguments) ||
	    !get_words(&arguments, 0, 2 * MAX_EVENTS, &ready, &length))
		return NULL;
	uv_update_time(reactor->loop);
	int timeout_ms = uv_backend_timeout(reactor->loop);
	int count = epoll_wait(reactor->epoll, events, MAX_EVENTS, timeout_ms);
	bool loop_waits = count <= 0 || timeout_ms == 0;
	for (int i = 0; i < count; i++) {
		if (events[i].data.u32 == LOOP_TOKEN) {
			loop_waits = true;
			continue;
		}
		ready[2 * result] = (int32_t)events[i].data.u32;
		ready[2 * result + 1] = (int32_t)events[i].events;
		result++;
	}
	return number(env, loop_waits ? result | LOOP_WAITS : result);
}

void reactor_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "reactorOpen", reactor_open);
	export_function(env, exports, "reactorHold", reactor_hold);
	export_function(env, exports, "reactorWatch", reactor_watch);
	export_function(env, exports, "reactorWait", reactor_wait);
}
