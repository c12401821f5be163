/*
 * launch [options] -f FD                     make the namespaces and hold them for the parent
 * launch [options] -- command [arguments]    run the command in new namespaces (-j: in those of a process)
 *
 *  -f FD         control socket to the parent        -g       guard: fork a watcher of our own first
 *  -p            no namespaces, only supervise a command that keyboard signals shall not reach
 *  -j PID        join that process's namespaces      -0       the user is uid 0 inside
 *  -t NAME       make a TAP interface (repeatable)   -m       a mount namespace
 *  -c MASK       ambient capabilities, hexadecimal   -n NAME  host name
 *  -w NAME=TEXT  /etc/NAME with this text            -a NAME=TEXT  /etc/NAME with this text appended
 *  -b NAME=PATH  /etc/NAME is that file              -x PATH  program that explains a failure
 *  -i MASK       signals the command ignores (n is bit n - 1), hexadecimal
 *  -o NAME=TEXT  as -w, and the parent gets a descriptor to write it
 *  -d NAME       pass out a socket that hears DHCP and router advertisements on that TAP (repeatable)
 *  -y PATH=TEXT  write TEXT to /proc/sys/net/PATH where that is allowed (repeatable)
 *  -e NAME       the program whose name errors begin with, instead of vdens
 *
 * $VDENS_IGNORED_SIGNALS is such a mask, too, and $VDENS_OPEN_FILES the command's soft limit of open files, which Node.js
 * has raised. The command does not get to see them (src/system/inheritance.ts).
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "launch.h"

static void add_etc_file(struct launch_options *options, enum etc_source source, char *argument)
{
	char *equals = strchr(argument, '=');

	if (equals == NULL || options->etc_count == MAX_ETC_FILES) {
		errno = EINVAL;
		fail("arguments", argument);
	}
	*equals = '\0';
	options->etc[options->etc_count++] =
		(struct etc_file){ .source = source, .name = argument, .value = equals + 1 };
	options->mounts = true;
}

static void add_writable_etc_file(struct launch_options *options, char *argument)
{
	add_etc_file(options, ETC_WRITE, argument);
	options->etc[options->etc_count - 1].handed_out = true;
}

static void add_to(char **list, size_t *count, size_t room, char *word)
{
	if (*count == room) {
		errno = E2BIG;
		fail("arguments", word);
	}
	list[(*count)++] = word;
}

static void parse_arguments(int argc, char **argv, struct launch_options *options)
{
	int letter;

	while ((letter = getopt(argc, argv, "+f:gpj:0t:d:y:mc:i:n:w:o:a:b:x:e:")) != -1) {
		switch (letter) {
		case 'f': options->control = atoi(optarg); break;
		case 'g': options->guard = true; break;
		case 'p': options->supervise_only = true; break;
		case 'j': options->join = (pid_t)atoi(optarg); break;
		case '0': options->root = true; break;
		case 't':
			add_to(options->taps, &options->tap_count, MAX_TAPS, optarg);
			break;
		case 'd':
			add_to(options->listening, &options->listening_count, MAX_TAPS, optarg);
			break;
		case 'y':
			add_to(options->sysctls, &options->sysctl_count, MAX_SYSCTLS, optarg);
			break;
		case 'm': options->mounts = true; break;
		case 'c': options->capabilities = strtoull(optarg, NULL, 16); break;
		case 'i': options->ignored_signals |= strtoull(optarg, NULL, 16); break;
		case 'n': options->hostname = optarg; break;
		case 'w': add_etc_file(options, ETC_WRITE, optarg); break;
		case 'o': add_writable_etc_file(options, optarg); break;
		case 'a': add_etc_file(options, ETC_APPEND, optarg); break;
		case 'b': add_etc_file(options, ETC_BIND, optarg); break;
		case 'x': options->explain = optarg; break;
		case 'e': options->program = optarg; break;
		default: exit(STATUS_OWN_FAILURE);
		}
	}
	options->command = argv + optind;
	if (*options->command == NULL && options->control < 0) {
		fprintf(stderr, "launch: no command. This is a helper of vdens(1), which see\n");
		exit(STATUS_OWN_FAILURE);
	}
}

static void take_inheritance(struct launch_options *options)
{
	static const char *const variables[] = { "VDENS_IGNORED_SIGNALS", "VDENS_OPEN_FILES", "VDENS_DESCRIPTORS" };
	const char *mask = getenv(variables[0]), *files = getenv(variables[1]);

	if (mask != NULL)
		options->ignored_signals = strtoull(mask, NULL, 16);
	if (files != NULL)
		options->open_files = strtoul(files, NULL, 10); /* "unlimited" is 0, too */
	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
		unsetenv(variables[i]);
}

static void restore_file_limit(rlim_t files)
{
	struct rlimit limit;

	if (files == 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = files < limit.rlim_max ? files : limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Whether PATH leads to such a file at all: execvp also says EACCES for a folder it may not search. */
static bool is_on_path(const char *command)
{
	char path[PATH_MAX];
	const char *folder = getenv("PATH");

	while (folder != NULL) {
		size_t length = strcspn(folder, ":");
		snprintf(path, sizeof path, "%.*s/%s", (int)length, folder, command);
		if (access(path, F_OK) == 0)
			return true;
		folder = folder[length] == '\0' ? NULL : folder + length + 1;
	}
	return false;
}

static bool was_not_found(int error, const char *command)
{
	if (error == EACCES && strchr(command, '/') == NULL)
		return !is_on_path(command);
	return error == ENOENT || error == ENOTDIR;
}

/* Becomes the command. Runs in the forked child. */
static void become_command(void *context)
{
	const struct launch_options *options = context;

	if (options->supervise_only) {
		signal(SIGINT, SIG_IGN);
		signal(SIGQUIT, SIG_IGN);
	} else {
		set_ambient_capabilities(options->capabilities);
	}
	/* The command does not outlive the one who ends its leftovers. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (parent_is_gone())
		_exit(STATUS_OWN_FAILURE);
	restore_file_limit(options->open_files);
	/* Node.js ignores these, and execve keeps that. */
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	for (int number = 1; number < 64; number++) {
		if (options->ignored_signals >> (number - 1) & 1)
			signal(number, SIG_IGN);
	}
	execvp(options->command[0], options->command);
	int error = errno;
	bool not_found = was_not_found(error, options->command[0]);
	fprintf(stderr, "%s: cannot run the command '%s': %s\n", options->program, options->command[0],
		not_found ? "not found" : strerror(error));
	_exit(not_found ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

static int run_in_namespaces(struct launch_options *options)
{
	if (options->join != 0) {
		join_namespaces(options->join);
	} else if (!options->supervise_only) {
		make_namespaces(options);
		make_private_etc(options);
	}
	if (options->control < 0)
		return supervise(become_command, options, false,
				 options->supervise_only ? let_go_of_streams : NULL);
	send_interfaces(options);
	hold_namespaces(options->control);
	return EXIT_SUCCESS;
}

static void run_guarded(void *context)
{
	exit(run_in_namespaces(context));
}

int main(int argc, char **argv)
{
	struct launch_options options = { .control = -1, .program = "vdens" };

	remember_parent();
	report_init(&options);
	take_inheritance(&options);
	parse_arguments(argc, argv, &options);
	return options.guard ? supervise(run_guarded, &options, true, NULL) : run_in_namespaces(&options);
}
