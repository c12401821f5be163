/*
 * Frames over a byte stream: a 16-bit length, big-endian, then the frame (the framing of vde_plug).
 *
 * A write holds whole frames and at most PIPE_BUF bytes where that is possible: such a write to a pipe
 * is atomic (pipe(7)), so that readers which expect header and frame together find them so.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>

#include "stream.h"

#define MAX_FRAMES_PER_WRITE 64
#define HEADER_BYTES 2

/* Drops the first `skip` bytes of the vectors. */
static void skip_bytes(struct iovec *vectors, int count, size_t skip)
{
	for (int i = 0; i < count && skip > 0; i++) {
		size_t part = skip < vectors[i].iov_len ? skip : vectors[i].iov_len;
		vectors[i].iov_base = (uint8_t *)vectors[i].iov_base + part;
		vectors[i].iov_len -= part;
		skip -= part;
	}
}

/*
 * writeFramed(fd, arena, slots, first, count, progress): writes frames; progress[0] bytes of the first
 * one are already written. On return progress[0] counts those of the first one not finished, and
 * the value is how many frames were finished, or -errno when nothing could be written (an error after the
 * first frame is that of the next call).
 */
static napi_value write_framed(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	struct iovec vectors[2 * MAX_FRAMES_PER_WRITE];
	uint8_t headers[MAX_FRAMES_PER_WRITE][HEADER_BYTES];
	int32_t fd, first, count, *progress;
	size_t length;
	int32_t finished = 0;

	if (!get_arguments(env, info, 6, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_batch(&arguments, 1, &batch) || !get_int(&arguments, 3, &first) || !get_int(&arguments, 4, &count) ||
	    !get_words(&arguments, 5, 1, &progress, &length) || !check_slots(env, &batch, first, count))
		return NULL;
	while (finished < count) {
		size_t total = 0;
		int32_t frames = 0;
		while (finished + frames < count && frames < MAX_FRAMES_PER_WRITE) {
			const struct frame_slot *slot = &batch.slots[first + finished + frames];
			if (frames > 0 && total + HEADER_BYTES + slot->length > PIPE_BUF)
				break;
			headers[frames][0] = (uint8_t)(slot->length >> 8);
			headers[frames][1] = (uint8_t)slot->length;
			vectors[2 * frames] = (struct iovec){ .iov_base = headers[frames], .iov_len = HEADER_BYTES };
			vectors[2 * frames + 1] = (struct iovec){ .iov_base = batch.arena.data + slot->offset,
								  .iov_len = slot->length };
			total += HEADER_BYTES + slot->length;
			frames++;
		}
		skip_bytes(vectors, 2 * frames, (size_t)progress[0]);
		ssize_t written = writev(fd, vectors, 2 * frames);
		if (written < 0)
			return number(env, finished > 0 ? finished : -errno);
		size_t done = (size_t)progress[0] + (size_t)written;
		progress[0] = 0;
		while (frames > 0) {
			size_t frame = HEADER_BYTES + batch.slots[first + finished].length;
			if (done < frame)
				break;
			done -= frame;
			finished++;
			frames--;
		}
		if (frames > 0) {
			progress[0] = (int32_t)done;
			break;
		}
	}
	return number(env, finished);
}

void stream_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "writeFramed", write_framed);
}
