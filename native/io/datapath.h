/*
 * The datapath: a thread of its own that moves frames between kernel objects, for all fabrics of the process.
 *
 * What a frame costs then is a few system calls and little memory, which is what counts for the latency of a network
 * that was idle: waking Node.js touches some hundred pages more, and costs as much as two such hops.
 *
 * One lock guards all fabrics; the thread waits without it, and lets others have it between any two descriptors.
 */
#ifndef VDENS_DATAPATH_H
#define VDENS_DATAPATH_H

#include <stdbool.h>
#include <stdint.h>

#include "fabric.h"
#include "watch.h"

#define MAX_MEMBERS 8192
/* How many flows of gateways the process can have. */
#define MAX_FLOW_WATCHES 131072

void datapath_lock(void);
void datapath_unlock(void);

/*
 * The thread is to let others go on before it (SCHED_BATCH, sched(7)): who sends to it then sends more before it looks,
 * and it looks less often. For a process that serves others and has nothing to send itself. To be called before the
 * thread starts.
 */
void datapath_let_others_first(void);

/* Starts the thread when it does not run; 0 or an errno. From here on everything is called with the lock. */
int datapath_start(void);

/* Gives the member a number and a token, and forgets it again; 0 or an errno. */
int datapath_enter(struct member *member);
void datapath_leave(struct member *member);

/* The member with that number; NULL when there is none. */
struct member *datapath_member(uint32_t id);

/* The member with that token; NULL when it is gone. */
struct member *datapath_member_of(uint32_t token);

/* Watches a descriptor for events of epoll, from now on or otherwise than before; 0 or an errno. */
int datapath_watch(struct watch *watch, uint32_t events);
void datapath_unwatch(struct watch *watch);

/* Work that is to be done once. The owner fills in @run. */
struct datapath_task {
	void (*run)(struct datapath_task *task);
	struct datapath_task *next;
	bool is_due;
};

/*
 * Runs the task soon: before JavaScript lets the lock go, or when the thread has served all descriptors that were ready.
 * Or in the thread's next turn, after others had theirs.
 */
void datapath_soon(struct datapath_task *task);
void datapath_next_turn(struct datapath_task *task);
void datapath_cancel(struct datapath_task *task);

/* Frames wait, or a member is held: the thread is to look at them at that time. */
void datapath_look_at(int64_t time_ms);

#endif
