/*
 * Flows: what a gateway keeps of each connection, mapping or echo of a guest.
 *
 * A flow is found by what the guest's packets say, and by its socket (the watch). It belongs to its protocol's file
 * (tcp.h, udp.h, echo.h), of whose own structure it is the first member.
 */
#ifndef VDENS_FLOW_H
#define VDENS_FLOW_H

#include "address.h"
#include "guest_packet.h"
#include "list.h"
#include "siphash.h"
#include "timer_wheel.h"
#include "watch.h"

struct gateway;

enum flow_kind {
	FLOW_TCP,
	FLOW_UDP,
	FLOW_ECHO,
};

/* Who has to go first when there are too many: the one that was not used for longest, of the first class that has any. */
enum flow_class {
	CLASS_EMBRYO,	   /* a TCP connection that is not yet one */
	CLASS_DATAGRAMS,   /* UDP and echo */
	CLASS_CONNECTION,  /* an open TCP connection: never goes for another */
	CLASS_FORWARD,	   /* a UDP port of the host that is the guest's: stays until it is removed */
	FLOW_CLASSES,
};

/*
 * What a guest's packet says. Ports in network order. Echo: the identifier is the guest's port, and 0 the remote's. UDP:
 * the remote is all zero for a mapping that serves all remotes (RFC 4787, REQ-1).
 */
struct flow_key {
	struct ip_address guest;
	struct ip_address remote;
	uint16_t guest_port;
	uint16_t remote_port;
	uint32_t kind;
};

/**
 * struct flow - one.
 * @watch: of its socket; the file of its protocol fills in fd and serve
 * @gateway: where it belongs
 * @key: what it is found by
 * @is_v6: what the guest speaks
 * @guest_mac: where the guest was heard last
 * @class: which list of the table it is in
 * @class_link: its place there
 * @next_in_bucket: of the table
 * @timer: its one timer
 * @task_next: the next flow that has work to do
 * @has_task: it is among those
 * @resume_link: among those that go on when the other side takes frames again
 * @wait_link: among those that wait for JavaScript, or for their guest to be found
 * @rule: the rule that translates it, or -1
 */
struct flow {
	struct watch watch;
	struct gateway *gateway;
	struct flow_key key;
	bool is_v6;
	bool has_task;
	uint8_t guest_mac[MAC_BYTES];
	enum flow_class class;
	struct list_link class_link;
	struct flow *next_in_bucket;
	struct timer timer;
	struct flow *task_next;
	struct list_link resume_link;
	struct list_link wait_link;
	int32_t rule;
};

struct flow_table {
	struct flow **buckets;
	uint32_t bucket_count; /* a power of two */
	uint32_t count;
	uint32_t most;
	struct siphash_key key;
	struct list_link classes[FLOW_CLASSES]; /* the one that was used last comes first */
};

/* @key: secret, so that guests cannot choose buckets; 0 or an errno. */
int flow_table_prepare(struct flow_table *table, uint32_t most, const struct siphash_key *key);
void flow_table_release(struct flow_table *table);

struct flow *flow_table_find(const struct flow_table *table, const struct flow_key *key);

/* Adds a flow whose key and class are filled in; there is room, see gateway_make_room(). */
void flow_table_add(struct flow_table *table, struct flow *flow);
void flow_table_remove(struct flow_table *table, struct flow *flow);

/* It was used now, and is of that class from now on. */
void flow_table_use(struct flow_table *table, struct flow *flow, enum flow_class class);

/* The flow that has to go when there are too many, but not @spared; NULL when none may. */
struct flow *flow_table_oldest(const struct flow_table *table, const struct flow *spared);

#endif
