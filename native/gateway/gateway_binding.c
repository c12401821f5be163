/*
 * The doors from JavaScript to gateway.c: arguments are checked here, and counters kept from being collected.
 */
#include "gateway_binding.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "listener.h"
#include "tcp_flow.h"
#include "udp.h"

#define MAX_GATEWAYS 256
#define MAX_FORWARDS 1024

#define NETWORK_BYTES 20
#define RULE_BYTES 72
#define RULE_ADDRESS 24
#define RULE_TO 40
#define WORDS_PER_EVENT 9
#define WORDS_PER_RULE 3

/* A port of the host that leads to a guest; one of the two is set. */
struct forward {
	struct listener *listener;
	struct flow *flow;
};

struct gateway_handle {
	struct gateway gateway;
	napi_env env;
	napi_ref counters;
	struct forward forwards[MAX_FORWARDS];
};

/* Guarded by the lock of the datapath. */
static struct gateway_handle *gateways[MAX_GATEWAYS];

static struct gateway_handle *find_handle(int32_t id)
{
	return id >= 0 && id < MAX_GATEWAYS ? gateways[id] : NULL;
}

struct gateway *find_gateway(int32_t id)
{
	struct gateway_handle *handle = find_handle(id);

	return handle == NULL ? NULL : &handle->gateway;
}

/* Bytes of exactly that length. */
static bool get_exactly(const struct arguments *arguments, size_t index, size_t length, struct bytes *bytes)
{
	if (!get_bytes(arguments, index, bytes))
		return false;
	if (bytes->length == length)
		return true;
	napi_throw_type_error(arguments->env, NULL, "expected bytes of another length");
	return false;
}

static bool get_counters(const struct arguments *arguments, size_t index, double **counters, napi_ref *reference)
{
	napi_typedarray_type type;
	size_t length;
	void *data;

	if (napi_get_typedarray_info(arguments->env, arguments->values[index], &type, &length, &data, NULL, NULL) !=
		    napi_ok ||
	    type != napi_float64_array || length < GATEWAY_COUNTERS) {
		napi_throw_type_error(arguments->env, NULL, "expected the counters of a gateway");
		return false;
	}
	*counters = data;
	return napi_create_reference(arguments->env, arguments->values[index], 1, reference) == napi_ok;
}

static int enter(struct gateway_handle *handle, int32_t *id)
{
	for (*id = 0; *id < MAX_GATEWAYS; (*id)++) {
		if (gateways[*id] != NULL)
			continue;
		gateways[*id] = handle;
		return 0;
	}
	return ENOSPC;
}

/* gatewayOpen(mostFlows, mac, mtu, counters): a number for a gateway, or -errno. */
static napi_value gateway_open(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes mac;
	int32_t most, mtu, id = 0;
	double *counters;
	napi_ref reference;

	if (!get_arguments(env, info, 4, &arguments) || !get_int(&arguments, 0, &most) ||
	    !get_exactly(&arguments, 1, MAC_BYTES, &mac) || !get_int(&arguments, 2, &mtu) ||
	    !get_counters(&arguments, 3, &counters, &reference))
		return NULL;
	struct gateway_handle *handle = calloc(1, sizeof *handle);
	int error = handle == NULL ? ENOMEM : 0;
	if (error == 0) {
		handle->env = env;
		handle->counters = reference;
		handle->gateway.counters = counters;
		handle->gateway.mtu = mtu < 576 ? 576 : (uint32_t)mtu;
		memcpy(handle->gateway.mac, mac.data, MAC_BYTES);
	}
	datapath_lock();
	if (error == 0)
		error = datapath_start();
	if (error == 0) {
		error = gateway_prepare(&handle->gateway, most < 1 ? 1 : (uint32_t)most);
		if (error == 0)
			error = enter(handle, &id);
		if (error != 0)
			gateway_release(&handle->gateway);
	}
	datapath_unlock();
	if (error != 0) {
		napi_delete_reference(env, reference);
		free(handle);
	}
	return number(env, error == 0 ? id : -error);
}

