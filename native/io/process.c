/*
 * Becoming another program: what is left of Node.js is then nothing, and the exit status, the signals and
 * the terminal are the program's own.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "process.h"

static char *copy_string(napi_env env, napi_value value)
{
	size_t length;

	if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok)
		return NULL;
	char *text = malloc(length + 1);
	if (text != NULL)
		napi_get_value_string_utf8(env, value, text, length + 1, &length);
	return text;
}

/* Node.js marks the inherited low descriptors close-on-exec; standard input and outputs must stay. */
static void keep_standard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		int flags = fcntl(fd, F_GETFD);
		if (flags >= 0)
			fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
	}
}

/* becomeProgram(path, arguments): -errno, or never returns. The arguments begin with the program's name. */
static napi_value become_program(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char path[PATH_MAX];
	uint32_t count;

	if (!get_arguments(env, info, 2, &arguments) || !get_text(&arguments, 0, path, sizeof path))
		return NULL;
	if (napi_get_array_length(env, arguments.values[1], &count) != napi_ok) {
		napi_throw_type_error(env, NULL, "expected an array of strings");
		return NULL;
	}
	char **words = calloc((size_t)count + 1, sizeof *words);
	bool complete = words != NULL;
	for (uint32_t i = 0; complete && i < count; i++) {
		napi_value word;
		complete = napi_get_element(env, arguments.values[1], i, &word) == napi_ok &&
			   (words[i] = copy_string(env, word)) != NULL;
	}
	int error = EINVAL;
	if (complete) {
		keep_standard_streams();
		execv(path, words);
		error = errno;
	}
	for (uint32_t i = 0; words != NULL && i < count; i++)
		free(words[i]);
	free(words);
	return number(env, -error);
}

/*
 * endProcess(status): never returns. exit(3) would wait for the threads of libuv, and one in which a name is looked up
 * ends when the resolver gives up.
 */
static napi_value end_process(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t status;

	if (!get_arguments(env, info, 1, &arguments))
		return NULL;
	if (napi_get_value_int32(env, arguments.values[0], &status) != napi_ok) {
		napi_throw_type_error(env, NULL, "expected a number");
		return NULL;
	}
	_exit(status);
}

/* replaceDescriptor(from, onto): 0 or -errno. What `onto` was is closed, in the same moment (dup2(2)). */
static napi_value replace_descriptor(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t from, onto;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &from) ||
	    !get_int(&arguments, 1, &onto))
		return NULL;
	int result = dup2(from, onto);
	return result_or_errno(env, result < 0 ? result : 0);
}

void process_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "becomeProgram", become_program);
	export_function(env, exports, "endProcess", end_process);
	export_function(env, exports, "replaceDescriptor", replace_descriptor);
}
