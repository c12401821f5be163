/*
 * The doors from JavaScript to fabric.c: arguments are checked here, and counters kept from being collected.
 */
#include "fabric_binding.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "bridge.h"
#include "datapath.h"
#include "frame_io.h"
#include "gateway_binding.h"
#include "tunnel_binding.h"
#include "vlan.h"

#define MAX_FABRICS 4096

/* Flags of what is attached to a port. */
#define END_IS_TAP 1
#define END_TAKES_SUPER 2
#define END_EMPTY_IS_END 4
#define END_AWAITS_OTHER 8
#define END_IS_TUNNEL 16
#define END_IS_GATEWAY 32
#define END_IS_WIRE 64

/* What fabricSend answers. */
#define SENT_IS_HELD 1
#define SENT_HAS_REPORTS 2

/* How a fabric forwards. */
#define HAS_TAGS 1
#define HAS_CONTROL 2
#define TAKES_TURNS 4

#define WORDS_PER_REPORT 2
#define WORDS_PER_CONTROL 2
#define WORDS_PER_ENTRY 4
/* Entries that are counted while frames wait. */
#define COUNT_AT_ONCE 16384

/* A fabric that JavaScript opened. */
struct handle {
	struct fabric fabric;
	napi_env env;
};

/* A port that JavaScript added. */
struct handle_port {
	struct member member;
	double *script_counters;
	napi_ref script_reference;
	napi_ref end_reference;
};

/* Guarded by the lock of the datapath. */
static struct handle *fabrics[MAX_FABRICS];

static struct handle *find_fabric(int32_t id)
{
	return id >= 0 && id < MAX_FABRICS ? fabrics[id] : NULL;
}

static struct handle_port *find_port(int32_t id)
{
	return (struct handle_port *)datapath_member((uint32_t)id);
}

/* The numbers of a PlugCounters, kept from being collected for as long as the reference lives. */
static double *get_counters(const struct arguments *arguments, size_t index, napi_ref *reference)
{
	napi_typedarray_type type;
	size_t length;
	void *data;

	if (napi_get_typedarray_info(arguments->env, arguments->values[index], &type, &length, &data, NULL, NULL) !=
		    napi_ok ||
	    type != napi_float64_array || length < COUNTER_VALUES) {
		napi_throw_type_error(arguments->env, NULL, "expected the counters of a plug");
		return NULL;
	}
	napi_create_reference(arguments->env, arguments->values[index], 1, reference);
	return data;
}

static void drop_reference(napi_env env, napi_ref *reference)
{
	if (*reference != NULL)
		napi_delete_reference(env, *reference);
	*reference = NULL;
}

/* JavaScript is behind the port: what it sends comes in here, what leaves here it receives. */
static void become_script(struct handle_port *handle)
{
	struct port *port = &handle->member.port;

	*port = (struct port){ .kind = PORT_SCRIPT, .fd = -1, .takes_super = true, .max_frame = MAX_FRAME_BYTES,
			       .queue = port->queue };
	port->sent = handle->script_counters;
	port->received = handle->script_counters + COUNTERS_PER_DIRECTION;
	port->capture = handle->script_counters + CAPTURE_COUNTER;
}

/* fabricOpen(tableSize, seed, expireMs): a number for a fabric without ports, or -errno. */
static napi_value fabric_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t size, seed, expire_ms;
	int32_t id = 0;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &size) ||
	    !get_int(&arguments, 1, &seed) || !get_int(&arguments, 2, &expire_ms))
		return NULL;
	struct handle *handle = calloc(1, sizeof *handle);
	if (handle == NULL)
		return number(env, -ENOMEM);
	handle->env = env;
	int error = fabric_prepare(&handle->fabric, size < 0 ? 0 : (uint32_t)size, (uint32_t)seed,
				   expire_ms < 0 ? 0 : (uint32_t)expire_ms);
	datapath_lock();
	if (error == 0)
		error = datapath_start();
	while (id < MAX_FABRICS && fabrics[id] != NULL)
		id++;
	if (error == 0 && id == MAX_FABRICS)
		error = ENOSPC;
	if (error == 0)
		fabrics[id] = handle;
	datapath_unlock();
	if (error != 0) {
		fabric_release(&handle->fabric);
		free(handle);
		return number(env, -error);
	}
	return number(env, id);
}

