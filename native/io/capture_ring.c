#define _GNU_SOURCE
#include "capture_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hot.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define PAGE 4096
/* How often the lock is tried, at once and after others had their turn. A block takes microseconds. */
#define SPINS 100
#define YIELDS 20
/* A lock that is held for so long while nothing is written belongs to nobody who is there. */
#define STUCK_MS 1000
/* No ring gets so far, and JavaScript cannot count further. */
#define MAX_POSITION (UINT64_C(1) << 53)

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int fill_in(int fd, size_t size, enum capture_mode mode)
{
	const struct capture_header header = { .magic = CAPTURE_MAGIC, .version = CAPTURE_VERSION, .mode = mode };

	if (ftruncate(fd, (off_t)(CAPTURE_HEADER_BYTES + size)) != 0 || fcntl(fd, F_ADD_SEALS, SEALS) != 0 ||
	    pwrite(fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
		return errno;
	return 0;
}

int capture_ring_make(size_t size, enum capture_mode mode)
{
	if (size < MIN_CAPTURE_BYTES || size > MAX_CAPTURE_BYTES)
		return -EINVAL;
	int fd = memfd_create("vdens-capture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	const int error = fill_in(fd, (size + PAGE - 1) / PAGE * PAGE, mode);
	if (error == 0)
		return fd;
	close(fd);
	return -error;
}

/* The data behind the header, and again behind itself. */
static void *map_twice(int fd, size_t size)
{
	uint8_t *room = mmap(NULL, CAPTURE_HEADER_BYTES + 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		return NULL;
	const int access = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_FIXED;
	if (mmap(room, CAPTURE_HEADER_BYTES + size, access, flags, fd, 0) != MAP_FAILED &&
	    mmap(room + CAPTURE_HEADER_BYTES + size, size, access, flags, fd, CAPTURE_HEADER_BYTES) != MAP_FAILED)
		return room;
	munmap(room, CAPTURE_HEADER_BYTES + 2 * size);
	return NULL;
}

static int set_nonblocking(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? flags : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int capture_ring_open(struct capture_ring *ring, int memory, int notice)
{
	struct stat status;
	const int seals = fcntl(memory, F_GET_SEALS);

	/* Memory that shrinks kills who touches what was cut off. */
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(memory, &status) != 0)
		return EINVAL;
	const off_t size = status.st_size - CAPTURE_HEADER_BYTES;
	if (size < MIN_CAPTURE_BYTES || size > MAX_CAPTURE_BYTES || size % PAGE != 0)
		return EINVAL;
	*ring = (struct capture_ring){ .size = (size_t)size, .notice = -1, .own = (uint32_t)getpid() };
	ring->header = map_twice(memory, ring->size);
	if (ring->header == NULL)
		return ENOMEM;
	ring->data = (uint8_t *)ring->header + CAPTURE_HEADER_BYTES;
	ring->is_recorder = ring->header->mode == CAPTURE_RECORDER;
	int error = ring->header->magic != CAPTURE_MAGIC || ring->header->version != CAPTURE_VERSION ? EINVAL : 0;
	if (error == 0 && notice >= 0) {
		ring->notice = fcntl(notice, F_DUPFD_CLOEXEC, 0);
		/* Whoever moves frames wakes the reader, and must not wait for what it was given in place of an eventfd. */
		error = ring->notice < 0 || set_nonblocking(ring->notice) != 0 ? errno : 0;
	}
	if (error != 0)
		capture_ring_close(ring);
	return error;
}

void capture_ring_close(struct capture_ring *ring)
{
	if (ring->header != NULL)
		munmap(ring->header, CAPTURE_HEADER_BYTES + 2 * ring->size);
	if (ring->notice >= 0)
		close(ring->notice);
	*ring = (struct capture_ring){ .notice = -1 };
}

/* Takes the lock of a process that died with it, or has made nothing of it for long. */
static void free_stuck_lock(struct capture_ring *ring, uint32_t holder)
{
	const uint64_t at = atomic_load(&ring->header->write);
	const int64_t now = now_ms();

	if (ring->stuck_since_ms == 0 || ring->stuck_at != at) {
		ring->stuck_at = at;
		ring->stuck_since_ms = now;
	}
	const bool is_dead = (pid_t)holder <= 0 || (kill((pid_t)holder, 0) != 0 && errno == ESRCH);
	if (is_dead || now - ring->stuck_since_ms > STUCK_MS)
		atomic_compare_exchange_strong(&ring->header->lock, &holder, 0);
}

HOT static bool take_lock(struct capture_ring *ring)
{
	uint32_t holder = 0;

	for (int i = 0; i < SPINS + YIELDS; i++, holder = 0) {
		if (atomic_compare_exchange_strong_explicit(&ring->header->lock, &holder, ring->own, memory_order_acquire,
							    memory_order_relaxed)) {
			ring->stuck_since_ms = 0;
			return true;
		}
		if (i >= SPINS)
			sched_yield();
	}
	free_stuck_lock(ring, atomic_load(&ring->header->lock));
	return false;
}

static void give_lock(struct capture_ring *ring)
{
	atomic_store_explicit(&ring->header->lock, 0, memory_order_release);
}

/* How much is in use between two positions; everything when they contradict each other. */
HOT static size_t used_between(const struct capture_ring *ring, uint64_t read, uint64_t write)
{
	const uint64_t used = write - read;

	return used > ring->size ? ring->size : (size_t)used;
}

/* The length of the block at a position; 0 when there is none of @most bytes. */
HOT static size_t block_length(const struct capture_ring *ring, uint64_t position, size_t most)
{
	uint32_t length;

	if (most < MIN_BLOCK_BYTES)
		return 0;
	memcpy(&length, ring->data + position % ring->size + 4, sizeof length);
	return length < MIN_BLOCK_BYTES || length % 4 != 0 || length > most ? 0 : length;
}

/* Forgets the oldest blocks until so many bytes are free. */
HOT static void make_room(struct capture_ring *ring, uint64_t write, size_t length)
{
	uint64_t read = atomic_load_explicit(&ring->header->read, memory_order_relaxed);
	size_t used = used_between(ring, read, write);

	if (ring->size - used >= length)
		return;
	while (ring->size - used < length) {
		const size_t oldest = block_length(ring, read, used);
		if (oldest == 0) {
			/* Somebody wrote nonsense: nothing there can be told apart any more. */
			read = write;
			break;
		}
		read += oldest;
		used -= oldest;
	}
	/* Known before anything is written over: who copies looks again afterwards. */
	atomic_store_explicit(&ring->header->read, read, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

HOT uint8_t *capture_ring_begin(struct capture_ring *ring, size_t length, size_t reserve)
{
	struct capture_header *header = ring->header;

	if (length > ring->size / 2 || !take_lock(ring))
		return NULL;
	const uint64_t write = atomic_load_explicit(&header->write, memory_order_relaxed) & ~UINT64_C(3);
	if (ring->is_recorder) {
		make_room(ring, write, length);
	} else {
		const uint64_t read = atomic_load_explicit(&header->read, memory_order_acquire);
		if (ring->size - used_between(ring, read, write) < length + reserve) {
			give_lock(ring);
			return NULL;
		}
	}
	return ring->data + write % ring->size;
}

HOT void capture_ring_commit(struct capture_ring *ring, size_t length)
{
	struct capture_header *header = ring->header;
	const uint64_t write = atomic_load_explicit(&header->write, memory_order_relaxed) & ~UINT64_C(3);

	atomic_store_explicit(&header->write, write + length, memory_order_release);
	give_lock(ring);
}

HOT void capture_ring_wake(struct capture_ring *ring)
{
	/* After the block, and before the look: the reader does it the other way round. */
	atomic_thread_fence(memory_order_seq_cst);
	const uint32_t wake_at = atomic_load_explicit(&ring->header->wake_at, memory_order_relaxed);
	if (wake_at == 0 || capture_ring_waiting(ring) < wake_at)
		return;
	if (atomic_exchange(&ring->header->wake_at, 0) != 0 && ring->notice >= 0)
		eventfd_write(ring->notice, 1);
}

HOT size_t capture_ring_waiting(const struct capture_ring *ring)
{
	const uint64_t write = atomic_load_explicit(&ring->header->write, memory_order_acquire);

	return used_between(ring, atomic_load_explicit(&ring->header->read, memory_order_relaxed), write);
}

bool capture_ring_look(const struct capture_ring *ring, struct capture_extent *extent)
{
	/* In this order: meanwhile a recorder may forget blocks, but never those that lie before both. */
	extent->end = atomic_load_explicit(&ring->header->write, memory_order_acquire);
	extent->start = capture_ring_position(ring);
	return extent->end < MAX_POSITION && extent->end - extent->start <= ring->size;
}

uint64_t capture_ring_position(const struct capture_ring *ring)
{
	return atomic_load_explicit(&ring->header->read, memory_order_relaxed);
}

void capture_ring_consume(struct capture_ring *ring, size_t length)
{
	atomic_fetch_add_explicit(&ring->header->read, length, memory_order_release);
}

bool capture_ring_await(struct capture_ring *ring, uint32_t bytes)
{
	atomic_store(&ring->header->wake_at, bytes);
	atomic_thread_fence(memory_order_seq_cst);
	return bytes > 0 && capture_ring_waiting(ring) >= bytes;
}

/* How many bytes of whole blocks there are in what was copied, of at most @size. */
static size_t whole_blocks(const uint8_t *blocks, size_t size)
{
	size_t length = 0;

	while (size - length >= MIN_BLOCK_BYTES) {
		uint32_t next;
		memcpy(&next, blocks + length + 4, sizeof next);
		if (next < MIN_BLOCK_BYTES || next % 4 != 0 || next > size - length)
			break;
		length += next;
	}
	return length;
}

struct capture_copy capture_ring_copy(const struct capture_ring *ring, uint64_t from, uint64_t end, uint8_t *room,
				      size_t size)
{
	const uint64_t oldest = capture_ring_position(ring);
	const uint64_t start = from > oldest ? from : oldest;
	const size_t most = start >= end ? 0 : used_between(ring, start, end);
	size_t length = most < size ? most : size;

	memcpy(room, ring->data + start % ring->size, length);
	atomic_thread_fence(memory_order_seq_cst);
	const uint64_t left = capture_ring_position(ring);
	/* What is gone by now may be half of one block and half of another; what lies behind it is as it was. */
	const size_t gone = left <= start ? 0 : left - start < length ? (size_t)(left - start) : length;
	if (gone > 0 && gone == length)
		return (struct capture_copy){ .length = 0, .next = left };
	length -= gone;
	memmove(room, room + gone, length);
	length = whole_blocks(room, length);
	return (struct capture_copy){ .length = length, .next = length == 0 ? end : start + gone + length };
}
