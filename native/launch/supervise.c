/*
 * The parent of the command: waits for it, passes signals on, leaves no process behind.
 *
 * As a child subreaper (prctl(2)) it inherits whatever the command leaves in the background, so that
 * ending its own children over and over ends them all. It stays in the process group of its own
 * parent and touches no terminal settings: a job-control shell inside behaves as in any terminal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "launch.h"

/*
 * Sent by the kernel when our parent dies, whatever killed it, and by a parent that wants all to end at once. A signal
 * that no libc keeps for itself: they number them differently from SIGRTMIN on.
 */
#define PARENT_DIED 36
/* How long processes that the command left behind have between SIGTERM and SIGKILL. */
#define GRACE_MS 500

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void signal_children(int signal)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	FILE *children = fopen(path, "re");
	if (children == NULL)
		return;
	int pid;
	while (fscanf(children, "%d", &pid) == 1)
		kill(pid, signal);
	fclose(children);
}

/* Reaps what has died; true while children are left. */
static bool reap(void)
{
	siginfo_t info;
	do
		info.si_pid = 0;
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid != 0);
	return errno != ECHILD;
}

static bool has_children(void)
{
	errno = 0;
	return reap();
}

static void sleep_ms(long ms)
{
	struct timespec pause = { .tv_nsec = ms * 1000000 };
	nanosleep(&pause, NULL);
}

/* Ends all descendants: asks first (unless there is no time), then kills until none is left. */
static void end_leftovers(bool at_once)
{
	if (!has_children())
		return;
	if (!at_once) {
		signal_children(SIGTERM);
		signal_children(SIGCONT);
		/* By the clock: signals cut a sleep short. */
		const int64_t end_ms = now_ms() + GRACE_MS;
		while (now_ms() < end_ms && has_children())
			sleep_ms(10);
	}
	/* Bounded, for the case of a process that the kernel does not let die. */
	for (int tries = 0; tries < 1000 && has_children(); tries++) {
		signal_children(SIGKILL);
		sleep_ms(1 + tries / 100);
	}
}

/*
 * Stops our process group, this process too; true once we were continued.
 *
 * By SIGTSTP, not SIGSTOP: the kernel does not stop by it where nobody could continue us (an orphaned process group).
 */
static bool stop_job(void)
{
	const struct timespec no_time = { 0 };
	sigset_t continued, before;

	sigemptyset(&continued);
	sigaddset(&continued, SIGCONT);
	sigprocmask(SIG_BLOCK, &continued, &before);
	kill(0, SIGTSTP);
	bool stopped = sigtimedwait(&continued, NULL, &no_time) == SIGCONT;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return stopped;
}

/* Whether a signal waits to be handled that may end the child: to stop before that would leave it waiting. */
static bool shall_end(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGHUP) ||
					     sigismember(&pending, PARENT_DIED));
}

/*
 * A shell that stops itself (suspend) has a process group of its own, so the shell outside sees nothing of it, and
 * the terminal would belong to a stopped group. So we stop our whole job with it, as su(1) does, and when that is
 * continued with the terminal we continue the child with it. In the background (bg) we stop again, as a shell does.
 */
static void stop_with(pid_t child, int signal)
{
	sigset_t output, before;
	pid_t group = getpgid(child);
	int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (terminal >= 0 && group > 0 && group != getpgrp() && getsid(child) == getsid(0)) {
		while (!shall_end() && getsid(0) != getpgrp() && stop_job()) {
			pid_t foreground = tcgetpgrp(terminal);
			if (foreground < 0 || foreground == getpgrp() || foreground == group)
				break;
		}
		sigemptyset(&output);
		sigaddset(&output, SIGTTOU);
		sigprocmask(SIG_BLOCK, &output, &before);
		if (tcgetpgrp(terminal) == getpgrp())
			tcsetpgrp(terminal, group);
		sigprocmask(SIG_SETMASK, &before, NULL);
		/* Continued for a terminal that it cannot have, it would stop at once, again and again. */
		if (tcgetpgrp(terminal) == group || (signal != SIGTTIN && signal != SIGTTOU))
			kill(-group, SIGCONT);
	}
	if (terminal >= 0)
		close(terminal);
}

