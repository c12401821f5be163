#define _GNU_SOURCE
#include "datapath.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hot.h"

#define MAX_EVENTS 64
/* A member has one at most, an underlay two, a flow of a gateway one. */
#define MAX_WATCHES (2 * MAX_MEMBERS + MAX_FLOW_WATCHES)
/* The token of the eventfd that wakes the thread. */
#define KICK UINT64_MAX

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Whoever is next for the lock waits with this one, so that the thread cannot take it again and again meanwhile. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static struct member *members[MAX_MEMBERS];
static uint32_t member_places; /* how many places of `members` were ever in use */
static struct watch *watches[MAX_WATCHES];
static uint32_t watch_places; /* how many places of `watches` were ever in use */
static uint32_t free_places[MAX_WATCHES]; /* those of them that are not now */
static uint32_t free_count;
static uint32_t generations;
static uint32_t serials;
static struct receive_room room;
static int epoll = -1;
static bool lets_others_first;
static int kick = -1;
/* When the thread looks at what waits, at the latest; INT64_MAX when nothing does. */
static int64_t next_check_ms = INT64_MAX;
static bool is_thread_awake;
/* Tasks, in the order in which they were asked for. */
static struct task_list {
	struct datapath_task *first;
	struct datapath_task **end;
} soon = { NULL, &soon.first }, next_turn = { NULL, &next_turn.first };

HOT void datapath_lock(void)
{
	pthread_mutex_lock(&turn);
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&turn);
}

static void add_task(struct task_list *list, struct datapath_task *task)
{
	if (task->is_due)
		return;
	task->is_due = true;
	task->next = NULL;
	*list->end = task;
	list->end = &task->next;
}

static struct datapath_task *take_task(struct task_list *list)
{
	struct datapath_task *task = list->first;

	if (task == NULL)
		return NULL;
	list->first = task->next;
	if (list->first == NULL)
		list->end = &list->first;
	task->is_due = false;
	return task;
}

static void remove_task(struct task_list *list, struct datapath_task *task)
{
	struct datapath_task **link = &list->first;

	while (*link != NULL && *link != task)
		link = &(*link)->next;
	if (*link == NULL)
		return;
	*link = task->next;
	if (*link == NULL)
		list->end = link;
	task->is_due = false;
}

HOT static void run_tasks(struct task_list *list)
{
	struct datapath_task *task;

	while ((task = take_task(list)) != NULL)
		task->run(task);
}

void datapath_soon(struct datapath_task *task)
{
	add_task(&soon, task);
}

void datapath_next_turn(struct datapath_task *task)
{
	add_task(&next_turn, task);
	if (!is_thread_awake)
		eventfd_write(kick, 1);
}

void datapath_cancel(struct datapath_task *task)
{
	remove_task(&soon, task);
	remove_task(&next_turn, task);
}

HOT void datapath_unlock(void)
{
	run_tasks(&soon);
	pthread_mutex_unlock(&lock);
}

/* The thread lets others have the lock between two descriptors; what is to be done is done when all were served. */
HOT static void yield_lock(void)
{
	pthread_mutex_unlock(&lock);
}

HOT struct member *datapath_member(uint32_t id)
{
	return id < MAX_MEMBERS ? members[id] : NULL;
}

HOT struct member *datapath_member_of(uint32_t token)
{
	struct member *member = members[token % MAX_MEMBERS];

	return member != NULL && member->token == token ? member : NULL;
}

int datapath_enter(struct member *member)
{
	uint32_t id = 0;

	while (id < MAX_MEMBERS && members[id] != NULL)
		id++;
	if (id == MAX_MEMBERS)
		return ENOSPC;
	member->id = id;
	/* The number, and as many bits of a count as there is room for; the last is PORT_UNKNOWN's. */
	serials = (serials + 1) % (PORT_UNKNOWN / MAX_MEMBERS);
	member->token = serials * MAX_MEMBERS + id;
	members[id] = member;
	if (member_places <= id)
		member_places = id + 1;
	return 0;
}

void datapath_leave(struct member *member)
{
	members[member->id] = NULL;
}

static bool find_place(struct watch *watch)
{
	if (free_count == 0 && watch_places == MAX_WATCHES)
		return false;
	watch->place = free_count > 0 ? free_places[--free_count] : watch_places++;
	/* What the thread was told of a descriptor that was here before is not about this one. */
	watch->generation = ++generations;
	return true;
}