static uint32_t least(size_t count, uint32_t most)
{
	return count < most ? (uint32_t)count : most;
}

/*
 * gatewayConfigure(gateway, own, networks): the gateway's own addresses, 16 bytes each, and the networks of guests, 16
 * bytes and a prefix of 32 bits each. At most MAX_OWN_ADDRESSES of either count.
 */
static napi_value configure(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes own, networks;
	int32_t id;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &id) || !get_bytes(&arguments, 1, &own) ||
	    !get_bytes(&arguments, 2, &networks))
		return NULL;
	datapath_lock();
	struct gateway *gateway = find_gateway(id);
	if (gateway != NULL) {
		gateway->own_count = least(own.length / ADDRESS_BYTES, MAX_OWN_ADDRESSES);
		for (uint32_t i = 0; i < gateway->own_count; i++)
			gateway->own[i] = address_of_v6(own.data + i * ADDRESS_BYTES);
		gateway->guest_network_count = least(networks.length / NETWORK_BYTES, MAX_OWN_ADDRESSES);
		for (uint32_t i = 0; i < gateway->guest_network_count; i++) {
			const uint8_t *network = networks.data + i * NETWORK_BYTES;
			const uint32_t prefix = load_u32(network + ADDRESS_BYTES);
			gateway->guest_networks[i].address = address_of_v6(network);
			gateway->guest_networks[i].prefix = prefix > 128 ? 128 : prefix;
		}
	}
	datapath_unlock();
	return NULL;
}

static struct gateway_rule parse_rule(const uint8_t *bytes)
{
	const uint32_t prefix = load_u32(bytes + 4);
	struct gateway_rule rule = { .protocols = load_u32(bytes), .prefix = prefix > 128 ? 128 : prefix,
				     .first_port = (uint16_t)load_u32(bytes + 8), .last_port = (uint16_t)load_u32(bytes + 12),
				     .action = load_u32(bytes + 16), .address = address_of_v6(bytes + RULE_ADDRESS) };

	memcpy(&rule.to, bytes + RULE_TO, sizeof rule.to);
	return rule;
}

/* What was to be told of rules would seem to be about those that come. */
static void forget_failures(struct gateway *gateway)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < gateway->event_count; i++) {
		if (gateway->events[i].kind != EVENT_RULE_FAILED)
			gateway->events[kept++] = gateway->events[i];
	}
	gateway->event_count = kept;
}

/* Flows that a rule made lead where it led: datagrams go their new way, connections stay. */
static void forget_rules(struct gateway *gateway)
{
	for (int class = 0; class < FLOW_CLASSES; class++) {
		struct list_link *list = &gateway->flows.classes[class];
		for (struct list_link *link = list->next, *next; link != list; link = next) {
			struct flow *flow = list_entry(link, struct flow, class_link);
			next = link->next;
			if (flow->rule >= 0 && class == CLASS_DATAGRAMS && flow->key.kind == FLOW_UDP)
				udp_end(flow);
			else
				flow->rule = -1;
		}
	}
}

/* gatewaySetRules(gateway, rules): where destinations lead, RULE_BYTES each (emitRules in src/gateway/rules.ts); 0 or -errno. */
static napi_value set_rules(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes rules;
	int32_t id;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) || !get_bytes(&arguments, 1, &rules))
		return NULL;
	const size_t count = rules.length / RULE_BYTES;
	if (count > MAX_RULES)
		return number(env, -E2BIG);
	datapath_lock();
	struct gateway *gateway = find_gateway(id);
	if (gateway != NULL) {
		forget_rules(gateway);
		forget_failures(gateway);
		gateway->rule_count = (uint32_t)count;
		for (size_t i = 0; i < count; i++)
			gateway->rules[i] = parse_rule(rules.data + i * RULE_BYTES);
	}
	datapath_unlock();
	return number(env, 0);
}

