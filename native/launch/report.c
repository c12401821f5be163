/*
 * How a failure reaches a person: as a message on the control socket, where the parent puts it into
 * words; through the explain program, when there is no parent; as a bare line otherwise.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launch.h"

static const struct launch_options *reporting;

void report_init(const struct launch_options *options)
{
	reporting = options;
}

void fail(const char *step, const char *subject)
{
	int error = errno;
	char number[16];
	char message[512];

	snprintf(number, sizeof number, "%d", error);
	if (reporting != NULL && reporting->control >= 0) {
		int length = snprintf(message, sizeof message, "F%s\n%s\n%s", step, number, subject);
		if (length > (int)sizeof message - 1)
			length = (int)sizeof message - 1;
		(void)!send(reporting->control, message, (size_t)length, MSG_NOSIGNAL);
		exit(STATUS_OWN_FAILURE);
	}
	if (reporting != NULL && reporting->explain != NULL)
		execl(reporting->explain, reporting->explain, "--explain-launch-failure", step, number, subject, (char *)NULL);
	fprintf(stderr, "vdens: %s %s: %s. Run: vde doctor\n", step, subject, strerror(error));
	exit(STATUS_OWN_FAILURE);
}
