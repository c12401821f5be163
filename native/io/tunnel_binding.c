/*
 * The doors from JavaScript to tunnel.c and underlay.c: arguments are checked here.
 */
#include "tunnel_binding.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "datapath.h"

#define MAX_TUNNELS 4096
/* Who gets what is for everybody: each costs a copy of it. */
#define MAX_TARGETS 2048

/* Flags of a tunnel. */
#define TUNNEL_IS_STRICT 1
#define TUNNEL_FORCES_PORT 2
#define TUNNEL_IS_LINE 4

#define REPORT_WORDS 3
#define WORDS_PER_STATION 3
#define ADDRESS_BYTES sizeof(union udp_address)

struct underlay_handle {
	struct underlay underlay;
	napi_env env;
};

struct tunnel_handle {
	struct tunnel tunnel;
	napi_env env;
};

/* Guarded by the lock of the datapath. */
static struct underlay_handle *underlays[MAX_TUNNELS];
static struct tunnel_handle *tunnels[MAX_TUNNELS];

struct tunnel *find_tunnel(int32_t id)
{
	return id >= 0 && id < MAX_TUNNELS && tunnels[id] != NULL ? &tunnels[id]->tunnel : NULL;
}

static struct underlay *find_underlay(int32_t id)
{
	return id >= 0 && id < MAX_TUNNELS && underlays[id] != NULL ? &underlays[id]->underlay : NULL;
}

/*
 * underlayOpen(unicast, multicast, segments): a number for two sockets, the second -1 when there is none, or -errno.
 * They have to stay open until underlayClose. `segments`: whether the kernel may cut what is sent.
 */
static napi_value underlay_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t unicast, multicast, segments;
	int32_t id = 0;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &unicast) ||
	    !get_int(&arguments, 1, &multicast) || !get_int(&arguments, 2, &segments))
		return NULL;
	struct underlay_handle *handle = calloc(1, sizeof *handle);
	if (handle == NULL)
		return number(env, -ENOMEM);
	handle->env = env;
	int error = underlay_prepare(&handle->underlay, unicast, multicast, segments != 0);
	datapath_lock();
	if (error == 0)
		error = datapath_start();
	while (id < MAX_TUNNELS && underlays[id] != NULL)
		id++;
	if (error == 0 && id == MAX_TUNNELS)
		error = ENOSPC;
	if (error == 0)
		underlays[id] = handle;
	datapath_unlock();
	if (error != 0)
		free(handle);
	return number(env, error == 0 ? id : -error);
}

/* underlayRefresh(underlay): addresses and paths may be others now. */
static napi_value refresh(napi_env env, napi_callback_info info)
{
	int32_t id;

	if (!get_number(env, info, &id))
		return NULL;
	datapath_lock();
	struct underlay *underlay = find_underlay(id);
	if (underlay != NULL)
		underlay_refresh(underlay);
	datapath_unlock();
	return NULL;
}

/*
 * tunnelOpen(underlay, header, flags, port, tableSize, seed, expireMs): a number for a tunnel whose packets begin with
 * the header (of 8 bytes, or none), or -errno: EADDRINUSE when there is one with the same header.
 */
static napi_value tunnel_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes header;
	int32_t underlay_id, flags, port, size, seed, expire_ms;
	int32_t id = 0;

	if (!get_arguments(env, info, 7, &arguments) || !get_int(&arguments, 0, &underlay_id) ||
	    !get_bytes(&arguments, 1, &header) || !get_int(&arguments, 2, &flags) || !get_int(&arguments, 3, &port) ||
	    !get_int(&arguments, 4, &size) || !get_int(&arguments, 5, &seed) || !get_int(&arguments, 6, &expire_ms))
		return NULL;
	if (header.length != 0 && header.length != VXLAN_HEADER) {
		napi_throw_type_error(env, NULL, "expected a header of 8 bytes, or none");
		return NULL;
	}
	struct tunnel_handle *handle = calloc(1, sizeof *handle);
	if (handle == NULL)
		return number(env, -ENOMEM);
	struct tunnel *tunnel = &handle->tunnel;
	handle->env = env;
	tunnel->header_length = (uint32_t)header.length;
	if (header.length > 0)
		memcpy(tunnel->header, header.data, header.length);
	tunnel->is_strict = (flags & TUNNEL_IS_STRICT) != 0;
	tunnel->forces_port = (flags & TUNNEL_FORCES_PORT) != 0;
	tunnel->is_line = (flags & TUNNEL_IS_LINE) != 0;
	tunnel->port = htons((uint16_t)port);
	int error = tunnel_prepare(tunnel, size < 0 ? 0 : (uint32_t)size, (uint32_t)seed,
				   expire_ms < 0 ? 0 : (uint32_t)expire_ms);
	datapath_lock();
	struct underlay *underlay = find_underlay(underlay_id);
	if (error == 0 && underlay == NULL)
		error = EINVAL;
	if (error == 0 && underlay_has(underlay, tunnel))
		error = EADDRINUSE;
	while (id < MAX_TUNNELS && tunnels[id] != NULL)
		id++;
	if (error == 0 && id == MAX_TUNNELS)
		error = ENOSPC;
	if (error == 0) {
		tunnels[id] = handle;
		underlay_add(underlay, tunnel);
	}
	datapath_unlock();
	if (error != 0) {
		tunnel_release(tunnel);
		free(handle);
	}
	return number(env, error == 0 ? id : -error);
}