HOT int datapath_watch(struct watch *watch, uint32_t events)
{
	const int operation = watch->is_active ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (!watch->is_active && !find_place(watch))
		return ENOSPC;
	struct epoll_event event = { .events = events,
				     .data.u64 = (uint64_t)watch->generation << 32 | watch->place };
	if (epoll_ctl(epoll, operation, watch->fd, &event) != 0) {
		if (!watch->is_active)
			free_places[free_count++] = watch->place;
		return errno;
	}
	watches[watch->place] = watch;
	watch->is_active = true;
	watch->events = events;
	return 0;
}

void datapath_unwatch(struct watch *watch)
{
	if (!watch->is_active)
		return;
	epoll_ctl(epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	watches[watch->place] = NULL;
	free_places[free_count++] = watch->place;
	watch->is_active = false;
	watch->events = 0;
}

void datapath_look_at(int64_t time_ms)
{
	if (time_ms >= next_check_ms)
		return;
	next_check_ms = time_ms;
	if (!is_thread_awake)
		eventfd_write(kick, 1);
}

static void check_waits(int64_t now_ms)
{
	next_check_ms = INT64_MAX;
	for (uint32_t id = 0; id < member_places; id++) {
		/* Each fabric once: by the first of its members. */
		if (members[id] == NULL || members[id]->place != 0)
			continue;
		int64_t next = fabric_check_waits(members[id]->fabric, now_ms);
		if (next < next_check_ms)
			next_check_ms = next;
	}
}

HOT static void serve_event(const struct epoll_event *event)
{
	eventfd_t ignored;

	if (event->data.u64 == KICK) {
		eventfd_read(kick, &ignored);
		return;
	}
	struct watch *watch = watches[(uint32_t)event->data.u64];
	if (watch != NULL && watch->generation == (uint32_t)(event->data.u64 >> 32))
		watch->serve(watch, event->events, &room);
}

/* Runs the tasks of this turn; what they ask for is for the next one. */
static void run_turn(void)
{
	struct datapath_task *task = next_turn.first;

	next_turn.first = NULL;
	next_turn.end = &next_turn.first;
	while (task != NULL) {
		struct datapath_task *next = task->next;
		task->is_due = false;
		task->run(task);
		task = next;
	}
}

/* How long to wait for events at most; -1 for ever. */
HOT static int timeout_ms(void)
{
	const int64_t now_ms = next_check_ms == INT64_MAX ? 0 : port_now_ms();

	if (next_check_ms != INT64_MAX && now_ms >= next_check_ms)
		check_waits(now_ms);
	if (next_turn.first != NULL)
		return 0;
	if (next_check_ms == INT64_MAX)
		return -1;
	/* The clock is coarse: a moment later is soon enough, earlier would be for nothing. */
	return next_check_ms <= now_ms ? 1 : (int)(next_check_ms - now_ms) + 1;
}

void datapath_let_others_first(void)
{
	lets_others_first = true;
}

HOT static void *serve(void *unused)
{
	struct epoll_event events[MAX_EVENTS];
	int timeout = -1;

	(void)unused;
	/* A kernel that does not let us goes on as usual. */
	if (lets_others_first)
		sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 });
	for (;;) {
		int count = epoll_wait(epoll, events, MAX_EVENTS, timeout);
		for (int i = 0; i < count || i == 0; i++) {
			datapath_lock();
			is_thread_awake = true;
			if (i < count)
				serve_event(&events[i]);
			if (i + 1 < count) {
				yield_lock();
				continue;
			}
			if (next_turn.first != NULL)
				run_turn();
			run_tasks(&soon);
			timeout = timeout_ms();
			is_thread_awake = false;
			datapath_unlock();
		}
	}
	return NULL;
}

static int prepare_thread(void)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = KICK };

	epoll = epoll_create1(EPOLL_CLOEXEC);
	kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (epoll < 0 || kick < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, kick, &event) != 0)
		return errno;
	return receive_room_prepare(&room) ? 0 : ENOMEM;
}

/* Runs the thread with all signals blocked: they are for Node.js. */
static int run_thread(void)
{
	pthread_t thread;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&thread, NULL, serve, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error == 0 ? pthread_detach(thread) : error;
}

int datapath_start(void)
{
	static bool is_running;

	if (is_running)
		return 0;
	int error = prepare_thread();
	if (error == 0)
		error = run_thread();
	is_running = error == 0;
	if (error != 0 && epoll >= 0)
		close(epoll);
	if (error != 0 && kick >= 0)
		close(kick);
	return error;
}
