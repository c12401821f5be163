#ifndef VDENS_WIRE_H
#define VDENS_WIRE_H

#include "napi_util.h"

/*
 * The wire behind an interface, by a packet socket (packet(7)) with a virtio-net header before every frame: as a TAP has
 * it, so that super-frames stay whole. Writing is that of a TAP, see tap_write().
 */

/**
 * wire_read() - reads the frames that wait, as many as fit with room for the largest. A tag that the kernel took out is
 * put back.
 * @lost: gets how many frames were there that could not be had
 * Return: how many; 0 when none waits; -errno when there is an error and no frame.
 */
int wire_read(int fd, uint8_t *arena, size_t arena_size, struct frame_slot *slots, size_t capacity, size_t largest,
	      uint32_t *lost);

void wire_init(napi_env env, napi_value exports);

#endif
