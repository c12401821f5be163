#ifndef VDENS_WIRE_H
#define VDENS_WIRE_H

#include "napi_util.h"

/*
 * The wire behind an interface, by a packet socket (packet(7)) with a virtio-net header before every frame: as a TAP has
 * it, so that super-frames stay whole. Writing is that of a TAP, see tap_write().
 */

/**
 * struct wire_loss - frames that were there and are not had.
 * @unusable: merged in a way for which the header has no words, or too long
 * @overflown: for which the socket had no room, since that was asked last
 */
struct wire_loss {
	uint32_t unusable;
	uint32_t overflown;
};

/**
 * wire_read() - reads the frames that wait, as many as fit with room for the largest. A tag that the kernel took out is
 * put back.
 * @loss: gets what was lost
 * Return: how many; 0 when none waits; -errno when there is an error and no frame.
 */
int wire_read(int fd, uint8_t *arena, size_t arena_size, struct frame_slot *slots, size_t capacity, size_t largest,
	      struct wire_loss *loss);

void wire_init(napi_env env, napi_value exports);

#endif
