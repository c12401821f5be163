/*
 * The second way to a private /etc, where there is no overlay: before Linux 5.11, and where something is mounted
 * below /etc already, as in most containers (its mount must not be uncovered by a new user namespace).
 *
 * A folder of our own takes the place of /etc. Whatever it does not have yet is bound into it from there one by one;
 * symbolic links are made anew. What the host adds to /etc later is not seen.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch.h"

static void make_link(const char *source, const char *target)
{
	char text[PATH_MAX];
	ssize_t length = readlink(source, text, sizeof text - 1);

	if (length < 0)
		return;
	text[length] = '\0';
	(void)!symlink(text, target);
}

/* Makes what a mount can cover; true when it is there. */
static bool make_mount_point(const char *target, bool directory)
{
	if (directory)
		return mkdir(target, 0755) == 0;
	int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void mirror_entry(const char *source, const char *target)
{
	struct stat status;

	if (lstat(source, &status) != 0)
		return;
	if (S_ISLNK(status.st_mode)) {
		make_link(source, target);
		return;
	}
	bool directory = S_ISDIR(status.st_mode);
	if (!make_mount_point(target, directory))
		return; /* ours takes precedence */
	if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) != 0)
		(void)(directory ? rmdir(target) : unlink(target));
}

bool mirror_etc(const char *folder)
{
	char source[PATH_MAX];
	char target[PATH_MAX];
	struct dirent *entry;
	DIR *etc = opendir("/etc");

	if (etc == NULL)
		return false;
	while ((entry = readdir(etc)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(source, sizeof source, "/etc/%s", entry->d_name);
		snprintf(target, sizeof target, "%s/%s", folder, entry->d_name);
		mirror_entry(source, target);
	}
	closedir(etc);
	return mount(folder, "/etc", NULL, MS_BIND | MS_REC, NULL) == 0;
}