/* gatewayRuleCounts(gateway, words): what was asked, answered and failed by each rule; how many rules, no more than there is room for. */
static napi_value rule_counts(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, *words;
	size_t length, count = 0;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_words(&arguments, 1, 0, &words, &length))
		return NULL;
	datapath_lock();
	const struct gateway *gateway = find_gateway(id);
	if (gateway != NULL) {
		count = least(length / WORDS_PER_RULE, gateway->rule_count);
		for (size_t i = 0; i < count; i++) {
			words[i * WORDS_PER_RULE] = (int32_t)gateway->rules[i].asked;
			words[i * WORDS_PER_RULE + 1] = (int32_t)gateway->rules[i].answers;
			words[i * WORDS_PER_RULE + 2] = (int32_t)gateway->rules[i].failures;
		}
	}
	datapath_unlock();
	return number(env, (int64_t)count);
}

/* gatewayNotice(gateway): a descriptor that is readable when there are frames or events; it goes with the gateway. */
static napi_value notice(napi_env env, napi_callback_info info)
{
	int32_t id;

	if (!get_number(env, info, &id))
		return NULL;
	datapath_lock();
	const struct gateway *gateway = find_gateway(id);
	const int fd = gateway == NULL ? -EINVAL : gateway->notice;
	datapath_unlock();
	return number(env, fd);
}

/* gatewayTake(gateway, arena, slots): moves frames for JavaScript into a batch; how many. */
static napi_value take(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	int32_t id;
	uint32_t count = 0;
	eventfd_t ignored;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &id) || !get_batch(&arguments, 1, &batch))
		return NULL;
	datapath_lock();
	struct gateway *gateway = find_gateway(id);
	if (gateway != NULL) {
		eventfd_read(gateway->notice, &ignored);
		count = port_take(&gateway->script, batch.arena.data, batch.arena.length, batch.slots,
				  (uint32_t)batch.capacity);
		/* Those behind frames that wait are not told of. */
		if (port_waiting(&gateway->script) > 0)
			eventfd_write(gateway->notice, 1);
	}
	datapath_unlock();
	return number(env, count);
}

/*
 * gatewayEvents(gateway, words): what happened, WORDS_PER_EVENT words each: kind, token, rule, errno, four of the address,
 * port; how many. The rest is told the next time.
 */
static napi_value events(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, *words;
	size_t length;
	uint32_t count = 0;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_words(&arguments, 1, WORDS_PER_EVENT, &words, &length))
		return NULL;
	datapath_lock();
	struct gateway *gateway = find_gateway(id);
	if (gateway != NULL) {
		count = least(length / WORDS_PER_EVENT, gateway->event_count);
		for (uint32_t i = 0; i < count; i++, words += WORDS_PER_EVENT) {
			const struct gateway_event *event = &gateway->events[i];
			words[0] = (int32_t)event->kind;
			words[1] = (int32_t)event->token;
			words[2] = event->rule;
			words[3] = event->error;
			memcpy(words + 4, event->address.bytes, ADDRESS_BYTES);
			words[8] = (int32_t)event->port;
		}
		gateway->event_count -= count;
		memmove(gateway->events, gateway->events + count, gateway->event_count * sizeof *gateway->events);
	}
	datapath_unlock();
	return number(env, count);
}

/* gatewaySend(gateway, arena, slots, count): frames of JavaScript for the guests. */
static napi_value send_frames(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct batch batch;
	int32_t id, count;

	if (!get_arguments(env, info, 4, &arguments) || !get_int(&arguments, 0, &id) || !get_batch(&arguments, 1, &batch) ||
	    !get_int(&arguments, 3, &count) || !check_slots(env, &batch, 0, count))
		return NULL;
	datapath_lock();
	struct gateway *gateway = find_gateway(id);
	for (int32_t i = 0; gateway != NULL && i < count; i++) {
		uint8_t *frame = gateway_reserve(gateway, batch.slots[i].length);
		if (frame == NULL)
			break;
		memcpy(frame, batch.arena.data + batch.slots[i].offset, batch.slots[i].length);
		gateway_commit(gateway, batch.slots[i].length, &batch.slots[i].offload);
	}
	datapath_unlock();
	return NULL;
}

