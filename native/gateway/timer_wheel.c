#include "timer_wheel.h"

#include <stddef.h>
#include <string.h>

#define SLOT_BITS 8
#define SLOT_MASK (WHEEL_SLOTS - 1)
/* The furthest a timer can be set, in ticks. */
#define HORIZON ((int64_t)1 << (SLOT_BITS * WHEELS))

void timer_wheel_prepare(struct timer_wheel *wheel, int64_t now_ms)
{
	memset(wheel, 0, sizeof *wheel);
	wheel->now = now_ms / WHEEL_TICK_MS;
	wheel->ran = wheel->now - 1;
}

static uint32_t slot_of(int64_t tick, int level)
{
	return (uint32_t)(tick >> (SLOT_BITS * level)) & SLOT_MASK;
}

static void insert(struct timer_wheel *wheel, struct timer *timer)
{
	int64_t tick = timer->tick;
	int level = 0;

	if (tick - wheel->now >= HORIZON)
		tick = wheel->now + HORIZON - 1;
	while (level + 1 < WHEELS && (tick - wheel->now) >> (SLOT_BITS * (level + 1)) != 0)
		level++;
	const uint32_t slot = slot_of(tick, level);
	struct timer **head = &wheel->slots[level][slot];
	timer->next = *head;
	timer->link = head;
	if (timer->next != NULL)
		timer->next->link = &timer->next;
	*head = timer;
	wheel->busy[level][slot / 64] |= (uint64_t)1 << slot % 64;
}

void timer_stop(struct timer *timer)
{
	if (timer->link == NULL)
		return;
	*timer->link = timer->next;
	if (timer->next != NULL)
		timer->next->link = timer->link;
	timer->link = NULL;
}

void timer_set(struct timer_wheel *wheel, struct timer *timer, int64_t due_ms)
{
	const int64_t least = wheel->now > wheel->ran ? wheel->now : wheel->ran + 1;
	const int64_t tick = (due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;

	timer_stop(timer);
	timer->due_ms = due_ms;
	timer->tick = tick > least ? tick : least;
	insert(wheel, timer);
}

static void clear_slot(struct timer_wheel *wheel, int level, uint32_t slot)
{
	wheel->busy[level][slot / 64] &= ~((uint64_t)1 << slot % 64);
}

/* How many slots behind @from the next one is that may have timers, from @least to WHEEL_SLOTS; 0 when none may. */
static uint32_t next_busy(const struct timer_wheel *wheel, int level, uint32_t from, uint32_t least)
{
	for (uint32_t distance = least; distance <= WHEEL_SLOTS; distance++) {
		const uint32_t slot = (from + distance) & SLOT_MASK;
		const uint64_t rest = wheel->busy[level][slot / 64] >> slot % 64;
		if (rest == 0)
			distance += 63 - slot % 64;
		else
			return distance + (uint32_t)__builtin_ctzll(rest);
	}
	return 0;
}

/* Sorts the timers of a coarser wheel's present slot into finer ones. */
static void cascade(struct timer_wheel *wheel, int level)
{
	const uint32_t slot = slot_of(wheel->now, level);

	if (level + 1 < WHEELS && slot == 0)
		cascade(wheel, level + 1);
	struct timer *list = wheel->slots[level][slot];
	wheel->slots[level][slot] = NULL;
	clear_slot(wheel, level, slot);
	while (list != NULL) {
		struct timer *timer = list;
		list = timer->next;
		insert(wheel, timer);
	}
}

/* Goes to the next tick at which there is something to do, no further than @target. */
static void advance(struct timer_wheel *wheel, int64_t target)
{
	const uint32_t slot = slot_of(wheel->now, 0);
	const int64_t block_end = wheel->now - slot + WHEEL_SLOTS;
	const uint32_t distance = next_busy(wheel, 0, slot, 1);
	int64_t next = distance == 0 ? block_end : wheel->now + distance;

	if (next > block_end)
		next = block_end;
	wheel->now = next > target ? target : next;
	if (wheel->now == block_end)
		cascade(wheel, 1);
}

struct timer *timer_wheel_expire(struct timer_wheel *wheel, int64_t now_ms)
{
	const int64_t target = now_ms / WHEEL_TICK_MS;

	if (target > wheel->ran)
		wheel->ran = target;
	while (wheel->now <= target) {
		const uint32_t slot = slot_of(wheel->now, 0);
		struct timer *timer = wheel->slots[0][slot];
		if (timer != NULL) {
			timer_stop(timer);
			return timer;
		}
		clear_slot(wheel, 0, slot);
		if (wheel->now == target)
			return NULL;
		advance(wheel, target);
	}
	return NULL;
}

int64_t timer_wheel_next_ms(const struct timer_wheel *wheel)
{
	int64_t earliest = INT64_MAX;

	for (int level = 0; level < WHEELS; level++) {
		const int64_t turn = wheel->now >> (SLOT_BITS * level);
		const uint32_t least = level == 0 ? 0 : 1;
		const uint32_t slot = slot_of(wheel->now, level);
		if (level == 0 && wheel->slots[0][slot] != NULL)
			return wheel->now * WHEEL_TICK_MS;
		const uint32_t distance = next_busy(wheel, level, slot, least);
		if (distance == 0)
			continue;
		const int64_t tick = (turn + distance) << (SLOT_BITS * level);
		if (tick < earliest)
			earliest = tick;
	}
	return earliest == INT64_MAX ? INT64_MAX : earliest * WHEEL_TICK_MS;
}
