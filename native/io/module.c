/*
 * The addon: what Node.js cannot do itself (readiness of any descriptor, batched I/O, TAP ioctls,
 * descriptor passing, exec) and the byte work that must be fast. Typed in src/system/native.ts.
 */
#include "capability.h"
#include "capture_binding.h"
#include "datagram.h"
#include "frames_binding.h"
#include "gateway_binding.h"
#include "given_socket.h"
#include "fabric_binding.h"
#include "tunnel_binding.h"
#include "memory.h"
#include "packet_socket.h"
#include "process.h"
#include "reactor.h"
#include "serial.h"
#include "socket.h"
#include "stream.h"
#include "tap.h"
#include "timer.h"
#include "wire.h"

NAPI_MODULE_INIT()
{
	frames_init(env, exports);
	/* Before the fabrics, so that it is cleaned up after them. */
	tunnel_init(env, exports);
	gateway_init(env, exports);
	/* Before the fabrics, so that it is cleaned up after them. */
	capture_init(env, exports);
	fabric_init(env, exports);
	reactor_init(env, exports);
	tap_init(env, exports);
	wire_init(env, exports);
	serial_init(env, exports);
	given_socket_init(env, exports);
	datagram_init(env, exports);
	stream_init(env, exports);
	socket_init(env, exports);
	packet_socket_init(env, exports);
	memory_init(env, exports);
	timer_init(env, exports);
	process_init(env, exports);
	capability_init(env, exports);
	return exports;
}