/* fabricNotice(fabric): a descriptor that is readable when a port has reports; it goes with the fabric. */
static napi_value fabric_notice(napi_env env, napi_callback_info info)
{
	int32_t id;

	if (!get_number(env, info, &id))
		return NULL;
	datapath_lock();
	const struct handle *handle = find_fabric(id);
	int notice = handle == NULL ? -EINVAL : handle->fabric.notice;
	datapath_unlock();
	return number(env, notice);
}

/* A bit for each VLAN; none at all where the array is empty. */
static bool get_vlan_set(const struct arguments *arguments, size_t index, struct vlan_set *set)
{
	struct bytes bytes;

	if (!get_bytes(arguments, index, &bytes))
		return false;
	*set = (struct vlan_set){ 0 };
	if (bytes.length == 0)
		return true;
	if (bytes.length != sizeof set->bits) {
		napi_throw_range_error(arguments->env, NULL, "expected a bit for each VLAN");
		return false;
	}
	memcpy(set->bits, bytes.data, sizeof set->bits);
	return true;
}

/* Three arguments from @index on: untagged, tagged, closed (struct port_vlans). */
static bool get_vlans(const struct arguments *arguments, size_t index, struct port_vlans *vlans)
{
	int32_t untagged;

	if (!get_int(arguments, index, &untagged) || !get_vlan_set(arguments, index + 1, &vlans->tagged) ||
	    !get_vlan_set(arguments, index + 2, &vlans->closed))
		return false;
	vlans->untagged = (uint16_t)(untagged < 0 || untagged > VLAN_NONE ? VLAN_NONE : untagged);
	return true;
}

/* Adds a port to a fabric, in its group and VLANs from the first frame on; 0 or an errno. */
static int add_member(struct fabric *fabric, struct member *member, int32_t group, const struct port_vlans *vlans)
{
	/* The two highest numbers mean other things (bridge.c). */
	const bool has_group = group >= 0 && group < INT32_MAX - 1;
	int error = datapath_enter(member);

	if (error != 0)
		return error;
	error = fabric_add(fabric, member, has_group ? FIRST_GROUP + (uint32_t)group : 0);
	if (error == 0) {
		error = fabric_put_into_vlans(member, vlans);
		if (error != 0)
			fabric_remove(member);
	}
	if (error != 0)
		datapath_leave(member);
	return error;
}

/*
 * fabricAddPort(fabric, counters, group, untagged, tagged, closed): a number for a port with JavaScript behind it, or
 * -errno. The counters are those of the plug that JavaScript has in its hands. A group is a number of 2^31, or -1
 * (struct member); the VLANs are those of struct port_vlans.
 */
static napi_value fabric_add_port(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct port_vlans vlans;
	int32_t id, group;

	if (!get_arguments(env, info, 6, &arguments) || !get_int(&arguments, 0, &id) || !get_int(&arguments, 2, &group) ||
	    !get_vlans(&arguments, 3, &vlans))
		return NULL;
	struct handle_port *port = calloc(1, sizeof *port);
	if (port == NULL)
		return number(env, -ENOMEM);
	port->script_counters = get_counters(&arguments, 1, &port->script_reference);
	if (port->script_counters == NULL) {
		free(port);
		return NULL;
	}
	become_script(port);
	datapath_lock();
	struct handle *handle = find_fabric(id);
	int error = handle == NULL ? EINVAL : add_member(&handle->fabric, &port->member, group, &vlans);
	datapath_unlock();
	if (error != 0) {
		drop_reference(env, &port->script_reference);
		free(port);
		return number(env, -error);
	}
	return number(env, port->member.id);
}

/* Puts JavaScript back behind the port; the descriptor is not touched afterwards. */
static void detach(struct handle_port *handle)
{
	if (handle->member.port.kind == PORT_SCRIPT)
		return;
	fabric_unwatch(&handle->member);
	port_drop(&handle->member.port, DROP_DOWN);
	become_script(handle);
	fabric_settle(&handle->member);
}