/* tunnelSetTargets(tunnel, addresses): who gets what is for everybody; struct sockaddr_in6 or sockaddr_in, 28 bytes each. */
static napi_value set_targets(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes addresses;
	int32_t id;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_bytes(&arguments, 1, &addresses))
		return NULL;
	const size_t count = addresses.length / ADDRESS_BYTES;
	union udp_address *targets = count > MAX_TARGETS ? NULL : calloc(count + 1, ADDRESS_BYTES);
	if (targets == NULL)
		return number(env, -ENOMEM);
	if (count > 0)
		memcpy(targets, addresses.data, count * ADDRESS_BYTES);
	datapath_lock();
	struct tunnel *tunnel = find_tunnel(id);
	if (tunnel != NULL)
		tunnel_set_targets(tunnel, targets, (uint32_t)count);
	datapath_unlock();
	if (tunnel == NULL)
		free(targets);
	return number(env, tunnel == NULL ? -EINVAL : 0);
}

/* tunnelSetFit(tunnel, bytes): the longest frame that fits one packet of the path. Longer ones are told of anew. */
static napi_value set_fit(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, bytes;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) || !get_int(&arguments, 1, &bytes))
		return NULL;
	datapath_lock();
	struct tunnel *tunnel = find_tunnel(id);
	if (tunnel != NULL)
		tunnel->fit = bytes < 0 ? 0 : (uint32_t)bytes;
	datapath_unlock();
	return NULL;
}

/* tunnelNotice(tunnel): a descriptor that is readable when there are reports; it goes with the tunnel. */
static napi_value notice(napi_env env, napi_callback_info info)
{
	int32_t id;

	if (!get_number(env, info, &id))
		return NULL;
	datapath_lock();
	const struct tunnel *tunnel = find_tunnel(id);
	int fd = tunnel == NULL ? -EINVAL : tunnel->notice;
	datapath_unlock();
	return number(env, fd);
}

/* tunnelReports(tunnel, words): what is to be known: TUNNEL_ bits, a frame's length, an errno. Each bit comes once. */
static napi_value reports(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, *words;
	size_t length;
	eventfd_t ignored;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_words(&arguments, 1, REPORT_WORDS, &words, &length))
		return NULL;
	datapath_lock();
	struct tunnel *tunnel = find_tunnel(id);
	if (tunnel != NULL) {
		eventfd_read(tunnel->notice, &ignored);
		words[0] = (int32_t)tunnel->reports;
		words[1] = (int32_t)tunnel->reported_length;
		words[2] = tunnel->reported_errno;
		tunnel->reports = 0;
	}
	datapath_unlock();
	return NULL;
}

/* tunnelListen(tunnel, bits): these TUNNEL_ bits are to be told again. */
static napi_value listen_again(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, bits;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) || !get_int(&arguments, 1, &bits))
		return NULL;
	datapath_lock();
	struct tunnel *tunnel = find_tunnel(id);
	if (tunnel != NULL)
		tunnel->muted &= ~(uint32_t)bits;
	datapath_unlock();
	return NULL;
}

/*
 * tunnelStations(tunnel, words, addresses): who is known to be where: three words each, the key's low and high half
 * (struct forwarding_entry) and the age in tenths of a second, and 28 bytes of address. How many; no more than there is
 * room for.
 */
static napi_value stations(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes addresses;
	int32_t id, *words;
	size_t length, count = 0;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_words(&arguments, 1, 0, &words, &length) || !get_bytes(&arguments, 2, &addresses))
		return NULL;
	datapath_lock();
	const struct tunnel *tunnel = find_tunnel(id);
	const uint32_t size = tunnel == NULL ? 0 : tunnel->table.size;
	for (uint32_t i = 0; i < size; i++) {
		const struct forwarding_entry *entry = &tunnel->table.entries[i];
		const uint32_t now = tunnel_now(tunnel);
		if (!forwarding_entry_is_fresh(&tunnel->table, entry, now))
			continue;
		const struct endpoint *endpoint = endpoint_table_of(&tunnel->endpoints, entry->port);
		if (endpoint == NULL)
			continue;
		if ((count + 1) * WORDS_PER_STATION > length || (count + 1) * ADDRESS_BYTES > addresses.length)
			break;
		words[count * WORDS_PER_STATION] = (int32_t)(uint32_t)entry->key;
		words[count * WORDS_PER_STATION + 1] = (int32_t)(uint32_t)(entry->key >> 32);
		words[count * WORDS_PER_STATION + 2] = (int32_t)(now - entry->seen);
		memcpy(addresses.data + count * ADDRESS_BYTES, &endpoint->address, ADDRESS_BYTES);
		count++;
	}
	datapath_unlock();
	return number(env, (int64_t)count);
}

