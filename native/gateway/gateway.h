/*
 * A gateway: the way from an Ethernet to the host's network, through sockets of the user, as one port of a fabric.
 *
 *   frames ──▶ parse ──▶ TCP, UDP, echo: a flow ──▶ its socket
 *                   └──▶ everything else, and what is for the gateway itself ──▶ JavaScript
 *   frames ◀── headers ◀── what its socket has
 *
 * There is no IP forwarding here and no TCP stack: each flow is a translation between the packets of a guest and one
 * socket (tcp.h says how). JavaScript decides where destinations lead (rules), answers ARP, neighbour and router
 * solicitations, DHCP and TFTP, and hears what only it can do (events).
 *
 * Everything here is called with the lock of the datapath. What a guest's packet asks for is noted in its flow, and
 * done when the whole batch has been read (gateway_schedule()); frames that leave are gathered, and handed to the fabric
 * before the lock is let go.
 */
#ifndef VDENS_GATEWAY_H
#define VDENS_GATEWAY_H

#include "datapath.h"
#include "flow.h"
#include "neighbours.h"
#include "port.h"

#define MAX_OWN_ADDRESSES 64
#define MAX_RULES 256
#define MAX_EVENTS 256

#define RULE_TCP 1
#define RULE_UDP 2
#define RULE_ECHO 4

/* What becomes of packets that a rule is about. */
enum rule_action {
	RULE_PASS,     /* the destination is what it says */
	RULE_TRANSLATE, /* it is another address; and another port, unless that is 0 */
	RULE_REFUSE,   /* RST, or ICMP "administratively prohibited" */
	RULE_DROP,     /* nothing */
	RULE_SCRIPT,   /* UDP, echo: JavaScript gets the frame. TCP: it makes the descriptor */
};

/* Destinations, and what becomes of packets to them. The first rule that fits counts; without one, RULE_PASS. */
struct gateway_rule {
	uint32_t protocols;
	struct ip_address address;
	uint32_t prefix; /* bits of the address that count: of 128 */
	uint16_t first_port; /* host order; echo has none */
	uint16_t last_port;
	enum rule_action action;
	union udp_address to;
	uint32_t asked; /* of a rule that translates: datagrams that left, and connections that were wanted */
	uint32_t answers; /* datagrams that came back, and connections that were made */
	uint32_t failures; /* errors instead */
	int64_t failure_told_ms; /* when JavaScript was last told of one */
};

/* What JavaScript is told. */
enum gateway_event_kind {
	EVENT_CONNECT = 1, /* a guest's TCP connection that a RULE_SCRIPT is about: gatewayAdopt or gatewayRefuse its flow */
	EVENT_RESOLVE,	   /* whose MAC address is wanted: of a guest that a forward leads to */
	EVENT_PING_DENIED, /* the host does not let this user send echo requests */
	EVENT_EXHAUSTED,   /* a flow was refused because there are too many, or no descriptors */
	EVENT_RULE_FAILED, /* what a rule leads to answered with an error */
	EVENT_DISCONNECT,  /* a connection for which JavaScript made the descriptor is over */
	EVENT_KINDS,
};

struct gateway_event {
	uint32_t kind;
	uint32_t token; /* of the flow */
	int32_t rule;
	int32_t error;
	struct ip_address address;
	uint32_t port; /* host order */
};

/* What a gateway counts, in the order of GATEWAY_COUNTERS in src/gateway/gateway.ts. */
enum gateway_counter {
	GATEWAY_TCP_OPENED,
	GATEWAY_TCP_REFUSED,
	GATEWAY_UDP_OPENED,
	GATEWAY_ECHO_OPENED,
	GATEWAY_EVICTED,
	GATEWAY_EXHAUSTED,
	GATEWAY_MALFORMED,
	GATEWAY_BAD_CHECKSUM,
	GATEWAY_BAD_SOURCE,
	GATEWAY_FRAGMENTS,
	GATEWAY_FRAGMENTS_DROPPED,
	GATEWAY_REFUSED,
	GATEWAY_DROPPED,
	GATEWAY_UNSUPPORTED,
	GATEWAY_RETRANSMITTED,
	GATEWAY_OUT_OF_ORDER,
	GATEWAY_ERRORS_SENT,
	GATEWAY_NO_ROOM,
	GATEWAY_COUNTERS,
};

/* Frames for the guests, until the fabric gets them. */
struct gateway_output {
	uint8_t *arena;
	size_t size;
	size_t used;
	struct frame_slot *slots;
	uint32_t capacity;
	uint32_t count;
};

struct reassembly; /* reassembly.h */
struct listener; /* listener.h */

/**
 * struct gateway - one.
 * @member: the member behind whose port it is; NULL when it is behind none: then nothing leaves
 * @is_paused: whoever is at the other side of the fabric cannot take more at present
 * @is_reading: it is within gateway_input(), where nothing may be handed to the fabric
 * @finish: runs the tasks of flows when the descriptors that were ready have been served
 * @again: goes on with those that have more to do, in the next turn
 * @mac: its own
 * @mtu: the largest IP packet for a guest, in bytes
 * @own: the addresses that answer echo requests by themselves
 * @guest_networks: only guests of these networks get through; see gateway_is_guest()
 * @rules: where destinations lead
 * @flows: all
 * @sequence_key: what the first sequence number of a connection is made with
 * @timers: theirs
 * @tasks: flows that have work to do
 * @held_back: flows that found that they may not deliver; the first comes first
 * @askers: connections that wait for JavaScript to make their descriptor
 * @seekers: flows that wait for their guest to be found
 * @allowance: how many bytes may leave for the guests until what they answer is read again
 * @output: frames for the guests
 * @fragments: of packets that are not whole yet
 * @neighbours: who was heard at which MAC address; places are shared
 * @script: what JavaScript is to read, in its queue
 * @notice: an eventfd, readable when there are frames or events for it
 * @counters: gateway_counter; belongs to JavaScript
 */
