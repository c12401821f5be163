/*
 * The command's capabilities: exactly `mask`, as permitted, effective, inheritable and ambient set
 * (capabilities(7): ambient capabilities survive execve of an ordinary program). uid 0 inside regains
 * the full set at execve, as always.
 */
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launch.h"

void set_ambient_capabilities(uint64_t mask)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (int word = 0; word < 2; word++) {
		uint32_t bits = (uint32_t)(mask >> (32 * word));
		data[word] = (struct __user_cap_data_struct){ .effective = bits, .permitted = bits, .inheritable = bits };
	}
	if (syscall(SYS_capset, &header, data) != 0)
		fail("capabilities", "capset");
	for (unsigned long capability = 0; capability < 64; capability++) {
		if ((mask >> capability & 1) == 0)
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0)
			fail("capabilities", "ambient");
	}
}
