/*
 * Becoming another program: what is left of Node.js is then nothing, and the exit status, the signals and
 * the terminal are the program's own. And process groups, by which terminals and shells know who belongs together.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
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

static bool are_in_place(const int32_t *descriptors, int count)
{
	for (int i = 0; i < count; i++) {
		if (descriptors[i] != i)
			return false;
	}
	return true;
}

/*
 * descriptors[i] becomes descriptor i. All are moved out of the way first: one may be where another belongs. The copies
 * are closed at execve.
 */
static bool arrange_descriptors(int32_t *descriptors, int count)
{
	if (are_in_place(descriptors, count)) {
		keep_standard_streams();
		return true;
	}
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

/* No program expects that a read of its standard input fails because nothing has come yet. */
static void make_streams_wait(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		int flags = fcntl(fd, F_GETFL);
		if (flags >= 0 && (flags & O_NONBLOCK) != 0)
			fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	}
}

/* Descriptor n stays open when bit n is set. */
static void keep_descriptors(uint32_t kept)
{
	for (int fd = 3; fd < 32; fd++) {
		int flags = kept >> fd & 1 ? fcntl(fd, F_GETFD) : -1;
		if (flags >= 0)
			fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
	}
}

/* The soft limit of open files; 0 leaves it. */
static int limit_files(uint32_t files)
{
	struct rlimit limit;

	if (files == 0)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -1;
	limit.rlim_cur = files < limit.rlim_max ? files : limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

/* limitOpenFiles(files): 0 or -errno. The soft limit of this process and of all that it starts; 0 leaves it. */
static napi_value limit_open_files(napi_env env, napi_callback_info info)
{
	int32_t files;

	if (!get_number(env, info, &files))
		return NULL;
	return result_or_errno(env, limit_files((uint32_t)files));
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

/* What the command gets from whoever started us, as src/system/inheritance.ts lists it. */
enum { IGNORED_LOW, IGNORED_HIGH, KEPT, FILES, INHERITANCE_WORDS };

/*
 * becomeCommand(words, descriptors, inheritance): -errno, or never returns. The first word is looked up as execvp(3)
 * does. descriptors[i] is to be its descriptor i; inheritance: the signals to ignore (two words, the lower 32 first),
 * the descriptors to keep besides (a mask), and the soft limit of open files, or 0.
 */
static napi_value become_command(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t *descriptors, *inherited;
	size_t count, length;

	if (!get_arguments(env, info, 3, &arguments) || !get_words(&arguments, 1, 0, &descriptors, &count) ||
	    !get_words(&arguments, 2, INHERITANCE_WORDS, &inherited, &length))
		return NULL;
	char **words = copy_words(&arguments, 0);
	if (words == NULL || words[0] == NULL) {
		free_words(words);
		return number(env, -EINVAL);
	}
	if (arrange_descriptors(descriptors, (int)count)) {
		make_streams_wait();
		keep_descriptors((uint32_t)inherited[KEPT]);
		limit_files((uint32_t)inherited[FILES]);
		arrange_signals((uint64_t)(uint32_t)inherited[IGNORED_HIGH] << 32 | (uint32_t)inherited[IGNORED_LOW]);
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

/* scheduleAsBatch(): this thread lets others go on before it (SCHED_BATCH, sched(7)); 0 or -errno. */
static napi_value schedule_as_batch(napi_env env, napi_callback_info info)
{
	(void)info;
	return number(env, sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 }) == 0 ? 0 : -errno);
}

void process_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "scheduleAsBatch", schedule_as_batch);
	export_function(env, exports, "becomeProgram", become_program);
	export_function(env, exports, "becomeCommand", become_command);
	export_function(env, exports, "processGroup", process_group);
	export_function(env, exports, "leadProcessGroup", lead_process_group);
	export_function(env, exports, "limitOpenFiles", limit_open_files);
	export_function(env, exports, "endProcess", end_process);
	export_function(env, exports, "replaceDescriptor", replace_descriptor);
}
