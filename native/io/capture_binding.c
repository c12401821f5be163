/*
 * The doors from JavaScript to capture.c and capture_ring.c: arguments are checked here, and counters kept from being
 * collected while somebody looks at them.
 */
#include "capture_binding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "capture.h"
#include "datapath.h"

/* How many rings a process can have. */
#define MAX_CAPTURE_RINGS 256
#define RECEIVED_IS_OUTBOUND 1
/* What captureCounts, captureState and captureCopy answer. */
#define COUNTS 2
#define STATE_WORDS 3
#define COPY_WORDS 2

/* A ring that JavaScript opened. */
struct handle {
	struct capture_ring ring;
	napi_env env;
};

/* What one capture keeps from being collected; of no capture, the ring is NULL. */
struct kept {
	const struct capture_ring *ring;
	uint32_t interface;
	napi_ref others[MAX_CAPTURE_OTHERS];
};

/* Counters that somebody looks at. */
struct watched {
	double *counters;
	napi_env env;
	napi_ref reference;
	struct kept *kept; /* MAX_CAPTURES_PER_POINT of them */
};

/* Both are guarded by the lock of the datapath. */
static struct handle *rings[MAX_CAPTURE_RINGS];
static struct watched watched[MAX_CAPTURE_POINTS];

static struct handle *find_ring(int32_t id)
{
	return id >= 0 && id < MAX_CAPTURE_RINGS ? rings[id] : NULL;
}

static bool get_doubles(const struct arguments *arguments, size_t index, size_t least, double **doubles)
{
	napi_typedarray_type type;
	size_t length;
	void *data;

	if (napi_get_typedarray_info(arguments->env, arguments->values[index], &type, &length, &data, NULL, NULL) !=
		    napi_ok ||
	    type != napi_float64_array || length < least) {
		napi_throw_type_error(arguments->env, NULL, "expected a Float64Array that is long enough");
		return false;
	}
	*doubles = data;
	return true;
}

static bool get_position(const struct arguments *arguments, size_t index, uint64_t *position)
{
	double value;

	if (napi_get_value_double(arguments->env, arguments->values[index], &value) == napi_ok && value >= 0 &&
	    value < 0x1p53) {
		*position = (uint64_t)value;
		return true;
	}
	napi_throw_type_error(arguments->env, NULL, "expected a position");
	return false;
}

/* captureMake(bytes, mode): memory for a ring, as a descriptor, or -errno; the mode is 1 for a recorder. */
static napi_value capture_make_ring(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t size, mode;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &size) ||
	    !get_int(&arguments, 1, &mode))
		return NULL;
	return number(env, capture_ring_make(size < 0 ? 0 : (size_t)size, mode == 1 ? CAPTURE_RECORDER : CAPTURE_STREAM));
}

/* captureNotice(): an eventfd, or -errno. */
static napi_value capture_notice(napi_env env, napi_callback_info info)
{
	(void)info;
	return result_or_errno(env, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

/* captureOpen(memory, notice): a number for the ring, or -errno. The descriptors stay the caller's; notice may be -1. */
static napi_value capture_open_ring(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t memory, notice;
	int32_t id = 0;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &memory) ||
	    !get_int(&arguments, 1, &notice))
		return NULL;
	struct handle *handle = calloc(1, sizeof *handle);
	if (handle == NULL)
		return number(env, -ENOMEM);
	handle->env = env;
	int error = capture_ring_open(&handle->ring, memory, notice);
	datapath_lock();
	while (id < MAX_CAPTURE_RINGS && rings[id] != NULL)
		id++;
	if (error == 0 && id == MAX_CAPTURE_RINGS) {
		capture_ring_close(&handle->ring);
		error = ENOSPC;
	}
	if (error == 0)
		rings[id] = handle;
	datapath_unlock();
	if (error == 0)
		return number(env, id);
	free(handle);
	return number(env, -error);
}

static void let_go(napi_env env, struct kept *kept)
{
	for (uint32_t i = 0; i < MAX_CAPTURE_OTHERS; i++) {
		if (kept->others[i] != NULL)
			napi_delete_reference(env, kept->others[i]);
	}
	*kept = (struct kept){ 0 };
}

