/*
 * A capture ring: memory that processes share (a memfd), into which those that move frames write complete blocks of a
 * capture file (pcapng, draft-ietf-opsawg-pcapng), and from which one that writes the file takes them.
 *
 *   ┌ header ┬───────────── data ─────────────┐
 *   │        │   free   │read   blocks   write│
 *   └────────┴────────────────────────────────┘
 *
 * Positions are bytes since the ring was made; where in the data that is, is what remains of a division. The data is
 * mapped twice, one copy behind the other, so that no block is in two pieces. A *stream* that is full takes no more
 * blocks until the reader has taken some; a *recorder* forgets its oldest.
 *
 * Whoever has the ring may write what it likes into it: nothing there is believed that memory depends on. No Node-API.
 */
#ifndef VDENS_CAPTURE_RING_H
#define VDENS_CAPTURE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPTURE_MAGIC 0x50414356 /* "VCAP" on a little-endian machine */
#define CAPTURE_VERSION 1
/* Bytes before the data. */
#define CAPTURE_HEADER_BYTES 16384
/* How many interfaces a capture can have. */
#define MAX_CAPTURE_INTERFACES 512
#define MIN_CAPTURE_BYTES (256 * 1024)
#define MAX_CAPTURE_BYTES (1024 * 1024 * 1024)
/* What frames leave free in a stream, for blocks that say what an interface is. */
#define CAPTURE_RESERVE_BYTES (64 * 1024)
/* The shortest block: type, length, length again. */
#define MIN_BLOCK_BYTES 12

enum capture_mode {
	CAPTURE_STREAM,
	CAPTURE_RECORDER,
};

/**
 * struct capture_counts - what became of the frames of one interface.
 * @recorded: are in the ring, or were
 * @left_out: found no room
 */
struct capture_counts {
	_Atomic uint64_t recorded;
	_Atomic uint64_t left_out;
};

/**
 * struct capture_header - what the processes share, besides the data.
 * @lock: the process that writes a block right now, by its number; 0 when none does
 * @write: where the next block begins
 * @wake_at: the reader is to be woken when so many bytes wait for it; 0 when it comes by itself
 * @read: where the oldest block begins
 * @interfaces: by their numbers in the capture
 */
struct capture_header {
	uint32_t magic;
	uint32_t version;
	uint32_t mode;
	uint32_t unused;
	_Alignas(64) _Atomic uint32_t lock;
	_Atomic uint64_t write;
	_Alignas(64) _Atomic uint32_t wake_at;
	_Atomic uint64_t read;
	_Alignas(64) struct capture_counts interfaces[MAX_CAPTURE_INTERFACES];
};

_Static_assert(sizeof(struct capture_header) <= CAPTURE_HEADER_BYTES, "the header has room");

/**
 * struct capture_ring - a ring, as this process has it.
 * @header: in the shared memory
 * @data: in it, too; twice
 * @size: bytes of data
 * @is_recorder: the oldest blocks make room
 * @own: the number of this process
 * @notice: an eventfd that wakes the reader; the ring's own
 * @stuck_at: where a block was to be written while the lock was somebody else's
 * @stuck_since_ms: since when
 */
struct capture_ring {
	struct capture_header *header;
	uint8_t *data;
	size_t size;
	bool is_recorder;
	uint32_t own;
	int notice;
	uint64_t stuck_at;
	int64_t stuck_since_ms;
};

/* Makes the memory of a ring with so many bytes of data, rounded up to whole pages; its descriptor, or -errno. */
int capture_ring_make(size_t size, enum capture_mode mode);

/* Maps a ring; 0 or an errno. @notice may be -1; it and @memory stay the caller's. */
int capture_ring_open(struct capture_ring *ring, int memory, int notice);
void capture_ring_close(struct capture_ring *ring);

/*
 * Gets room for a block: where it goes, or NULL when there is none, or others write for too long. Until
 * capture_ring_commit() nobody else writes. A stream keeps @reserve bytes free.
 */
uint8_t *capture_ring_begin(struct capture_ring *ring, size_t length, size_t reserve);

/* The block is complete. */
void capture_ring_commit(struct capture_ring *ring, size_t length);

/* Wakes the reader when it wants that; once for several blocks is enough. */
void capture_ring_wake(struct capture_ring *ring);

/* The reader: how many bytes wait from capture_ring_position() on. */
size_t capture_ring_waiting(const struct capture_ring *ring);
uint64_t capture_ring_position(const struct capture_ring *ring);

/**
 * struct capture_extent - what is in a ring at one moment.
 * @start: where the oldest block begins
 * @end: where the next one will
 */
struct capture_extent {
	uint64_t start;
	uint64_t end;
};

/* Whether what is there can be in the ring at all; somebody wrote nonsense when it cannot. */
bool capture_ring_look(const struct capture_ring *ring, struct capture_extent *extent);

/* The reader has taken so many bytes. */
void capture_ring_consume(struct capture_ring *ring, size_t length);

/* The reader wants to be woken when so many bytes wait, 0 for not at all; whether they do already. */
bool capture_ring_await(struct capture_ring *ring, uint32_t bytes);

/**
 * struct capture_copy - whole blocks that were copied from a recorder.
 * @length: bytes
 * @next: the position after them
 */
struct capture_copy {
	size_t length;
	uint64_t next;
};

/*
 * Copies whole blocks from a position on, or from the oldest that is left; as many as fit. Blocks that others wrote over
 * meanwhile are left out; those behind them are there.
 */
struct capture_copy capture_ring_copy(const struct capture_ring *ring, uint64_t from, uint64_t end, uint8_t *room,
				      size_t size);

#endif
