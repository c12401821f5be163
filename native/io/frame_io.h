/*
 * Batches of frames in and out of the kernel: TAP interfaces and connected datagram sockets. Pure system calls;
 * no Node-API.
 */
#ifndef VDENS_FRAME_IO_H
#define VDENS_FRAME_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slot.h"

/* A 64 KiB IP packet, Ethernet header, two VLAN tags, rounded up (MAX_FRAME_BYTES in batch.ts). */
#define MAX_FRAME_BYTES 65600
/* How many datagrams one system call moves. */
#define MAX_DATAGRAMS 64
/* An Ethernet header; a shorter frame is none. */
#define MIN_FRAME_BYTES 14
/* The length of a slot whose frame did not fit. */
#define FRAME_TOO_LONG UINT32_MAX

/* What became of the frames given to tap_write(). */
struct tap_written {
	uint32_t refused;
	int last_errno;
	/* How many of them were in super-frames that the kernel called invalid. */
	uint32_t super_refused;
	/* Frames shorter than an Ethernet header, not among those refused. */
	uint32_t too_short;
	/* Frames longer than any frame is; the kernel would take them. */
	uint32_t too_long;
	/* Bytes of everything that was not written. */
	uint32_t lost_bytes;
};

/**
 * tap_read() - reads the frames that wait, as many as fit with room for the largest.
 * Return: how many; 0 when none waits; -errno when there is an error and no frame.
 */
int tap_read(int fd, uint8_t *arena, size_t arena_size, struct frame_slot *slots, size_t capacity, size_t largest);

/**
 * tap_write() - writes all frames; consecutive TCP segments as one super-frame when @join is not 0.
 */
void tap_write(int fd, const uint8_t *arena, size_t arena_size, const struct frame_slot *slots, uint32_t count,
	       int join, struct tap_written *written);

/**
 * datagrams_receive() - receives the datagrams that wait, one frame each, frame i at i * @stride.
 * Return: how many; 0 when none waits; -errno.
 */
int datagrams_receive(int fd, uint8_t *arena, size_t arena_size, struct frame_slot *slots, size_t capacity,
		      size_t stride);

/**
 * datagrams_send() - sends one datagram per frame.
 * Return: how many left, fewer than @count when there is no more room; -errno when not even the first could.
 */
int datagrams_send(int fd, const uint8_t *arena, const struct frame_slot *slots, uint32_t count);

#endif