/*
 * fabricAttach(port, fd, flags, maxFrameBytes, counters): puts a TAP, a packet socket, a socket, or a tunnel or gateway (by its number)
 * behind the port; 0 or -errno. It has to stay open until fabricDetach. What waited for JavaScript is dropped. The first of a line is not read until the second
 * is attached, when its flags say so: its frames would go nowhere.
 */
static napi_value fabric_attach(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, fd, flags, max_frame;
	napi_ref reference = NULL;

	if (!get_arguments(env, info, 5, &arguments) || !get_int(&arguments, 0, &id) || !get_int(&arguments, 1, &fd) ||
	    !get_int(&arguments, 2, &flags) || !get_int(&arguments, 3, &max_frame))
		return NULL;
	double *counters = get_counters(&arguments, 4, &reference);
	if (counters == NULL)
		return NULL;
	datapath_lock();
	struct handle_port *handle = find_port(id);
	struct tunnel *tunnel = flags & END_IS_TUNNEL ? find_tunnel(fd) : NULL;
	int error = handle == NULL || handle->member.port.kind != PORT_SCRIPT ? EINVAL : 0;
	if (flags & END_IS_TUNNEL && (tunnel == NULL || tunnel->member != NULL))
		error = EINVAL;
	struct gateway *gateway = flags & END_IS_GATEWAY ? find_gateway(fd) : NULL;
	if (flags & END_IS_GATEWAY && (gateway == NULL || gateway->member != NULL))
		error = EINVAL;
	if (error == 0) {
		struct port *port = &handle->member.port;
		port_drop(port, DROP_DOWN);
		*port = (struct port){
			.kind = tunnel != NULL		    ? PORT_TUNNEL
				: gateway != NULL	    ? PORT_GATEWAY
				: flags & (END_IS_TAP | END_IS_WIRE) ? PORT_TAP
								      : PORT_SOCKET,
			.is_wire = (flags & END_IS_WIRE) != 0,
			.fd = fd, .tunnel = tunnel, .gateway = gateway, .burst = { .size = 1 },
			.takes_super = (flags & END_TAKES_SUPER) != 0, .empty_is_end = (flags & END_EMPTY_IS_END) != 0,
			.max_frame = (uint32_t)max_frame, .received = counters,
			.sent = counters + COUNTERS_PER_DIRECTION, .capture = counters + CAPTURE_COUNTER,
			.queue = port->queue,
		};
		handle->member.reports = 0; /* they were about JavaScript behind the port */
		fabric_settle(&handle->member);
		if (flags & END_AWAITS_OTHER)
			fabric_await_other(&handle->member);
		error = fabric_watch(&handle->member);
		if (error != 0)
			detach(handle);
		else
			handle->end_reference = reference;
	}
	datapath_unlock();
	if (error != 0)
		drop_reference(env, &reference);
	return number(env, -error);
}

/* fabricDetach(port): JavaScript is behind it again. What still waited to leave is dropped and counted. */
static napi_value fabric_detach(napi_env env, napi_callback_info info)
{
	int32_t id;

	if (!get_number(env, info, &id))
		return NULL;
	datapath_lock();
	struct handle_port *handle = find_port(id);
	if (handle != NULL)
		detach(handle);
	datapath_unlock();
	if (handle != NULL)
		drop_reference(env, &handle->end_reference);
	return NULL;
}

/* To be called with the lock. */
static void take_out(struct handle_port *handle)
{
	detach(handle);
	fabric_remove(&handle->member);
	datapath_leave(&handle->member);
}

static void free_port(napi_env env, struct handle_port *handle)
{
	port_release(&handle->member.port);
	drop_reference(env, &handle->script_reference);
	drop_reference(env, &handle->end_reference);
	free(handle);
}

