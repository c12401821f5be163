/*
 * How many things to ask the kernel for at a time. Asking for more than come costs a system call that finds nothing,
 * on the way of a lone frame: only when as many as asked for came several times in a row, more are asked for.
 */
#ifndef VDENS_BURST_H
#define VDENS_BURST_H

#include <stdint.h>

#define FULL_BURSTS_TO_GROW 4

/* @size: how many to ask for, at least 1; @full: how many times in a row that many came. */
struct burst {
	uint32_t size;
	uint32_t full;
};

/* Takes into account that @count came, at least 1; no more than @most are asked for. */
static inline void burst_adapt(struct burst *burst, uint32_t count, uint32_t most)
{
	if (count < burst->size) {
		burst->size = count > burst->size / 2 ? count : (burst->size + 1) / 2;
		burst->full = 0;
	} else if (++burst->full >= FULL_BURSTS_TO_GROW) {
		burst->size *= 2;
		burst->full = 0;
	}
	if (burst->size > most)
		burst->size = most;
}

#endif
