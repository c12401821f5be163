/*
 * Batches over a connected datagram socket: one frame per datagram, many datagrams per system call.
 */
#include "datagram.h"
#include "frame_io.h"

/*
 * receiveBatch(fd, arena, slots, stride): see datagrams_receive(). A frame longer than the stride has the
 * length FRAME_TOO_LONG.
 */
static napi_value receive_batch(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	int32_t fd, stride;

	if (!get_arguments(env, info, 4, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_batch(&arguments, 1, &batch) || !get_int(&arguments, 3, &stride) || stride <= 0)
		return NULL;
	return number(env, datagrams_receive(fd, batch.arena.data, batch.arena.length, batch.slots, batch.capacity,
					     (size_t)stride));
}

/* sendBatch(fd, arena, slots, first, count): see datagrams_send(). */
static napi_value send_batch(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	int32_t fd, first, count;

	if (!get_arguments(env, info, 5, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_batch(&arguments, 1, &batch) || !get_int(&arguments, 3, &first) ||
	    !get_int(&arguments, 4, &count) || !check_slots(env, &batch, first, count))
		return NULL;
	return number(env, datagrams_send(fd, batch.arena.data, batch.slots + first, (uint32_t)count));
}

void datagram_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "receiveBatch", receive_batch);
	export_function(env, exports, "sendBatch", send_batch);
}
