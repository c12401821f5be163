/*
 * Timers of many flows: a hierarchical wheel (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987). To
 * set, move or stop one costs the same however many there are. They run late by up to WHEEL_TICK_MS, never early.
 */
#ifndef VDENS_TIMER_WHEEL_H
#define VDENS_TIMER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHEEL_TICK_MS 8
#define WHEEL_SLOTS 256
/* Wheels turn 8 ms, 2 s and 9 min per slot: 37 hours in all. */
#define WHEELS 3

/* One timer, part of what it is for. All zero: it does not run. */
struct timer {
	struct timer *next;
	struct timer **link; /* what points to it; NULL when it does not run */
	int64_t due_ms;
	int64_t tick; /* when it runs */
};

struct timer_wheel {
	int64_t now; /* in ticks: all before this one have run */
	int64_t ran; /* the last tick up to which timers were to run: those that are set meanwhile are for later */
	uint64_t busy[WHEELS][WHEEL_SLOTS / 64];
	struct timer *slots[WHEELS][WHEEL_SLOTS];
};

void timer_wheel_prepare(struct timer_wheel *wheel, int64_t now_ms);

/* (Re)starts a timer; one whose time is over runs at the next tick. */
void timer_set(struct timer_wheel *wheel, struct timer *timer, int64_t due_ms);
void timer_stop(struct timer *timer);
static inline bool timer_runs(const struct timer *timer)
{
	return timer->link != NULL;
}

/* One timer that is due, stopped; NULL when there is none. To be called until it returns NULL. */
struct timer *timer_wheel_expire(struct timer_wheel *wheel, int64_t now_ms);

/* When to look again, at the latest; INT64_MAX when no timer runs. */
int64_t timer_wheel_next_ms(const struct timer_wheel *wheel);

#endif
