/*
 * Becoming another program: what is left of Node.js is then nothing, and the exit status, the signals and
 * the terminal are the program's own. And the process groups by which terminals and shells know who belongs together.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
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

static void free_words(char **words)
{
	for (size_t i = 0; words != NULL && words[i] != NULL; i++)
		free(words[i]);
	free(words);
}

/* An array of strings as execve wants it; NULL without memory, or when it is something else, which throws. */
static char **copy_words(const struct arguments *arguments, size_t index)
{
	uint32_t count;

	if (napi_get_array_length(arguments->env, arguments->values[index], &count) != napi_ok) {
		napi_throw_type_error(arguments->env, NULL, "expected an array of strings");
		return NULL;
	}
	char **words = calloc((size_t)count + 1, sizeof *words);
	for (uint32_t i = 0; words != NULL && i < count; i++) {
		napi_value word;
		if (napi_get_element(arguments->env, arguments->values[index], i, &word) == napi_ok)
			words[i] = copy_string(arguments->env, word);
		if (words[i] == NULL) {
			free_words(words);
			return NULL;
		}
	}
	return words;
}

/* becomeProgram(path, arguments): -errno, or never returns. The arguments begin with the program's name. */
static napi_value become_program(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	char path[PATH_MAX];

	if (!get_arguments(env, info, 2, &arguments) || !get_text(&arguments, 0, path, sizeof path))
		return NULL;
	char **words = copy_words(&arguments, 1);
	if (words == NULL)
		return number(env, -EINVAL);
	keep_standard_streams();
	execv(path, words);
	int error = errno;
	free_words(words);
	return number(env, -error);
}

/*
 * descriptors[i] becomes descriptor i. All are moved out of the way first: one may be where another belongs. The copies
 * are closed at execve.
 */
static bool arrange_descriptors(int32_t *descriptors, int count)
{
	for (int i = 0; i < count; i++) {
		descriptors[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, count);
		if (descriptors[i] < 0)
			return false;
	}
	for (int i = 0; i < count; i++) {
		if (dup2(descriptors[i], i) < 0)
			return false;
	}
	return true;
}

/* Signals as a program expects them, but for those to ignore (n is bit n - 1): Node.js ignores SIGPIPE, for example. */
static void arrange_signals(uint64_t ignored)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, ignored >> (number - 1) & 1 ? SIG_IGN : SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * becomeCommand(words, descriptors, ignored): -errno, or never returns. The first word is looked up as execvp(3) does.
 * descriptors[i] is to be its descriptor i; `ignored` are the signals to ignore, the lower 32 first.
 */
static napi_value become_command(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t *descriptors, *ignored;
	size_t count, length;

	if (!get_arguments(env, info, 3, &arguments) || !get_words(&arguments, 1, 0, &descriptors, &count) ||
	    !get_words(&arguments, 2, 2, &ignored, &length))
		return NULL;
	char **words = copy_words(&arguments, 0);
	if (words == NULL || words[0] == NULL) {
		free_words(words);
		return number(env, -EINVAL);
	}
	if (arrange_descriptors(descriptors, (int)count)) {
		arrange_signals((uint64_t)(uint32_t)ignored[1] << 32 | (uint32_t)ignored[0]);
		execvp(words[0], words);
	}
	int error = errno;
	free_words(words);
	return number(env, -error);
}

/* processGroup(): the one this process is in. */
static napi_value process_group(napi_env env, napi_callback_info info)
{
	(void)info;
	return number(env, getpgrp());
}

/* leadProcessGroup(): 0 or -errno. From now on this process is in a group of its own. */
static napi_value lead_process_group(napi_env env, napi_callback_info info)
{
	(void)info;
	return result_or_errno(env, setpgid(0, 0));
}

/* foregroundGroup(): the process group that the keys of our terminal reach; -ENXIO without a terminal. */
static napi_value foreground_group(napi_env env, napi_callback_info info)
{
	(void)info;
	int terminal = open("/dev/tty", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (terminal < 0)
		return number(env, -errno);
	napi_value group = result_or_errno(env, tcgetpgrp(terminal));
	close(terminal);
	return group;
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
	export_function(env, exports, "becomeCommand", become_command);
	export_function(env, exports, "processGroup", process_group);
	export_function(env, exports, "leadProcessGroup", lead_process_group);
	export_function(env, exports, "foregroundGroup", foreground_group);
	export_function(env, exports, "endProcess", end_process);
	export_function(env, exports, "replaceDescriptor", replace_descriptor);
}
