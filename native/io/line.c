#define _GNU_SOURCE
#include "line.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "line_end.h"
#include "hot.h"

#define MAX_LINES 1024
#define MAX_EVENTS 64
/* How long a peer may take nothing before what waits for it is dropped (STALL_MS in sender.ts). */
#define STALL_MS 100

/* Flags of an end, as TypeScript gives them. */
#define END_IS_TAP 1
#define END_TAKES_SUPER 2

struct line {
	struct line_end ends[2];
	uint32_t events[2]; /* what each end is watched for */
	uint32_t generation;
	int notice;    /* an eventfd, readable when an end is gone */
	uint32_t gone; /* bit n: end n is gone for good */
	napi_env env;
	napi_ref counters[2];
};

/* Of the whole process, as the thread is: guarded by the lock, except that the thread waits without it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct line *lines[MAX_LINES];
static uint32_t line_places; /* how many places of `lines` were ever in use */
static uint32_t generations;
static int epoll = -1;

/* Which end of which line an event is about; the generation tells a line from one that had its place. */
static uint64_t token_of(const struct line *line, uint32_t index, uint32_t end)
{
	return (uint64_t)line->generation << 32 | index << 1 | end;
}

HOT static void watch(struct line *line, uint32_t index, uint32_t end, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u64 = token_of(line, index, end) };

	if (line->events[end] == events)
		return;
	line->events[end] = events;
	epoll_ctl(epoll, EPOLL_CTL_MOD, line->ends[end].fd, &event);
}

/* While frames wait for one end, the other is not read: then they wait in the kernel, where senders notice. */
HOT static void balance(struct line *line, uint32_t index, uint32_t end)
{
	bool busy = line_end_is_busy(&line->ends[end]);
	watch(line, index, end, busy ? line->events[end] | EPOLLOUT : line->events[end] & ~(uint32_t)EPOLLOUT);
	watch(line, index, !end, busy ? line->events[!end] & ~(uint32_t)EPOLLIN : line->events[!end] | EPOLLIN);
}

/* Tells JavaScript, which closes the line, that an end is gone for good. */
static void report_gone(struct line *line, uint32_t end)
{
	if (line->gone & 1U << end)
		return;
	line->gone |= 1U << end;
	epoll_ctl(epoll, EPOLL_CTL_DEL, line->ends[end].fd, NULL);
	eventfd_write(line->notice, 1);
}

/* What a connected unix socket says when the socket at the other end was closed, or connected elsewhere. */
static bool means_gone(const struct line_end *end, int result)
{
	return !end->is_tap && (result == -ECONNRESET || result == -ECONNREFUSED || result == -ENOTCONN);
}

HOT static void serve(struct line *line, uint32_t index, uint32_t end, uint32_t events)
{
	struct line_end *here = &line->ends[end];
	struct line_end *there = &line->ends[!end];
	const double here_down = here->sent[DROP_DOWN];
	const double there_down = there->sent[DROP_DOWN];

	if (events & EPOLLOUT) {
		line_end_flush(here);
		balance(line, index, end);
	}
	/* Receiving also fetches, and so forgets, a pending error of a socket. */
	if (events & (EPOLLIN | EPOLLERR) && !line_end_is_busy(there)) {
		int count = line_end_receive(here);
		if (count > 0) {
			line_end_send(there, here, (uint32_t)count);
			balance(line, index, !end);
		} else if (means_gone(here, count)) {
			report_gone(line, end);
		}
	}
	/* A datagram socket whose peer was closed keeps silent until something is sent. */
	if (!here->is_tap && here->sent[DROP_DOWN] > here_down)
		report_gone(line, end);
	if (!there->is_tap && there->sent[DROP_DOWN] > there_down)
		report_gone(line, !end);
	if ((events & EPOLLHUP) || ((events & EPOLLERR) && here->is_tap))
		report_gone(line, end);
}