/* gatewayLearn(gateway, address, mac): a guest was heard there. */
static napi_value learn(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes address, mac;
	int32_t id;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &id) ||
	    !get_exactly(&arguments, 1, ADDRESS_BYTES, &address) || !get_exactly(&arguments, 2, MAC_BYTES, &mac))
		return NULL;
	const struct ip_address guest = address_of_v6(address.data);
	datapath_lock();
	struct gateway *gateway = find_gateway(id);
	if (gateway != NULL)
		gateway_learn(gateway, &guest, mac.data);
	datapath_unlock();
	return NULL;
}

static struct tcp_flow *find_waiting(struct gateway *gateway, uint32_t token)
{
	struct list_link *list = &gateway->askers;

	for (struct list_link *link = list->next; link != list; link = link->next) {
		struct tcp_flow *tcp = tcp_flow_of(list_entry(link, struct flow, wait_link));
		if (tcp->token == token)
			return tcp;
	}
	return NULL;
}

/*
 * gatewayAdopt(gateway, token, fd): the descriptor of a connection that JavaScript was asked for, which is the gateway's
 * from now on; or -errno when there is none. 0, or -ENOENT when the guest has given up: then it is the caller's still.
 */
static napi_value adopt(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, token, fd;

	if (!get_arguments(env, info, 3, &arguments) || !get_int(&arguments, 0, &id) || !get_int(&arguments, 1, &token) ||
	    !get_int(&arguments, 2, &fd))
		return NULL;
	datapath_lock();
	struct gateway *gateway = find_gateway(id);
	struct tcp_flow *tcp = gateway == NULL ? NULL : find_waiting(gateway, (uint32_t)token);
	if (tcp != NULL)
		tcp_adopt(&tcp->flow, fd);
	datapath_unlock();
	return number(env, tcp == NULL ? -ENOENT : 0);
}

static int open_listener(struct gateway_handle *handle, struct forward *forward, int fd, const struct ip_address *guest,
			 uint16_t port)
{
	struct listener *listener = malloc(sizeof *listener);

	if (listener == NULL)
		return ENOMEM;
	const int error = listener_open(listener, &handle->gateway, fd, guest, port);
	if (error == 0)
		forward->listener = listener;
	else
		free(listener);
	return error;
}

static int open_datagrams(struct gateway_handle *handle, struct forward *forward, int fd, const struct ip_address *guest,
			  uint16_t port)
{
	forward->flow = udp_forward(&handle->gateway, fd, guest, port);
	return forward->flow == NULL ? errno : 0;
}

/*
 * gatewayForward(gateway, isUdp, fd, guest, port): what arrives at the socket (one that listens, or one of UDP that is
 * bound), which is the gateway's from now on, goes to the guest. A number for it, or -errno: then it is still the caller's.
 */
static napi_value forward(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	struct bytes address;
	int32_t id, is_udp, fd, port, place = 0;
	int error = EINVAL;

	if (!get_arguments(env, info, 5, &arguments) || !get_int(&arguments, 0, &id) || !get_int(&arguments, 1, &is_udp) ||
	    !get_int(&arguments, 2, &fd) || !get_exactly(&arguments, 3, ADDRESS_BYTES, &address) ||
	    !get_int(&arguments, 4, &port))
		return NULL;
	const struct ip_address guest = address_of_v6(address.data);
	datapath_lock();
	struct gateway_handle *handle = find_handle(id);
	if (handle != NULL) {
		while (place < MAX_FORWARDS &&
		       (handle->forwards[place].listener != NULL || handle->forwards[place].flow != NULL))
			place++;
		if (place == MAX_FORWARDS)
			error = ENOSPC;
		else
			error = (is_udp ? open_datagrams : open_listener)(handle, &handle->forwards[place], fd, &guest,
									  htons((uint16_t)port));
	}
	datapath_unlock();
	return number(env, error == 0 ? place : -error);
}

