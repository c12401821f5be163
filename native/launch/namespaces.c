/*
 * The namespaces: user, network, UTS and, when something is to be mounted, mount.
 *
 * user_namespaces(7): a process may write the one-line maps of a namespace it made itself, provided
 * setgroups is denied first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launch.h"

static void write_proc_file(const char *step, const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(step, path);
	close(fd);
}

static void write_id_map(const char *step, const char *path, unsigned inside, unsigned outside)
{
	char line[64];
	snprintf(line, sizeof line, "%u %u 1\n", inside, outside);
	write_proc_file(step, path, line);
}

static void unshare_or_fail(const char *step, int flag)
{
	if (unshare(flag) != 0)
		fail(step, "unshare");
}

void make_namespaces(const struct launch_options *options)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	unshare_or_fail("userns", CLONE_NEWUSER);
	write_proc_file("setgroups", "/proc/self/setgroups", "deny");
	write_id_map("uid_map", "/proc/self/uid_map", options->root ? 0 : uid, uid);
	write_id_map("gid_map", "/proc/self/gid_map", options->root ? 0 : gid, gid);
	unshare_or_fail("netns", CLONE_NEWNET);
	unshare_or_fail("utsns", CLONE_NEWUTS);
	if (options->mounts) {
		unshare_or_fail("mountns", CLONE_NEWNS);
		if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
			fail("mountns", "/");
	}
	if (options->hostname != NULL && sethostname(options->hostname, strlen(options->hostname)) != 0)
		fail("hostname", options->hostname);
}

void write_sysctls(const struct launch_options *options)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < options->sysctl_count; i++) {
		const char *setting = options->sysctls[i];
		const char *equals = strchr(setting, '=');
		if (equals == NULL)
			continue;
		snprintf(path, sizeof path, "/proc/sys/net/%.*s", (int)(equals - setting), setting);
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		(void)!write(fd, equals + 1, strlen(equals + 1));
		close(fd);
	}
}

/* A descriptor of the namespace that process `pid` is in; -1 when we are in it already. */
static int open_namespace(pid_t pid, const char *name)
{
	char path[64];
	struct stat theirs, ours;

	snprintf(path, sizeof path, "/proc/self/ns/%s", name);
	if (stat(path, &ours) != 0)
		fail("join", path);
	snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &theirs) != 0)
		fail("join", path);
	if (theirs.st_ino == ours.st_ino) {
		close(fd);
		return -1;
	}
	return fd;
}

struct namespace_kind {
	const char *name;
	int flag;
};

/* Joins all of them in one step (setns(2), since Linux 5.8): it has to be allowed to us as we are now. */
static bool join_at_once(pid_t pid, int flags)
{
	int process = (int)syscall(SYS_pidfd_open, pid, 0);
	if (process < 0)
		return false;
	bool joined = setns(process, flags) == 0;
	close(process);
	return joined;
}

/*
 * One after the other would not do for a process in a user namespace of its own, whose network belongs to the user
 * namespace around that: once inside, we may do nothing to what is outside.
 */
void join_namespaces(pid_t pid)
{
	static const struct namespace_kind kinds[] = {
		{ "user", CLONE_NEWUSER }, { "net", CLONE_NEWNET }, { "uts", CLONE_NEWUTS }, { "mnt", CLONE_NEWNS }
	};
	enum { COUNT = sizeof kinds / sizeof *kinds };
	int fds[COUNT];
	int flags = 0;
	char directory[4096];
	const char *cwd = getcwd(directory, sizeof directory);

	/* All are opened first: inside the user namespace the others might be out of reach. */
	for (size_t i = 0; i < COUNT; i++) {
		fds[i] = open_namespace(pid, kinds[i].name);
		if (fds[i] >= 0)
			flags |= kinds[i].flag;
	}
	bool joined = flags != 0 && join_at_once(pid, flags);
	for (size_t i = 0; i < COUNT; i++) {
		if (fds[i] < 0)
			continue;
		if (!joined && setns(fds[i], 0) != 0)
			fail("join", kinds[i].name);
		close(fds[i]);
	}
	/* Joining a mount namespace moves us to its root (setns(2)). */
	if (cwd == NULL || chdir(cwd) != 0)
		(void)!chdir("/");
}
