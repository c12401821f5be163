#include "far_copy.h"

#include <string.h>

#include "hot.h"

#ifdef __SSE2__

#include <emmintrin.h>

/* What is shorter is as well off in the cache. */
#define LEAST_BYTES 2048
#define VECTOR_BYTES sizeof(__m128i)
#define LINE_BYTES 64

HOT static void copy_line(uint8_t *to, const uint8_t *from)
{
	for (size_t at = 0; at < LINE_BYTES; at += VECTOR_BYTES)
		_mm_stream_si128((__m128i *)(to + at), _mm_loadu_si128((const __m128i *)(from + at)));
}

HOT void far_copy(uint8_t *to, const uint8_t *from, size_t length)
{
	size_t done = 0;

	if (length >= LEAST_BYTES) {
		done = -(uintptr_t)to % LINE_BYTES;
		memcpy(to, from, done);
		for (; length - done >= LINE_BYTES; done += LINE_BYTES)
			copy_line(to + done, from + done);
		_mm_sfence();
	}
	memcpy(to + done, from + done, length - done);
}

#else

HOT void far_copy(uint8_t *to, const uint8_t *from, size_t length)
{
	memcpy(to, from, length);
}

#endif
