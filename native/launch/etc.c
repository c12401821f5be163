/*
 * A private /etc: the host's, with some files of our own on top.
 *
 * An overlay (since Linux 5.11 a user namespace may mount one) serves every case the same way:
 * /etc/resolv.conf as a file, as a symbolic link, or missing, and the host renaming a new one into
 * place, which would silently undo a bind mount. Where there is no overlay, mirror.c has the next
 * best. The files themselves live in a tmpfs that is mounted over SCRATCH only for as long as it
 * takes, so that nothing is left on any disk.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch.h"

#define SCRATCH "/tmp"
#define UPPER SCRATCH "/upper"
#define WORK SCRATCH "/work"

/* Sockets through which the C library would ask the host's resolver, passing our resolv.conf by. */
static const char *const host_resolvers[] = {
	"/run/systemd/resolve/io.systemd.Resolve",
	"/run/nscd/socket",
};

static void copy_existing(const char *name, int to)
{
	char path[PATH_MAX];
	char buffer[16384];
	ssize_t length;
	char last = '\n';

	snprintf(path, sizeof path, "/etc/%s", name);
	int from = open(path, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		return;
	while ((length = read(from, buffer, sizeof buffer)) > 0) {
		if (write(to, buffer, (size_t)length) != length)
			fail("etc", name);
		last = buffer[length - 1];
	}
	/* What is appended is a line of its own. */
	if (last != '\n' && write(to, "\n", 1) != 1)
		fail("etc", name);
	close(from);
}

/* The file as it will be seen, in the scratch tmpfs; a file to be bound over starts empty. */
static void prepare_file(const struct etc_file *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, UPPER "/%s", file->name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		fail("etc", file->name);
	if (file->source == ETC_APPEND)
		copy_existing(file->name, fd);
	if (file->source != ETC_BIND) {
		size_t length = strlen(file->value);
		if (write(fd, file->value, length) != (ssize_t)length)
			fail("etc", file->name);
	}
	close(fd);
}

static bool mount_overlay(void)
{
	static const char *const variants[] = {
		"lowerdir=/etc,upperdir=" UPPER ",workdir=" WORK ",userxattr",
		"lowerdir=/etc,upperdir=" UPPER ",workdir=" WORK,
	};
	for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
		if (mount("vdens", "/etc", "overlay", 0, variants[i]) == 0)
			return true;
	}
	return false;
}

static void bind_over(const char *source, const char *name)
{
	char target[PATH_MAX];

	snprintf(target, sizeof target, "/etc/%s", name);
	if (mount(source, target, NULL, MS_BIND, NULL) != 0)
		fail("etc", target);
}

/* Through /etc as it is seen, so that whatever is mounted there knows of each change. */
static void open_for_parent(struct etc_file *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "/etc/%s", file->name);
	file->fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (file->fd < 0)
		fail("etc", path);
}

void make_private_etc(struct launch_options *options)
{
	int sources[MAX_ETC_FILES];
	char path[PATH_MAX];

	if (options->etc_count == 0)
		return;
	/* Opened before SCRATCH is covered: the source may lie below it. */
	for (size_t i = 0; i < options->etc_count; i++) {
		const struct etc_file *file = &options->etc[i];
		sources[i] = file->source == ETC_BIND ? open(file->value, O_PATH | O_CLOEXEC) : -1;
		if (file->source == ETC_BIND && sources[i] < 0)
			fail("etc", file->value);
	}
	mode_t mask = umask(022);
	if (mount("vdens", SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64m") != 0)
		fail("etc", "tmpfs on " SCRATCH);
	if (mkdir(UPPER, 0755) != 0 || mkdir(WORK, 0755) != 0)
		fail("etc", SCRATCH);
	for (size_t i = 0; i < options->etc_count; i++)
		prepare_file(&options->etc[i]);

	if (!mount_overlay() && !mirror_etc(UPPER))
		fail("etc", "/etc");
	for (size_t i = 0; i < options->etc_count; i++) {
		struct etc_file *file = &options->etc[i];
		if (file->handed_out)
			open_for_parent(file);
		if (file->source == ETC_BIND) {
			snprintf(path, sizeof path, "/proc/self/fd/%d", sources[i]);
			bind_over(path, file->name);
			close(sources[i]);
		}
		if (strcmp(file->name, "resolv.conf") == 0) {
			for (size_t j = 0; j < sizeof host_resolvers / sizeof *host_resolvers; j++)
				(void)mount("/dev/null", host_resolvers[j], NULL, MS_BIND, NULL);
		}
	}
	umask(mask);
	if (umount2(SCRATCH, MNT_DETACH) != 0)
		fail("etc", "umount " SCRATCH);
}
