/*
 * Capabilities of the calling thread, capabilities(7). They belong to a thread, not to a process: what is dropped here
 * counts for the program that this same thread becomes, and for no other thread.
 */
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capability.h"

/* effective, permitted and inheritable, of the lower 32 capabilities and then of the others, as capget(2) has it. */
#define SET_WORDS 6

static bool get_sets(napi_env env, napi_callback_info info, struct __user_cap_data_struct **sets)
{
	struct arguments arguments;
	int32_t *words;
	size_t length;

	_Static_assert(2 * sizeof **sets == SET_WORDS * sizeof *words, "two words of each set");
	if (!get_arguments(env, info, 1, &arguments) || !get_words(&arguments, 0, SET_WORDS, &words, &length))
		return false;
	*sets = (struct __user_cap_data_struct *)words;
	return true;
}

/* getCapabilities(words): 0 or -errno. */
static napi_value get_capabilities(napi_env env, napi_callback_info info)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct *sets;

	if (!get_sets(env, info, &sets))
		return NULL;
	return result_or_errno(env, syscall(SYS_capget, &header, sets));
}

/* setCapabilities(words): 0 or -errno. */
static napi_value set_capabilities(napi_env env, napi_callback_info info)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct *sets;

	if (!get_sets(env, info, &sets))
		return NULL;
	return result_or_errno(env, syscall(SYS_capset, &header, sets));
}

/* dropAmbient(capability): 0 or -errno; EINVAL for one that the kernel does not know. */
static napi_value drop_ambient(napi_env env, napi_callback_info info)
{
	int32_t capability;

	if (!get_number(env, info, &capability))
		return NULL;
	return result_or_errno(env, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, capability, 0, 0));
}

/* hasBounding(capability): whether the bounding set has it, 1 or 0, or -errno; EINVAL for one the kernel does not know. */
static napi_value has_bounding(napi_env env, napi_callback_info info)
{
	int32_t capability;

	if (!get_number(env, info, &capability))
		return NULL;
	return result_or_errno(env, prctl(PR_CAPBSET_READ, capability, 0, 0, 0));
}

/* dropBounding(capability): 0 or -errno; EPERM without CAP_SETPCAP. */
static napi_value drop_bounding(napi_env env, napi_callback_info info)
{
	int32_t capability;

	if (!get_number(env, info, &capability))
		return NULL;
	return result_or_errno(env, prctl(PR_CAPBSET_DROP, capability, 0, 0, 0));
}

/* setNoNewPrivileges(): 0 or -errno. For good, and for all that this thread starts. */
static napi_value set_no_new_privileges(napi_env env, napi_callback_info info)
{
	(void)info;
	return result_or_errno(env, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

void capability_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "getCapabilities", get_capabilities);
	export_function(env, exports, "setCapabilities", set_capabilities);
	export_function(env, exports, "dropAmbient", drop_ambient);
	export_function(env, exports, "hasBounding", has_bounding);
	export_function(env, exports, "dropBounding", drop_bounding);
	export_function(env, exports, "setNoNewPrivileges", set_no_new_privileges);
}
