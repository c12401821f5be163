/*
 * The few helpers that every binding uses: arguments in, numbers out.
 *
 * A wrong argument throws a TypeError and the getter returns false; the binding then returns NULL.
 * System calls report as one number: what they return, or -errno.
 */
#ifndef VDENS_NAPI_UTIL_H
#define VDENS_NAPI_UTIL_H

#define NAPI_VERSION 9
#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slot.h"

#define MAX_ARGUMENTS 8

struct arguments {
	napi_env env;
	napi_value values[MAX_ARGUMENTS];
};

struct bytes {
	uint8_t *data;
	size_t length;
};

/* A batch as TypeScript passes it: arena and slots (src/frames/batch.ts). */
struct batch {
	struct bytes arena;
	struct frame_slot *slots;
	size_t capacity;
};

bool get_arguments(napi_env env, napi_callback_info info, size_t count, struct arguments *arguments);
bool get_int(const struct arguments *arguments, size_t index, int32_t *value);
/* The one argument of a function, a number. */
bool get_number(napi_env env, napi_callback_info info, int32_t *value);
bool get_bytes(const struct arguments *arguments, size_t index, struct bytes *bytes);
/* An Int32Array or Uint32Array of at least `least` elements. */
bool get_words(const struct arguments *arguments, size_t index, size_t least, int32_t **words, size_t *length);
/* The arena at `index` and the slots at `index + 1`. */
bool get_batch(const struct arguments *arguments, size_t index, struct batch *batch);
/* Whether slots first..first+count lie inside the batch and each slot inside the arena. Throws if not. */
bool check_slots(napi_env env, const struct batch *batch, int32_t first, int32_t count);
/* A string into `text`, NUL-terminated; throws when it does not fit. */
bool get_text(const struct arguments *arguments, size_t index, char *text, size_t size);

napi_value number(napi_env env, int64_t value);
/* `result`, or -errno when it is negative. */
napi_value result_or_errno(napi_env env, int64_t result);
void export_function(napi_env env, napi_value exports, const char *name, napi_callback function);

#endif