/* fabricRemovePort(port): what was heard there is not known any more. */
static napi_value fabric_remove_port(napi_env env, napi_callback_info info)
{
	int32_t id;

	if (!get_number(env, info, &id))
		return NULL;
	datapath_lock();
	struct handle_port *handle = find_port(id);
	if (handle != NULL)
		take_out(handle);
	datapath_unlock();
	if (handle != NULL)
		free_port(env, handle);
	return NULL;
}

static void count_good_frames(double *counters, const struct frame_slot *slots, int32_t count)
{
	for (int32_t i = 0; i < count; i++) {
		if (slots[i].length < MIN_FRAME_BYTES || slots[i].length > MAX_FRAME_BYTES)
			continue;
		counters[COUNT_FRAMES]++;
		counters[COUNT_BYTES] += slots[i].length;
	}
}

/*
 * fabricSend(port, arena, slots, count): sends the frames as what comes in at the port. The answer says whether
 * JavaScript behind it had better wait (SENT_IS_HELD), and whether there are reports to look at (SENT_HAS_REPORTS).
 * With a TAP or a socket behind the port these are the last frames of what was there before.
 */
static napi_value fabric_send(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	int32_t id, count;
	int answer = 0;

	if (!get_arguments(env, info, 4, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_batch(&arguments, 1, &batch) || !get_int(&arguments, 3, &count) ||
	    !check_slots(env, &batch, 0, count))
		return NULL;
	const struct frames frames = { .source = (uint32_t)id, .arena = batch.arena.data, .arena_size = batch.arena.length,
				       .slots = batch.slots, .count = (uint32_t)count };
	datapath_lock();
	struct handle_port *handle = find_port(id);
	if (handle != NULL) {
		struct member *member = &handle->member;
		const bool is_script = member->port.kind == PORT_SCRIPT;
		count_good_frames(handle->script_counters + COUNTERS_PER_DIRECTION, batch.slots, count);
		member->fabric->in_script = true;
		fabric_forward(member, &frames);
		member->fabric->in_script = false;
		answer = (is_script && member->held_by != NULL ? SENT_IS_HELD : 0) |
			 (member->fabric->has_reports ? SENT_HAS_REPORTS : 0);
	}
	datapath_unlock();
	return number(env, answer);
}

/*
 * fabricTake(port, arena, slots): moves frames that wait for JavaScript into a batch; how many. JavaScript has to look
 * at the reports afterwards: when frames remain, that is one.
 */
static napi_value fabric_take(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	int32_t id;
	uint32_t taken = 0;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_batch(&arguments, 1, &batch))
		return NULL;
	datapath_lock();
	struct handle_port *handle = find_port(id);
	if (handle != NULL && handle->member.port.kind == PORT_SCRIPT) {
		struct member *member = &handle->member;
		taken = port_take(&member->port, batch.arena.data, batch.arena.length, batch.slots,
				  (uint32_t)batch.capacity);
		member->fabric->in_script = true;
		fabric_settle(member);
		if (taken > 0 && port_waiting(&member->port) > 0)
			fabric_report(member, REPORT_PENDING);
		member->fabric->in_script = false;
	}
	datapath_unlock();
	return number(env, taken);
}

/*
 * fabricReports(fabric, words): what is to be known of the ports since the last call, two words each: the port, and
 * REPORT_ bits. How many ports; those that found no room come with the next call.
 */
static napi_value fabric_reports(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, *words;
	size_t length, count = 0;
	eventfd_t ignored;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_words(&arguments, 1, WORDS_PER_REPORT, &words, &length))
		return NULL;
	datapath_lock();
	struct handle *handle = find_fabric(id);
	struct fabric *fabric = handle == NULL ? NULL : &handle->fabric;
	bool has_more = false;
	if (fabric != NULL && fabric->has_reports)
		eventfd_read(fabric->notice, &ignored);
	for (uint32_t i = 0; fabric != NULL && fabric->has_reports && i < fabric->count; i++) {
		struct member *member = fabric->members[i];
		if (member->reports == 0)
			continue;
		has_more = (count + 1) * WORDS_PER_REPORT > length;
		if (has_more)
			break;
		words[count * WORDS_PER_REPORT] = (int32_t)member->id;
		words[count * WORDS_PER_REPORT + 1] = (int32_t)member->reports;
		member->reports = 0;
		count++;
	}
	if (fabric != NULL) {
		fabric->has_reports = has_more;
		if (has_more)
			eventfd_write(fabric->notice, 1);
	}
	datapath_unlock();
	return number(env, (int64_t)count);
}