/* Drops what peers did not take in time; returns how long to wait at most for the next look, -1 for ever. */
static int drop_stalled(void)
{
	int64_t now = line_now_ms();
	int timeout_ms = -1;

	for (uint32_t index = 0; index < line_places; index++) {
		for (uint32_t end = 0; lines[index] != NULL && end < 2; end++) {
			struct line_end *here = &lines[index]->ends[end];
			if (!line_end_is_busy(here))
				continue;
			timeout_ms = STALL_MS;
			if (now - here->progress_ms < STALL_MS)
				continue;
			line_end_drop(here);
			balance(lines[index], index, end);
		}
	}
	return timeout_ms;
}

HOT static void *serve_lines(void *unused)
{
	struct epoll_event events[MAX_EVENTS];
	int timeout_ms = -1;
	bool any_busy = false;

	(void)unused;
	for (;;) {
		int count = epoll_wait(epoll, events, MAX_EVENTS, timeout_ms);
		pthread_mutex_lock(&lock);
		for (int i = 0; i < count; i++) {
			uint32_t place = (uint32_t)events[i].data.u64;
			struct line *line = lines[place >> 1];
			if (line == NULL || line->generation != (uint32_t)(events[i].data.u64 >> 32))
				continue;
			serve(line, place >> 1, place & 1, events[i].events);
			any_busy = any_busy || line->events[0] & EPOLLOUT || line->events[1] & EPOLLOUT;
		}
		if (any_busy) {
			timeout_ms = drop_stalled();
			any_busy = timeout_ms >= 0;
		}
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

/* Starts the thread with all signals blocked: they are for Node.js. 0 or an errno. */
static int start_thread(void)
{
	pthread_t thread;
	sigset_t all, before;

	if (epoll >= 0)
		return 0;
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		return errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&thread, NULL, serve_lines, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0) {
		close(epoll);
		epoll = -1;
		return error;
	}
	return pthread_detach(thread);
}

static void free_line(napi_env env, struct line *line)
{
	for (int i = 0; i < 2; i++) {
		line_end_release(&line->ends[i]);
		if (line->counters[i] != NULL)
			napi_delete_reference(env, line->counters[i]);
	}
	if (line->notice >= 0)
		close(line->notice);
	free(line);
}

/* Reads descriptor, flags, longest frame and counters of one end from four arguments. */
static bool get_end(const struct arguments *arguments, size_t first, struct line *line, uint32_t index)
{
	struct line_end *end = &line->ends[index];
	int32_t flags, max_frame;
	napi_typedarray_type type;
	size_t length;
	void *data;
	napi_value counters = arguments->values[first + 3];

	if (!get_int(arguments, first, &end->fd) || !get_int(arguments, first + 1, &flags) ||
	    !get_int(arguments, first + 2, &max_frame))
		return false;
	if (napi_get_typedarray_info(arguments->env, counters, &type, &length, &data, NULL, NULL) != napi_ok ||
	    type != napi_float64_array || length < 2 * COUNTERS_PER_DIRECTION) {
		napi_throw_type_error(arguments->env, NULL, "expected the counters of a plug");
		return false;
	}
	napi_create_reference(arguments->env, counters, 1, &line->counters[index]);
	end->is_tap = (flags & END_IS_TAP) != 0;
	end->takes_super = (flags & END_TAKES_SUPER) != 0;
	end->max_frame = (uint32_t)max_frame;
	end->received = data;
	end->sent = end->received + COUNTERS_PER_DIRECTION;
	return line_end_prepare(end);
}

/* Gives the line a place and has it served; 0 or an errno. */
static int add_line(struct line *line, uint32_t *index)
{
	int error = start_thread();

	for (*index = 0; *index < MAX_LINES && lines[*index] != NULL; ++*index)
		;
	if (error == 0 && *index == MAX_LINES)
		error = ENOSPC;
	line->generation = ++generations;
	for (uint32_t end = 0; error == 0 && end < 2; end++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u64 = token_of(line, *index, end) };
		line->events[end] = EPOLLIN;
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, line->ends[end].fd, &event) != 0) {
			error = errno;
			if (end == 1)
				epoll_ctl(epoll, EPOLL_CTL_DEL, line->ends[0].fd, NULL);
		}
	}
	if (error != 0)
		return error;
	lines[*index] = line;
	if (line_places <= *index)
		line_places = *index + 1;
	return 0;
}