/* To be called with the lock. */
static void stop_watching(struct watched *place, const struct capture_ring *ring, uint32_t interface)
{
	const bool is_over = capture_stop(place->counters, ring, interface);

	for (uint32_t i = 0; i < MAX_CAPTURES_PER_POINT; i++) {
		struct kept *kept = &place->kept[i];
		if (kept->ring == ring && (interface == ALL_INTERFACES || kept->interface == interface))
			let_go(place->env, kept);
	}
	if (!is_over)
		return;
	napi_delete_reference(place->env, place->reference);
	free(place->kept);
	*place = (struct watched){ 0 };
}

/* To be called with the lock. */
static void close_ring(int32_t id)
{
	struct handle *handle = rings[id];

	for (uint32_t i = 0; i < MAX_CAPTURE_POINTS; i++) {
		if (watched[i].counters != NULL && watched[i].env == handle->env)
			stop_watching(&watched[i], &handle->ring, ALL_INTERFACES);
	}
	rings[id] = NULL;
	capture_ring_close(&handle->ring);
	free(handle);
}

/* captureClose(ring): nothing is recorded there any more. */
static napi_value capture_close_ring(napi_env env, napi_callback_info info)
{
	int32_t id;

	if (!get_number(env, info, &id))
		return NULL;
	datapath_lock();
	if (find_ring(id) != NULL)
		close_ring(id);
	datapath_unlock();
	return NULL;
}

static struct watched *find_watched(const double *counters)
{
	struct watched *place = NULL;

	for (uint32_t i = 0; i < MAX_CAPTURE_POINTS; i++) {
		if (watched[i].counters == counters)
			return &watched[i];
		if (place == NULL && watched[i].counters == NULL)
			place = &watched[i];
	}
	return place;
}

/* The counters in an array of JavaScript, as many as there is room for. */
static void get_others(const struct arguments *arguments, size_t index, const double **others, napi_value *values)
{
	uint32_t length;

	if (napi_get_array_length(arguments->env, arguments->values[index], &length) != napi_ok)
		length = 0;
	for (uint32_t i = 0; i < length && i < MAX_CAPTURE_OTHERS; i++) {
		napi_typedarray_type type;
		size_t count;
		void *data;
		if (napi_get_element(arguments->env, arguments->values[index], i, &values[i]) == napi_ok &&
		    napi_get_typedarray_info(arguments->env, values[i], &type, &count, &data, NULL, NULL) == napi_ok &&
		    type == napi_float64_array && count >= COUNTER_VALUES)
			others[i] = data;
	}
}

/* Keeps counters from being collected for as long as this capture looks at the point; false when there is no memory. */
static bool keep_others(struct watched *place, const struct capture_target *target, const napi_value *values)
{
	uint32_t at = 0;

	while (at < MAX_CAPTURES_PER_POINT && place->kept[at].ring != NULL)
		at++;
	if (at == MAX_CAPTURES_PER_POINT)
		return false;
	struct kept *kept = &place->kept[at];
	*kept = (struct kept){ .ring = target->ring, .interface = target->interface };
	for (uint32_t i = 0; i < MAX_CAPTURE_OTHERS; i++) {
		if (target->others[i] != NULL &&
		    napi_create_reference(place->env, values[i], 1, &kept->others[i]) != napi_ok)
			return false;
	}
	return true;
}

/* Begins to keep what a place has; an errno. */
static int begin_watching(struct watched *place, napi_env env, double *counters, napi_value array)
{
	*place = (struct watched){ .env = env };
	place->kept = calloc(MAX_CAPTURES_PER_POINT, sizeof *place->kept);
	if (place->kept == NULL)
		return ENOMEM;
	if (napi_create_reference(env, array, 1, &place->reference) != napi_ok) {
		free(place->kept);
		*place = (struct watched){ 0 };
		return ENOMEM;
	}
	place->counters = counters;
	return 0;
}

/*
 * captureStart(counters, ring, interface, snap, flags, others): records the frames of the plug with these counters from
 * now on; 0 or -errno. RECEIVED_IS_OUTBOUND: what it receives has left the interface. The others are counters whose drops
 * are told of, too.
 */