/* Whether what the table has is known still: fresh, and heard at a port that is there. */
static const struct member *known_at(const struct fabric *fabric, uint32_t index)
{
	const struct forwarding_entry *entry = &fabric->table.entries[index];

	return entry->key == 0 ? NULL : fabric_member_of(fabric, entry, fabric_now(fabric));
}

/*
 * fabricTable(fabric, words): the addresses that are known, four words each: the key's low and high half (see
 * struct forwarding_entry), the port, the age in tenths of a second. How many; no more than there is room for.
 */
static napi_value fabric_table(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, *words;
	size_t length, count = 0;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_words(&arguments, 1, 0, &words, &length))
		return NULL;
	datapath_lock();
	const struct handle *handle = find_fabric(id);
	const uint32_t size = handle == NULL ? 0 : handle->fabric.table.size;
	for (uint32_t i = 0; i < size && (count + 1) * WORDS_PER_ENTRY <= length; i++) {
		const struct forwarding_entry *entry = &handle->fabric.table.entries[i];
		const struct member *port = known_at(&handle->fabric, i);
		int32_t *word = words + count * WORDS_PER_ENTRY;
		if (port == NULL)
			continue;
		word[0] = (int32_t)(uint32_t)entry->key;
		word[1] = (int32_t)(uint32_t)(entry->key >> 32);
		word[2] = (int32_t)port->id;
		word[3] = (int32_t)(fabric_now(&handle->fabric) - entry->seen);
		count++;
	}
	datapath_unlock();
	return number(env, (int64_t)count);
}

/* fabricCount(fabric): how many addresses are known. A large table is looked through with pauses for the frames. */
static napi_value fabric_count(napi_env env, napi_callback_info info)
{
	int32_t id;
	int64_t count = 0;

	if (!get_number(env, info, &id))
		return NULL;
	/* Only this thread closes the fabric. */
	const struct handle *handle = find_fabric(id);
	const uint32_t size = handle == NULL ? 0 : handle->fabric.table.size;
	for (uint32_t first = 0; first < size; first += COUNT_AT_ONCE) {
		datapath_lock();
		for (uint32_t i = first; i < size && i < first + COUNT_AT_ONCE; i++)
			count += known_at(&handle->fabric, i) != NULL;
		datapath_unlock();
	}
	return number(env, count);
}

/* fabricAdvance(fabric, ms): makes the clock by which addresses age go ahead. */
static napi_value fabric_advance(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, ms;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) || !get_int(&arguments, 1, &ms))
		return NULL;
	datapath_lock();
	struct handle *handle = find_fabric(id);
	if (handle != NULL)
		handle->fabric.clock_ms += ms;
	datapath_unlock();
	return NULL;
}

/* Makes room for frames for the bridge, and gives it back; 0 or an errno. */
static int set_control(struct fabric *fabric, bool is_wanted)
{
	if (!is_wanted) {
		bridge_end_control(fabric);
	} else if (fabric->control == NULL) {
		fabric->control = calloc(1, sizeof *fabric->control);
	}
	return is_wanted && fabric->control == NULL ? ENOMEM : 0;
}

/* Makes the table another size, or leaves it for -1, and sets whether frames for the bridge wait; 0 or an errno. */
static int reconfigure(struct fabric *fabric, int32_t size, bool has_control)
{
	struct forwarding_table table = { .seed = fabric->table.seed };

	if (size >= 0 && !forwarding_table_prepare(&table, (uint32_t)size))
		return ENOMEM;
	const int error = set_control(fabric, has_control);
	if (error != 0) {
		forwarding_table_release(&table);
		return error;
	}
	if (size >= 0) {
		forwarding_table_release(&fabric->table);
		fabric->table = table;
	}
	return 0;
}