/*
 * lineOpen(fd, flags, maxFrameBytes, counters, and the same of the other end): a number for the line, or
 * -errno. From now on the descriptors are served here; they have to stay open until lineClose.
 */
static napi_value line_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	uint32_t index;

	if (!get_arguments(env, info, 8, &arguments))
		return NULL;
	struct line *line = calloc(1, sizeof *line);
	if (line == NULL)
		return number(env, -ENOMEM);
	line->env = env;
	line->notice = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (line->notice < 0) {
		int error = errno;
		free_line(env, line);
		return number(env, -error);
	}
	if (!get_end(&arguments, 0, line, 0) || !get_end(&arguments, 4, line, 1)) {
		free_line(env, line);
		return number(env, -ENOMEM);
	}
	pthread_mutex_lock(&lock);
	int error = add_line(line, &index);
	pthread_mutex_unlock(&lock);
	if (error != 0) {
		free_line(env, line);
		return number(env, -error);
	}
	return number(env, index);
}

/* The line of that number, or NULL; to be called with the lock. */
static struct line *find_line(int32_t index)
{
	return index >= 0 && index < MAX_LINES ? lines[index] : NULL;
}

/* lineNotice(line): a descriptor that is readable when an end is gone for good; it goes with the line. */
static napi_value line_notice(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t index;

	if (!get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &index))
		return NULL;
	pthread_mutex_lock(&lock);
	const struct line *line = find_line(index);
	int notice = line == NULL ? -EINVAL : line->notice;
	pthread_mutex_unlock(&lock);
	return number(env, notice);
}

/* lineGone(line): which ends are gone for good; 1 is the first, 2 the other, 3 both. */
static napi_value line_gone(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t index;

	if (!get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &index))
		return NULL;
	pthread_mutex_lock(&lock);
	const struct line *line = find_line(index);
	uint32_t gone = line == NULL ? 0 : line->gone;
	pthread_mutex_unlock(&lock);
	return number(env, gone);
}

/* Takes the line out of service. */
static struct line *remove_line(uint32_t index)
{
	struct line *line = lines[index];

	lines[index] = NULL;
	for (int end = 0; line != NULL && end < 2; end++) {
		line->ends[end].sent[DROP_DOWN] += line->ends[end].count - line->ends[end].first;
		epoll_ctl(epoll, EPOLL_CTL_DEL, line->ends[end].fd, NULL);
	}
	return line;
}

/* lineClose(line): nothing touches the descriptors afterwards. What still waited is dropped and counted. */
static napi_value line_close(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t index;

	if (!get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &index))
		return NULL;
	pthread_mutex_lock(&lock);
	struct line *line = index >= 0 && index < MAX_LINES ? remove_line((uint32_t)index) : NULL;
	pthread_mutex_unlock(&lock);
	if (line != NULL)
		free_line(env, line);
	return NULL;
}

/* A worker thread of Node.js ends: its counters go, so its lines have to. */
static void close_lines_of(void *env)
{
	pthread_mutex_lock(&lock);
	for (uint32_t index = 0; index < MAX_LINES; index++) {
		if (lines[index] != NULL && lines[index]->env == env)
			free_line(env, remove_line(index));
	}
	pthread_mutex_unlock(&lock);
}

void line_init(napi_env env, napi_value exports)
{
	napi_add_env_cleanup_hook(env, close_lines_of, env);
	export_function(env, exports, "lineOpen", line_open);
	export_function(env, exports, "lineNotice", line_notice);
	export_function(env, exports, "lineGone", line_gone);
	export_function(env, exports, "lineClose", line_close);
}
