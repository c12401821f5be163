/*
 * A timer as a descriptor (timerfd_create(2)): readable when it is over, to the tenth of a millisecond, where a timer of
 * the event loop has whole ones.
 */
#define _GNU_SOURCE
#include <sys/timerfd.h>

#include "timer.h"

#define US_PER_SECOND 1000000
#define NS_PER_US 1000

/* timerOpen(): a descriptor, or -errno. */
static napi_value timer_open(napi_env env, napi_callback_info info)
{
	(void)info;
	return result_or_errno(env, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
}

/* timerSet(fd, us): so many microseconds from now, once; 0 is never. Either way it is not readable until then. */
static napi_value timer_set(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t fd, us;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &fd) || !get_int(&arguments, 1, &us))
		return NULL;
	struct itimerspec when = { .it_value = { .tv_sec = us / US_PER_SECOND,
						 .tv_nsec = (long)(us % US_PER_SECOND) * NS_PER_US } };
	return result_or_errno(env, timerfd_settime(fd, 0, &when, NULL));
}

void timer_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "timerOpen", timer_open);
	export_function(env, exports, "timerSet", timer_set);
}
