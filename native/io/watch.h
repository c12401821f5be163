/*
 * A descriptor that the datapath (datapath.h) waits for, and who serves it.
 */
#ifndef VDENS_WATCH_H
#define VDENS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct receive_room;

/**
 * struct watch - one descriptor. The owner fills in @fd and @serve.
 * @fd: the descriptor; stays open until datapath_unwatch()
 * @serve: called with the lock, the events (of epoll) that are ready, and room to receive into
 * @place: its number among all watches
 * @generation: tells it from those that @place stood for before
 * @events: what it is watched for
 * @is_active: whether the datapath has it
 */
struct watch {
	int fd;
	void (*serve)(struct watch *watch, uint32_t events, struct receive_room *room);
	uint32_t place;
	uint32_t generation;
	uint32_t events;
	bool is_active;
};

#endif