static void close_forward(struct forward *forward)
{
	if (forward->listener != NULL)
		listener_close(forward->listener);
	free(forward->listener);
	if (forward->flow != NULL)
		udp_end(forward->flow);
	*forward = (struct forward){ 0 };
}

/* gatewayUnforward(gateway, forward): its socket is closed; connections that were accepted stay. */
static napi_value unforward(napi_env env, napi_callback_info info)
{
	struct arguments arguments;
	int32_t id, place;

	if (!get_arguments(env, info, 2, &arguments) || !get_int(&arguments, 0, &id) || !get_int(&arguments, 1, &place))
		return NULL;
	datapath_lock();
	struct gateway_handle *handle = find_handle(id);
	if (handle != NULL && place >= 0 && place < MAX_FORWARDS)
		close_forward(&handle->forwards[place]);
	datapath_unlock();
	return NULL;
}

/* gatewayFlows(gateway): how many there are. */
static napi_value flows(napi_env env, napi_callback_info info)
{
	int32_t id;

	if (!get_number(env, info, &id))
		return NULL;
	datapath_lock();
	const struct gateway *gateway = find_gateway(id);
	const uint32_t count = gateway == NULL ? 0 : gateway->flows.count;
	datapath_unlock();
	return number(env, count);
}

static void close_handle(int32_t id)
{
	struct gateway_handle *handle = gateways[id];

	gateways[id] = NULL;
	for (int i = 0; i < MAX_FORWARDS; i++)
		close_forward(&handle->forwards[i]);
	gateway_release(&handle->gateway);
}

/* gatewayClose(gateway): 0, or -EBUSY when it is behind a port. Its connections end. */
static napi_value gateway_close(napi_env env, napi_callback_info info)
{
	int32_t id;

	if (!get_number(env, info, &id))
		return NULL;
	datapath_lock();
	struct gateway_handle *handle = find_handle(id);
	const bool is_busy = handle != NULL && handle->gateway.member != NULL;
	if (handle != NULL && !is_busy)
		close_handle(id);
	datapath_unlock();
	if (handle != NULL && !is_busy) {
		napi_delete_reference(env, handle->counters);
		free(handle);
	}
	return number(env, is_busy ? -EBUSY : 0);
}

/* A worker thread of Node.js ends, and its fabrics are closed: nobody closes its gateways any more. */
static void close_gateways_of(void *env)
{
	datapath_lock();
	for (int32_t id = 0; id < MAX_GATEWAYS; id++) {
		struct gateway_handle *handle = gateways[id];
		if (handle == NULL || handle->env != env)
			continue;
		close_handle(id);
		free(handle);
	}
	datapath_unlock();
}

void gateway_init(napi_env env, napi_value exports)
{
	napi_add_env_cleanup_hook(env, close_gateways_of, env);
	export_function(env, exports, "gatewayOpen", gateway_open);
	export_function(env, exports, "gatewayConfigure", configure);
	export_function(env, exports, "gatewaySetRules", set_rules);
	export_function(env, exports, "gatewayRuleCounts", rule_counts);
	export_function(env, exports, "gatewayNotice", notice);
	export_function(env, exports, "gatewayTake", take);
	export_function(env, exports, "gatewayEvents", events);
	export_function(env, exports, "gatewaySend", send_frames);
	export_function(env, exports, "gatewayLearn", learn);
	export_function(env, exports, "gatewayAdopt", adopt);
	export_function(env, exports, "gatewayForward", forward);
	export_function(env, exports, "gatewayUnforward", unforward);
	export_function(env, exports, "gatewayFlows", flows);
	export_function(env, exports, "gatewayClose", gateway_close);
}