/*
 * fabricConfigure(fabric, tableSize, expireMs, persistMs, flags): how it forwards from now on; 0 or -errno. A size of
 * -1 leaves the table as it is, any other forgets what is known. HAS_TAGS: tags say which VLAN a frame belongs to;
 * HAS_CONTROL: frames for the bridge itself wait for fabricControl; TAKES_TURNS: of the ports in a group, each in its turn
 * gets a frame that comes from outside the group.
 */
static napi_value fabric_configure(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, size, expire_ms, persist_ms, flags;

	if (!get_arguments(env, info, 5, &arguments) || !get_int(&arguments, 0, &id) || !get_int(&arguments, 1, &size) ||
	    !get_int(&arguments, 2, &expire_ms) || !get_int(&arguments, 3, &persist_ms) ||
	    !get_int(&arguments, 4, &flags))
		return NULL;
	datapath_lock();
	struct handle *handle = find_fabric(id);
	int error = handle == NULL ? EINVAL : reconfigure(&handle->fabric, size, flags & HAS_CONTROL);
	if (error == 0) {
		handle->fabric.table.expire = expire_ms < 0 ? 0 : (uint32_t)expire_ms / 100;
		handle->fabric.persist = persist_ms < 0 ? 0 : (uint32_t)persist_ms / 100;
		handle->fabric.is_tagging = (flags & HAS_TAGS) != 0;
		handle->fabric.takes_turns = (flags & TAKES_TURNS) != 0;
		fabric_choose_way(&handle->fabric);
	}
	datapath_unlock();
	return number(env, -error);
}

/* fabricSetVlans(port, untagged, tagged, closed): which VLANs the port is in (struct port_vlans); 0 or -errno. */
static napi_value fabric_set_vlans(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct port_vlans vlans;
	int32_t id;

	if (!get_arguments(env, info, 4, &arguments) || !get_int(&arguments, 0, &id) || !get_vlans(&arguments, 1, &vlans))
		return NULL;
	datapath_lock();
	struct handle_port *port = find_port(id);
	int error = port == NULL ? EINVAL : fabric_put_into_vlans(&port->member, &vlans);
	datapath_unlock();
	return number(env, -error);
}

/* fabricSendOut(port, arena, slots, count): sends the frames out of this port. */
static napi_value fabric_send_out(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	int32_t id, count;

	if (!get_arguments(env, info, 4, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_batch(&arguments, 1, &batch) || !get_int(&arguments, 3, &count) ||
	    !check_slots(env, &batch, 0, count))
		return NULL;
	const struct frames frames = { .source = (uint32_t)id, .arena = batch.arena.data, .arena_size = batch.arena.length,
				       .slots = batch.slots, .count = (uint32_t)count };
	datapath_lock();
	struct handle_port *port = find_port(id);
	if (port != NULL)
		fabric_deliver(&port->member, &port->member, &frames, false);
	datapath_unlock();
	return NULL;
}

/*
 * fabricControl(fabric, words, bytes): takes frames for the bridge; how many. Two words each, the port and the length,
 * and CONTROL_BYTES bytes. To be called until none is left, and only when those taken before have had their effect: then
 * ports at which a bridge was heard for the first time are open again.
 */
static napi_value fabric_control(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes bytes;
	int32_t id, *words;
	size_t length;
	uint32_t taken = 0;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_words(&arguments, 1, WORDS_PER_CONTROL, &words, &length) || !get_bytes(&arguments, 2, &bytes))
		return NULL;
	datapath_lock();
	struct handle *handle = find_fabric(id);
	struct control_queue *queue = handle == NULL ? NULL : handle->fabric.control;
	while (queue != NULL && taken < queue->count && (taken + 1) * WORDS_PER_CONTROL <= length &&
	       (taken + 1) * CONTROL_BYTES <= bytes.length) {
		const struct control_frame *frame = &queue->frames[taken];
		words[taken * WORDS_PER_CONTROL] = (int32_t)frame->member;
		words[taken * WORDS_PER_CONTROL + 1] = frame->length;
		memcpy(bytes.data + taken * CONTROL_BYTES, frame->bytes, frame->length);
		struct member *from = datapath_member(frame->member);
		if (from != NULL && from->control_waiting > 0)
			from->control_waiting--;
		taken++;
	}
	if (taken > 0) {
		queue->count -= taken;
		memmove(queue->frames, queue->frames + taken, queue->count * sizeof queue->frames[0]);
	} else if (handle != NULL) {
		bridge_resume(&handle->fabric);
	}
	datapath_unlock();
	return number(env, taken);
}

