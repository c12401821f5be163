/*
 * launch: the helper that makes (or joins) the namespaces and becomes the parent of the command.
 *
 * Node.js is multithreaded, so it can neither unshare nor join a user namespace itself
 * (unshare(2), setns(2): EINVAL). This program is single-threaded and decides nothing: what to do
 * comes as plain arguments from src/system/launcher.ts, which also documents the control socket.
 */
#ifndef VDENS_LAUNCH_H
#define VDENS_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Their descriptors and the rtnetlink socket go out in one message, which holds 253 (unix(7)). */
#define MAX_TAPS 252
#define MAX_ETC_FILES 8
/* A few for each interface. */
#define MAX_SYSCTLS 1024

/* Our own failure, told apart from the command's exit statuses as env(1) does. */
#define STATUS_OWN_FAILURE 125
#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND 127

/* How a file of the private /etc comes about. */
enum etc_source { ETC_WRITE, ETC_APPEND, ETC_BIND };

struct etc_file {
	enum etc_source source;
	char *name;
	char *value; /* text to write or append, or the path to bind */
	bool handed_out; /* the parent gets a descriptor, and writes it again and again */
	int fd;          /* that descriptor, once there is one */
};

struct launch_options {
	int control;           /* hold the namespaces for the parent at this socket, or -1 */
	bool guard;            /* nobody outside watches over us: do it ourselves */
	pid_t join;            /* join the namespaces of this process, or 0 */
	bool supervise_only;   /* no namespaces: just supervise the command */
	bool root;             /* map the user to uid 0 */
	bool mounts;           /* a mount namespace of our own */
	uint64_t capabilities; /* ambient set of the command */
	uint64_t ignored_signals; /* the command ignores signal n when bit n - 1 is set */
	rlim_t open_files; /* the command's soft limit, or 0: as ours is */
	char *hostname;
	char *explain; /* program that says in words why we failed, or NULL */
	const char *program; /* whose name errors begin with */
	char *taps[MAX_TAPS];
	size_t tap_count;
	char *listening[MAX_TAPS]; /* interfaces of which the parent hears DHCP and router advertisements */
	size_t listening_count;
	char *sysctls[MAX_SYSCTLS]; /* PATH=VALUE below /proc/sys/net, written where that is allowed */
	size_t sysctl_count;
	struct etc_file etc[MAX_ETC_FILES];
	size_t etc_count;
	char **command;
};

/* report.c */
void report_init(const struct launch_options *options);
/* Says which step failed with which errno (to the parent, or through the explain program); does not return. */
_Noreturn void fail(const char *step, const char *subject);

/* namespaces.c */
void make_namespaces(const struct launch_options *options);
/* Settings of the network namespace; one that cannot be written stays as it is. */
void write_sysctls(const struct launch_options *options);
void join_namespaces(pid_t pid);

/* etc.c */
void make_private_etc(struct launch_options *options);

/* mirror.c */
/* Puts `folder` in the place of /etc, completed by what is in there; false when that cannot be. */
bool mirror_etc(const char *folder);

/* capabilities.c */
void set_ambient_capabilities(uint64_t mask);

/* listen.c */
/* A packet socket that hears what is for a DHCP client on that interface. */
int open_client_socket(const char *name);
/* Takes the ports of such a client, for ever. */
void keep_client_ports(const char *name);

/* control.c */
void send_interfaces(const struct launch_options *options);
/* Waits until the parent is gone. */
void hold_namespaces(int control);

/* supervise.c */
/* To be called first of all: the parent of this moment is the one to watch. */
void remember_parent(void);
bool parent_is_gone(void);
/*
 * Forks `child`, passes SIGTERM and SIGHUP on to it, and ends every process it leaves behind.
 * When our own parent dies, so do they, unless `outlives_parent`: a shell may leave us in the background.
 * `forked`, unless NULL, is called in the parent after the fork.
 * Returns the child's exit status, 128+n when signal n ended it.
 */
int supervise(void (*child)(void *), void *context, bool outlives_parent, void (*forked)(void));
/* Standard input and output are the child's alone: whoever is at their other end notices when it closes them. */
void let_go_of_streams(void);

#endif