static napi_value capture_start_point(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	double *counters;
	int32_t id, interface, snap, flags;

	if (!get_arguments(env, info, 6, &arguments) || !get_doubles(&arguments, 0, COUNTER_VALUES, &counters) ||
	    !get_int(&arguments, 1, &id) || !get_int(&arguments, 2, &interface) || !get_int(&arguments, 3, &snap) ||
	    !get_int(&arguments, 4, &flags))
		return NULL;
	datapath_lock();
	struct handle *handle = find_ring(id);
	struct watched *place = find_watched(counters);
	int error = handle == NULL ? EINVAL : place == NULL ? ENOSPC : 0;
	napi_value values[MAX_CAPTURE_OTHERS];
	struct capture_target target = { 0 };
	if (error == 0) {
		target = (struct capture_target){
			.ring = &handle->ring, .interface = (uint32_t)interface, .snap = snap < 0 ? 0 : (uint32_t)snap,
			.is_received_outbound = (flags & RECEIVED_IS_OUTBOUND) != 0,
		};
		get_others(&arguments, 5, target.others, values);
		error = capture_start(counters, &target);
	}
	if (error == 0 && place->counters == NULL) {
		error = begin_watching(place, env, counters, arguments.values[0]);
		if (error != 0)
			capture_stop(counters, &handle->ring, target.interface);
	}
	if (error == 0 && !keep_others(place, &target, values)) {
		stop_watching(place, &handle->ring, target.interface);
		error = ENOMEM;
	}
	datapath_unlock();
	return number(env, -error);
}

/* captureStop(counters, ring, interface): ends that. */
static napi_value capture_stop_point(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	double *counters;
	int32_t id, interface;

	if (!get_arguments(env, info, 3, &arguments) || !get_doubles(&arguments, 0, COUNTER_VALUES, &counters) ||
	    !get_int(&arguments, 1, &id) || !get_int(&arguments, 2, &interface))
		return NULL;
	datapath_lock();
	const struct handle *handle = find_ring(id);
	struct watched *place = find_watched(counters);
	if (handle != NULL && place != NULL && place->counters == counters)
		stop_watching(place, &handle->ring, (uint32_t)interface);
	datapath_unlock();
	return NULL;
}

/*
 * captureRecord(counters, isSent, arena, slots, count): records frames that pass through JavaScript, if anybody looks.
 */
static napi_value capture_record(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	double *counters;
	int32_t is_sent, count;

	if (!get_arguments(env, info, 5, &arguments) || !get_doubles(&arguments, 0, COUNTER_VALUES, &counters) ||
	    !get_int(&arguments, 1, &is_sent) || !get_batch(&arguments, 2, &batch) || !get_int(&arguments, 4, &count) ||
	    count < 0 || (size_t)count > batch.capacity)
		return NULL;
	const struct frames frames = { .arena = batch.arena.data, .arena_size = batch.arena.length, .slots = batch.slots,
				       .count = (uint32_t)count };
	datapath_lock();
	if (is_captured(counters + CAPTURE_COUNTER))
		capture_frames(counters + CAPTURE_COUNTER, is_sent ? CAPTURE_SENT : CAPTURE_RECEIVED, &frames);
	datapath_unlock();
	return NULL;
}

/* captureWrite(ring, block): appends a block; 1, or 0 when there is no room. */
static napi_value capture_write(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes block;
	int32_t id;
	bool is_written = false;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_bytes(&arguments, 1, &block))
		return NULL;
	datapath_lock();
	struct handle *handle = find_ring(id);
	uint8_t *room = handle == NULL ? NULL : capture_ring_begin(&handle->ring, block.length, 0);
	if (room != NULL) {
		memcpy(room, block.data, block.length);
		capture_ring_commit(&handle->ring, block.length);
		capture_ring_wake(&handle->ring);
		is_written = true;
	}
	datapath_unlock();
	return number(env, is_written);
}

static void unmap(napi_env env, void *data, void *hint)
{
	struct capture_ring *ring = hint;

	(void)env;
	(void)data;
	capture_ring_close(ring);
	free(ring);
}

/* captureMap(memory): an ArrayBuffer of the ring's data, twice, one behind the other; undefined when it is no ring. */
static napi_value capture_map(napi_env env, napi_callback_info info)
{
	int32_t memory;
	napi_value buffer;

	if (!get_number(env, info, &memory))
		return NULL;
	struct capture_ring *ring = malloc(sizeof *ring);
	if (ring == NULL || capture_ring_open(ring, memory, -1) != 0) {
		free(ring);
		return NULL;
	}
	if (napi_create_external_arraybuffer(env, ring->data, 2 * ring->size, unmap, ring, &buffer) != napi_ok) {
		unmap(env, NULL, ring);
		return NULL;
	}
	return buffer;
}

