/*
 * Serial lines (termios(3), ioctl_tty(2)): as they are to be for frames, and as they were.
 *
 * struct termios2 is the kernel's own: with it a line can have any speed, where that of the C library knows a list.
 */
#include "serial.h"

#include <asm/termbits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Of the ends of pseudo-terminals that are like serial lines (Documentation/admin-guide/devices.txt of Linux). */
#define FIRST_PTY_MAJOR 136
#define LAST_PTY_MAJOR 143

/* The device shall not tell of the other side's modem, and shall change, stop and echo nothing. */
static void make_raw(struct termios2 *settings, uint32_t speed)
{
	settings->c_iflag = IGNBRK;
	settings->c_oflag = 0;
	settings->c_lflag = 0;
	settings->c_cflag = CS8 | CREAD | CLOCAL | BOTHER;
	settings->c_ispeed = speed;
	settings->c_ospeed = speed;
	settings->c_cc[VMIN] = 1;
	settings->c_cc[VTIME] = 0;
}

/*
 * Has nobody else open it. With a pseudo-terminal that would last for as long as anybody has the other end open, whatever
 * becomes of us; the lock on the file (flock(2)), which ends with us, has to do there.
 */
static int have_alone(int fd)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return -1;
	const bool is_pty = major(status.st_rdev) >= FIRST_PTY_MAJOR && major(status.st_rdev) <= LAST_PTY_MAJOR;
	return is_pty ? 0 : ioctl(fd, TIOCEXCL);
}

/*
 * serialConfigure(fd, speed, before): makes the line raw, of that speed in bit/s, and nobody else's; 0 or -errno. The
 * bytes get what it was like, for serialRestore. What came in before is thrown away.
 */
static napi_value serial_configure(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes before;
	struct termios2 settings;
	int32_t fd, speed;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_int(&arguments, 1, &speed) || !get_bytes(&arguments, 2, &before))
		return NULL;
	if (before.length < sizeof settings) {
		napi_throw_range_error(env, NULL, "expected room for the settings of a line");
		return NULL;
	}
	if (ioctl(fd, TCGETS2, &settings) != 0)
		return number(env, -errno);
	memcpy(before.data, &settings, sizeof settings);
	make_raw(&settings, (uint32_t)speed);
	if (ioctl(fd, TCSETS2, &settings) != 0 || have_alone(fd) != 0)
		return number(env, -errno);
	return result_or_errno(env, ioctl(fd, TCFLSH, TCIFLUSH));
}

/* serialRestore(fd, before): the line is as it was, and open to others; 0 or -errno. */
static napi_value serial_restore(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes before;
	struct termios2 settings;
	int32_t fd;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_bytes(&arguments, 1, &before))
		return NULL;
	if (before.length < sizeof settings) {
		napi_throw_range_error(env, NULL, "expected the settings of a line");
		return NULL;
	}
	memcpy(&settings, before.data, sizeof settings);
	/* What waits to leave may be waiting for ever, and closing would wait for it. */
	ioctl(fd, TCFLSH, TCOFLUSH);
	ioctl(fd, TIOCNXCL);
	return result_or_errno(env, ioctl(fd, TCSETS2, &settings));
}

void serial_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "serialConfigure", serial_configure);
	export_function(env, exports, "serialRestore", serial_restore);
}
