/*
 * Memory that two processes share: a file without a name (memfd_create(2)), mapped by both. It is sealed against
 * shrinking, because who touches what was cut off is killed by SIGBUS.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

/* memoryOpen(size): a descriptor of so many zero bytes, sealed; or -errno. */
static napi_value memory_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t size;

	if (!get_arguments(env, info, 1, &arguments) || !get_int(&arguments, 0, &size))
		return NULL;
	int fd = memfd_create("vdens-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return number(env, -errno);
	if (ftruncate(fd, size) != 0 || fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) != 0) {
		int error = errno;
		close(fd);
		return number(env, -error);
	}
	return number(env, fd);
}

static void unmap(napi_env env, void *data, void *hint)
{
	(void)env;
	munmap(data, (size_t)(uintptr_t)hint);
}

/*
 * memoryMap(fd, size): an ArrayBuffer of its first bytes, or undefined when it is not sealed or not so large. The
 * descriptor may be closed.
 */
static napi_value memory_map(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct stat status;
	int32_t fd, size;
	napi_value buffer;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &fd) ||
	    !get_int(&arguments, 1, &size) || size <= 0)
		return NULL;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &status) != 0 || status.st_size < size)
		return NULL;
	void *data = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return NULL;
	if (napi_create_external_arraybuffer(env, data, (size_t)size, unmap, (void *)(uintptr_t)size, &buffer) !=
	    napi_ok) {
		munmap(data, (size_t)size);
		return NULL;
	}
	return buffer;
}

void memory_init(napi_env env, napi_value exports)
{
	export_function(env, exports, "memoryOpen", memory_open);
	export_function(env, exports, "memoryMap", memory_map);
}