/* tunnelAdvance(tunnel, ms): makes the clock by which addresses age go ahead. */
static napi_value advance(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, ms;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) || !get_int(&arguments, 1, &ms))
		return NULL;
	datapath_lock();
	struct tunnel *tunnel = find_tunnel(id);
	if (tunnel != NULL)
		tunnel->clock_ms += ms;
	datapath_unlock();
	return NULL;
}

/* tunnelAnnounce(tunnel): shows everybody where our stations are now. */
static napi_value announce(napi_env env, napi_callback_info info)
{
	int32_t id;

	if (!get_number(env, info, &id))
		return NULL;
	datapath_lock();
	struct tunnel *tunnel = find_tunnel(id);
	if (tunnel != NULL)
		tunnel_announce(tunnel);
	datapath_unlock();
	return NULL;
}

/* To be called with the lock, when the tunnel is behind no port. */
static void close_tunnel(int32_t id)
{
	struct tunnel_handle *handle = tunnels[id];

	tunnels[id] = NULL;
	tunnel_leave(&handle->tunnel);
	underlay_remove(handle->tunnel.underlay, &handle->tunnel);
	tunnel_release(&handle->tunnel);
	free(handle);
}

/* tunnelClose(tunnel): 0, or -EBUSY when it is behind a port. Those who know us are told. */
static napi_value tunnel_close(napi_env env, napi_callback_info info)
{
	int32_t id;

	if (!get_number(env, info, &id))
		return NULL;
	datapath_lock();
	const struct tunnel *tunnel = find_tunnel(id);
	const bool is_busy = tunnel != NULL && tunnel->member != NULL;
	if (tunnel != NULL && !is_busy)
		close_tunnel(id);
	datapath_unlock();
	return number(env, is_busy ? -EBUSY : 0);
}

static void close_underlay(int32_t id)
{
	free(underlays[id]);
	underlays[id] = NULL;
}

/* underlayClose(underlay): 0, or -EBUSY when tunnels use it. The sockets may be closed afterwards. */
static napi_value underlay_close(napi_env env, napi_callback_info info)
{
	int32_t id;

	if (!get_number(env, info, &id))
		return NULL;
	datapath_lock();
	const struct underlay *underlay = find_underlay(id);
	const bool is_busy = underlay != NULL && underlay->tunnels != NULL;
	if (underlay != NULL && !is_busy)
		close_underlay(id);
	datapath_unlock();
	return number(env, is_busy ? -EBUSY : 0);
}

/* The sockets of an underlay, which nobody else closes any more: their ports are to be free again. */
static void close_sockets(const struct underlay *underlay)
{
	close(underlay->unicast.watch.fd);
	if (underlay->multicast.watch.fd >= 0)
		close(underlay->multicast.watch.fd);
}

/* A worker thread of Node.js ends, and its fabrics are closed: nobody closes its tunnels any more. */
static void close_tunnels_of(void *env)
{
	datapath_lock();
	for (int32_t id = 0; id < MAX_TUNNELS; id++) {
		if (tunnels[id] != NULL && tunnels[id]->env == env)
			close_tunnel(id);
	}
	for (int32_t id = 0; id < MAX_TUNNELS; id++) {
		if (underlays[id] == NULL || underlays[id]->env != env)
			continue;
		close_sockets(&underlays[id]->underlay);
		close_underlay(id);
	}
	datapath_unlock();
}

void tunnel_init(napi_env env, napi_value exports)
{
	napi_add_env_cleanup_hook(env, close_tunnels_of, env);
	export_function(env, exports, "underlayOpen", underlay_open);
	export_function(env, exports, "underlayRefresh", refresh);
	export_function(env, exports, "underlayClose", underlay_close);
	export_function(env, exports, "tunnelOpen", tunnel_open);
	export_function(env, exports, "tunnelSetTargets", set_targets);
	export_function(env, exports, "tunnelSetFit", set_fit);
	export_function(env, exports, "tunnelNotice", notice);
	export_function(env, exports, "tunnelReports", reports);
	export_function(env, exports, "tunnelListen", listen_again);
	export_function(env, exports, "tunnelStations", stations);
	export_function(env, exports, "tunnelAdvance", advance);
	export_function(env, exports, "tunnelAnnounce", announce);
	export_function(env, exports, "tunnelClose", tunnel_close);
}