/* True once the child has ended; its status goes to *status. */
static bool child_ended(pid_t child, int *status)
{
	siginfo_t info;

	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG) != 0 || info.si_pid == 0)
			return false;
		if (info.si_code == CLD_STOPPED) {
			if (info.si_pid == child)
				stop_with(child, info.si_status);
			continue;
		}
		if (info.si_pid == child) {
			*status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
			return true;
		}
	}
}

/* Handles one signal; false when the parent has died. */
static bool handle_signal(int signals, pid_t child)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof info) == (ssize_t)sizeof info) {
		int signal = (int)info.ssi_signo;
		if (signal == PARENT_DIED)
			return false;
		if (signal == SIGCHLD)
			continue;
		kill(child, signal);
		/* It may have been stopped meanwhile, and would act on the signal when it is continued. */
		kill(child, SIGCONT);
	}
	return true;
}

/*
 * What the terminal sends is for the child alone. What came while it was blocked may have come before there was a
 * child, so the child gets it, perhaps a second time.
 */
static void leave_keyboard_to(pid_t child)
{
	static const int keyboard[] = { SIGINT, SIGQUIT };
	sigset_t pending;

	sigpending(&pending);
	for (size_t i = 0; i < sizeof keyboard / sizeof *keyboard; i++) {
		if (sigismember(&pending, keyboard[i]))
			kill(child, keyboard[i]);
		signal(keyboard[i], SIG_IGN);
	}
	/* SIGUSR1 makes vdens print its counters; it must never end us. */
	signal(SIGUSR1, SIG_IGN);
}

void let_go_of_streams(void)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++) {
		if (nothing < 0)
			close(fd);
		else
			dup2(nothing, fd);
	}
	if (nothing > STDOUT_FILENO)
		close(nothing);
}

/* Who started us, known before anything can have happened to it. */
static pid_t own_parent;

void remember_parent(void)
{
	own_parent = getppid();
}

bool parent_is_gone(void)
{
	return getppid() != own_parent;
}

int supervise(void (*child)(void *), void *context, bool outlives_parent, void (*forked)(void))
{
	sigset_t watched, keyboard, original;
	pid_t self = getpid();

	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGHUP);
	sigaddset(&watched, PARENT_DIED);
	sigprocmask(SIG_BLOCK, &watched, &original);
	int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		fail("fork", "signalfd");
	sigemptyset(&keyboard);
	sigaddset(&keyboard, SIGINT);
	sigaddset(&keyboard, SIGQUIT);
	sigaddset(&keyboard, SIGUSR1);
	sigprocmask(SIG_BLOCK, &keyboard, NULL);

	pid_t pid = fork();
	if (pid < 0)
		fail("fork", "fork");
	if (pid == 0) {
		own_parent = self;
		sigprocmask(SIG_SETMASK, &original, NULL);
		close(signals);
		child(context);
		_exit(STATUS_OWN_FAILURE);
	}
	leave_keyboard_to(pid);
	sigprocmask(SIG_UNBLOCK, &keyboard, NULL);
	if (forked != NULL)
		forked();
	bool parent_alive = true;
	if (!outlives_parent) {
		/* After the last change of credentials, which would clear it (prctl(2)). */
		prctl(PR_SET_PDEATHSIG, PARENT_DIED);
		parent_alive = !parent_is_gone();
	}

	int status = STATUS_OWN_FAILURE;
	struct pollfd watch = { .fd = signals, .events = POLLIN };
	while (parent_alive) {
		if (child_ended(pid, &status))
			break;
		if (poll(&watch, 1, -1) > 0)
			parent_alive = handle_signal(signals, pid);
	}
	end_leftovers(!parent_alive);
	close(signals);
	return status;
}