/*
 * captureState(ring, words): where the oldest block begins, and where the next one will; 1 when they lie together in the
 * ring, which is not so only when somebody wrote nonsense there.
 */
static napi_value capture_state(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	double *words;
	int32_t id;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_doubles(&arguments, 1, STATE_WORDS, &words))
		return NULL;
	const struct handle *handle = find_ring(id);
	if (handle == NULL)
		return NULL;
	struct capture_extent extent;
	words[2] = capture_ring_look(&handle->ring, &extent);
	words[0] = (double)extent.start;
	words[1] = (double)extent.end;
	return NULL;
}

/* captureConsume(ring, bytes): the reader has taken them. */
static napi_value capture_consume(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, bytes;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) || !get_int(&arguments, 1, &bytes))
		return NULL;
	struct handle *handle = find_ring(id);
	if (handle != NULL && bytes > 0)
		capture_ring_consume(&handle->ring, (size_t)bytes);
	return NULL;
}

/* captureAwait(ring, bytes): 1 when so many wait already; otherwise the notice is written when they do. */
static napi_value capture_await(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, bytes;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) || !get_int(&arguments, 1, &bytes))
		return NULL;
	struct handle *handle = find_ring(id);
	return number(env, handle != NULL && capture_ring_await(&handle->ring, bytes < 0 ? 0 : (uint32_t)bytes));
}

/* captureCounts(ring, interface, counts): how many frames of the interface were recorded, and left out. */
static napi_value capture_counts(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	double *counts;
	int32_t id, interface;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_int(&arguments, 1, &interface) || !get_doubles(&arguments, 2, COUNTS, &counts))
		return NULL;
	const struct handle *handle = find_ring(id);
	if (handle == NULL || interface < 0 || interface >= MAX_CAPTURE_INTERFACES)
		return NULL;
	const struct capture_counts *of = &handle->ring.header->interfaces[interface];
	counts[0] = (double)atomic_load_explicit(&of->recorded, memory_order_relaxed);
	counts[1] = (double)atomic_load_explicit(&of->left_out, memory_order_relaxed);
	return NULL;
}

/*
 * captureCopy(ring, from, end, bytes, words): copies whole blocks of a recorder between two positions. The words say how
 * many bytes, and where to go on; that is @end when it is over.
 */
static napi_value capture_copy(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	uint64_t from, end;
	double *words;
	int32_t id;

	if (!get_arguments(env, info, 5, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_position(&arguments, 1, &from) || !get_position(&arguments, 2, &end) ||
	    !get_bytes(&arguments, 3, &bytes) || !get_doubles(&arguments, 4, COPY_WORDS, &words))
		return NULL;
	const struct handle *handle = find_ring(id);
	if (handle == NULL)
		return NULL;
	const struct capture_copy copy = capture_ring_copy(&handle->ring, from, end, bytes.data, bytes.length);
	words[0] = (double)copy.length;
	words[1] = (double)copy.next;
	return NULL;
}

/* A worker thread of Node.js ends: its counters go. */
static void close_rings_of(void *env)
{
	datapath_lock();
	for (int32_t id = 0; id < MAX_CAPTURE_RINGS; id++) {
		if (rings[id] != NULL && rings[id]->env == env)
			close_ring(id);
	}
	datapath_unlock();
}

void capture_init(napi_env env, napi_value exports)
{
	napi_add_env_cleanup_hook(env, close_rings_of, env);
	export_function(env, exports, "captureMake", capture_make_ring);
	export_function(env, exports, "captureNotice", capture_notice);
	export_function(env, exports, "captureOpen", capture_open_ring);
	export_function(env, exports, "captureClose", capture_close_ring);
	export_function(env, exports, "captureStart", capture_start_point);
	export_function(env, exports, "captureStop", capture_stop_point);
	export_function(env, exports, "captureRecord", capture_record);
	export_function(env, exports, "captureWrite", capture_write);
	export_function(env, exports, "captureMap", capture_map);
	export_function(env, exports, "captureState", capture_state);
	export_function(env, exports, "captureConsume", capture_consume);
	export_function(env, exports, "captureAwait", capture_await);
	export_function(env, exports, "captureCounts", capture_counts);
	export_function(env, exports, "captureCopy", capture_copy);
}