/* fabricForget(fabric, port, vlan): forgets the addresses heard at a port, or at all for -1, in a VLAN, or in all for -1. */
static napi_value fabric_forget(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, port, vlan;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &id) || !get_int(&arguments, 1, &port) ||
	    !get_int(&arguments, 2, &vlan))
		return NULL;
	datapath_lock();
	struct handle *handle = find_fabric(id);
	const struct handle_port *member = port < 0 ? NULL : find_port(port);
	if (handle != NULL && (port < 0 || member != NULL))
		bridge_forget(&handle->fabric, member == NULL ? NULL : &member->member,
			      (uint16_t)(vlan < 0 ? VLAN_NONE : vlan));
	datapath_unlock();
	return NULL;
}

/* Closes a fabric and all its ports. To be called with the lock. */
static void close_fabric(int32_t id)
{
	struct handle *handle = fabrics[id];

	fabrics[id] = NULL;
	while (handle->fabric.count > 0) {
		struct handle_port *port = (struct handle_port *)handle->fabric.members[0];
		take_out(port);
		free_port(handle->env, port);
	}
	fabric_release(&handle->fabric);
	free(handle);
}

/* fabricClose(fabric): nothing touches descriptors that were attached to its ports afterwards. */
static napi_value fabric_close(napi_env env, napi_callback_info info)
{
	int32_t id;

	if (!get_number(env, info, &id))
		return NULL;
	datapath_lock();
	if (find_fabric(id) != NULL)
		close_fabric(id);
	datapath_unlock();
	return NULL;
}

/* A worker thread of Node.js ends: its counters go, so its fabrics have to. */
static void close_fabrics_of(void *env)
{
	datapath_lock();
	for (int32_t id = 0; id < MAX_FABRICS; id++) {
		if (fabrics[id] != NULL && fabrics[id]->env == env)
			close_fabric(id);
	}
	datapath_unlock();
}

/* datapathLetOthersFirst(): see datapath_let_others_first(). */
static napi_value let_others_first(napi_env env, napi_callback_info info)
{
	(void)env;
	(void)info;
	datapath_let_others_first();
	return NULL;
}

void fabric_init(napi_env env, napi_value exports)
{
	napi_add_env_cleanup_hook(env, close_fabrics_of, env);
	export_function(env, exports, "datapathLetOthersFirst", let_others_first);
	export_function(env, exports, "fabricOpen", fabric_open);
	export_function(env, exports, "fabricNotice", fabric_notice);
	export_function(env, exports, "fabricAddPort", fabric_add_port);
	export_function(env, exports, "fabricAttach", fabric_attach);
	export_function(env, exports, "fabricDetach", fabric_detach);
	export_function(env, exports, "fabricRemovePort", fabric_remove_port);
	export_function(env, exports, "fabricSend", fabric_send);
	export_function(env, exports, "fabricTake", fabric_take);
	export_function(env, exports, "fabricReports", fabric_reports);
	export_function(env, exports, "fabricTable", fabric_table);
	export_function(env, exports, "fabricCount", fabric_count);
	export_function(env, exports, "fabricAdvance", fabric_advance);
	export_function(env, exports, "fabricConfigure", fabric_configure);
	export_function(env, exports, "fabricSetVlans", fabric_set_vlans);
	export_function(env, exports, "fabricSendOut", fabric_send_out);
	export_function(env, exports, "fabricControl", fabric_control);
	export_function(env, exports, "fabricForget", fabric_forget);
	export_function(env, exports, "fabricClose", fabric_close);
}