struct gateway {
	struct member *member;
	bool is_paused;
	bool is_reading;
	struct datapath_task finish;
	struct datapath_task again;
	uint8_t mac[MAC_BYTES];
	uint32_t mtu;
	struct ip_address own[MAX_OWN_ADDRESSES];
	uint32_t own_count;
	struct {
		struct ip_address address;
		uint32_t prefix;
	} guest_networks[MAX_OWN_ADDRESSES];
	uint32_t guest_network_count;
	struct gateway_rule rules[MAX_RULES];
	uint32_t rule_count;
	struct flow_table flows;
	struct siphash_key sequence_key;
	struct timer_wheel timers;
	struct flow *tasks;
	struct flow **tasks_end;
	uint32_t task_count;
	struct list_link held_back;
	struct list_link askers;
	struct list_link seekers;
	int64_t allowance;
	uint32_t tokens;
	struct listener *stalled; /* those that could not accept */
	int64_t accept_ms;	  /* when they try again */
	struct list_link ahead; /* what connections keep that came before its turn: struct tcp_ahead */
	uint32_t ahead_count;
	struct gateway_output output;
	struct reassembly *fragments;
	struct neighbour neighbours[NEIGHBOURS];
	struct port script;
	double script_counters[2 * COUNTERS_PER_DIRECTION];
	int notice;
	int64_t event_ms[EVENT_KINDS];
	struct {
		int64_t since_ms;
		uint32_t left;
	} icmp_errors; /* icmp_error.c: how many more may leave */
	struct gateway_event events[MAX_EVENTS];
	uint32_t event_count;
	double *counters;
};

/* --- What the files of the protocols use. --- */

/* The clock of all timers, in milliseconds; coarse. */
static inline int64_t gateway_now_ms(void)
{
	return port_now_ms();
}

static inline void gateway_count(struct gateway *gateway, enum gateway_counter counter)
{
	gateway->counters[counter]++;
}

/* The rule about a destination (@port in host order), its number in *index; NULL and -1 when there is none. */
struct gateway_rule *gateway_find_rule(struct gateway *gateway, uint32_t protocol, const struct ip_address *address,
				       uint16_t port, int32_t *index);

/*
 * Whether there is room for one more flow, if need be after another one has gone. Counts and tells when not.
 */
bool gateway_make_room(struct gateway *gateway);

/*
 * A socket for a flow, non-blocking; or -errno. When the process has no descriptors left, another flow goes for it, but
 * not @spared.
 */
int gateway_socket(struct gateway *gateway, int family, int type, int protocol, const struct flow *spared);

/* Room for a frame to a guest of up to @size bytes; NULL, and counted, when there is none. */
uint8_t *gateway_reserve(struct gateway *gateway, uint32_t size);

/* The frame that was written there is @length bytes long; @offload may be NULL. */
void gateway_commit(struct gateway *gateway, uint32_t length, const struct offload_header *offload);

/* Hands what was gathered to the fabric. Not from within gateway_input(). */
void gateway_flush(struct gateway *gateway);

/* The flow's task is to run before the lock is let go; in the order in which this was called. */
void gateway_schedule(struct flow *flow);

/* The flow has something for its guest, and the other side takes nothing: its task runs when that has changed. */
void gateway_hold_back(struct flow *flow);

/* Starts a flow's timer. */
void gateway_set_timer(struct flow *flow, int64_t due_ms);

/* Tells JavaScript; false when too many wait for it, and this one is lost. */
bool gateway_tell(struct gateway *gateway, const struct gateway_event *event);

/* The same, at most once a second for each kind. */
void gateway_tell_seldom(struct gateway *gateway, const struct gateway_event *event);

/* The gateway's own address that a guest of that family knows: the first that is not link-local; NULL when none. */
const struct ip_address *gateway_own(const struct gateway *gateway, bool is_v6);
bool gateway_is_own(const struct gateway *gateway, const struct ip_address *address);

/* Whether an address is in the network of the guests. */
bool gateway_is_local(const struct gateway *gateway, const struct ip_address *address);

/* Gives JavaScript a frame. */
void gateway_give_script(struct gateway *gateway, const struct guest_packet *packet);

/* Takes a flow out of the table and the epoll set, stops its timer, and forgets its task. The caller closes and frees. */
void gateway_forget(struct flow *flow);

/* --- What the fabric and JavaScript use. --- */

/* 0 or an errno. */
int gateway_prepare(struct gateway *gateway, uint32_t most_flows);
void gateway_release(struct gateway *gateway);

/* Frames of guests. All are taken. */
void gateway_input(struct gateway *gateway, const struct frames *frames);

/* Whether it may deliver now. */
void gateway_pause(struct gateway *gateway, bool is_paused);

/* Runs timers that are due; when to look again, or INT64_MAX. */
int64_t gateway_check(struct gateway *gateway, int64_t now_ms);

#endif
