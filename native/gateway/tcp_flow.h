/*
 * A TCP connection of a guest, as the files of TCP share it: tcp.c (turns, time and the end), tcp_open.c (new ones),
 * tcp_receive.c and tcp_send.c (from and to the guest), tcp_segment.c (segments), tcp_host.c (the socket), tcp_ahead.c (what
 * came before its turn), tcp_recovery.c (how much may be on the way, and what is lost).
 *
 * Sequence numbers are compared modulo 2^32 (RFC 9293, 3.4). Names follow the side that speaks: what the guest sent is
 * `heard`, what we sent to it is `sent`.
 */
#ifndef VDENS_TCP_FLOW_H
#define VDENS_TCP_FLOW_H

#include "tcp.h"

/* Events seen; the state of a connection is the set of them. */
#define SEEN_GUEST_SYN 0x001   /* the guest's SYN, or its answer to ours */
#define SEEN_CONNECTED 0x002   /* the host's connection stands */
#define SEEN_ESTABLISHED 0x004 /* the guest has acknowledged our SYN */
#define SEEN_GUEST_FIN 0x008   /* everything the guest has to say has been heard */
#define SEEN_FIN_PASSED 0x010  /* and the host was told */
#define SEEN_HOST_FIN 0x020    /* everything the host has to say has been read */
#define SENT_SYN 0x040
#define SENT_FIN 0x080
#define SEEN_FIN_ACKNOWLEDGED 0x100 /* the guest has heard all */
#define IS_FORWARD 0x200	    /* opened from the host's side */
#define IS_LINGERING 0x400	    /* over; answers what comes late (RFC 9293, TIME-WAIT) */

/* What the guest is owed. */
#define OWES_ACK 1
#define OWES_RETRANSMISSION 2
#define OWES_PROBE 4

/* What we say of ourselves: windows of up to 8 MiB. */
#define OWN_WINDOW_SCALE 7
/* What the socket did not take, kept until it does. */
#define HOLD_BYTES 65536

/* What is kept of what came before its turn: a power of two. */
#define AHEAD_BYTES (1024 * 1024)
/* How many connections of a gateway may have that at a time. */
#define MAX_AHEAD 64
/* One whose guest does not send what is lacking for so long loses it to another. */
#define AHEAD_STUCK_MS 10000
#define MAX_RANGES 16
/* What fits the options of a segment, and the most that a guest's can have. */
#define MAX_SACK_BLOCKS 3
#define MAX_HEARD_BLOCKS 4

/* Sequence numbers from @begin to before @end. */
struct tcp_range {
	uint32_t begin;
	uint32_t end;
};

/**
 * struct tcp_ahead - segments that came before their turn: a ring of bytes by sequence number.
 * @tcp: of which connection
 * @link: among all of the gateway; the one that made no progress for longest comes first
 * @expected: what was lacking then
 * @progress_ms: when that was
 * @ranges: which of the bytes are there, in order
 */
struct tcp_ahead {
	struct tcp_flow *tcp;
	struct list_link link;
	uint32_t expected;
	int64_t progress_ms;
	struct tcp_range ranges[MAX_RANGES];
	uint32_t count;
	uint32_t latest; /* a sequence number in the one that grew last */
	uint8_t bytes[AHEAD_BYTES];
};

/**
 * struct tcp_flow - one connection.
 * @flow: the flow
 * @seen: events (SEEN_, SENT_)
 * @owes: to the guest (OWES_)
 * @token: what JavaScript calls it by
 * @first: the first sequence number not acknowledged by the guest
 * @next: the next to send
 * @furthest: the next that was never sent
 * @window: how much the guest can take from @first on, in bytes
 * @window_sequence: the guest's sequence number where it said so
 * @window_scale: shift of the guest's window
 * @guest_scales: the guest scales windows
 * @segment: the most payload of one segment to the guest
 * @congestion: how much may be on the way
 * @threshold: where it begins to grow slowly (RFC 5681)
 * @recover: where a recovery from a loss ends
 * @in_recovery: one is going on
 * @duplicates: acknowledgements of the same
 * @guest_sacks: it says what it has of what comes before its turn (RFC 2018)
 * @sacked: that, of what we sent
 * @resent: up to where holes in it were filled in this recovery
 * @delivered: bytes that were newly heard of since something was sent again
 * @ahead: what came before its turn, of what the guest sent; NULL when nothing
 * @timed: a sequence number whose acknowledgement is waited for, when @is_timing
 * @timed_ms: when it was sent
 * @smoothed_ms: the round-trip time, times 8; 0: not known
 * @variation_ms: how much it varies, times 4 (RFC 6298)
 * @has_probed: a segment was sent once more to hear where the guest is, and nothing was heard since
 * @backoff: how often a time-out ran out in a row
 * @probes: questions to a guest that is silent, or has no room, since it said something else
 * @seeks: how often the guest was looked for
 * @progress_ms: when the guest acknowledged last, or something was sent while nothing was on the way
 * @heard_ms: when the guest was heard last
 * @odd_ms: when a segment that made no sense was answered last
 * @to_discard: acknowledged, and still in the socket
 * @expected: the next sequence number of the guest
 * @edge: the sequence number up to which it was given room
 * @held: what the socket did not take, from @held_first to @held_end
 * @lacks_memory: the kernel had no memory for what is held, and will not say when it has
 * @may_read: the socket may have more
 * @host_ends: it has said that no more comes
 * @has_urgent: there was urgent data: it may have more than one read brings
 * @is_tcp: it can throw away what was read before (MSG_TRUNC)
 * @is_kept_alive: the socket asks whether its other end is there
 * @peeks_on: it remembers how far it was read (SO_PEEK_OFF)
 * @is_seeking: waits for the guest to be found
 */
struct tcp_flow {
	struct flow flow;
	uint32_t seen;
	uint32_t owes;
	uint32_t token;
	uint32_t first;
	uint32_t next;
	uint32_t furthest;
	uint32_t window;
	uint32_t window_sequence;
	uint8_t window_scale;
	bool guest_scales;
	uint16_t segment;
	uint32_t congestion;
	uint32_t threshold;
	uint32_t recover;
	bool in_recovery;
	uint8_t duplicates;
	bool guest_sacks;
	struct tcp_range sacked[MAX_RANGES];
	uint32_t sacked_count;
	uint32_t resent;
	uint32_t delivered;
	struct tcp_ahead *ahead;
	bool is_timing;
	uint32_t timed;
	int64_t timed_ms;
	uint32_t smoothed_ms;
	uint32_t variation_ms;
	bool has_probed;
	uint32_t backoff;
	uint32_t probes;
	uint32_t seeks;
	int64_t progress_ms;
	int64_t heard_ms;
	int64_t odd_ms;
	uint32_t to_discard;
	uint32_t expected;
	uint32_t edge;
	uint8_t *held;
	uint32_t held_first;
	uint32_t held_end;
	bool lacks_memory;
	bool may_read;
	bool host_ends;
	bool has_urgent;
	bool is_tcp;
	bool peeks_on;
	bool is_kept_alive;
	bool is_seeking;
};

static inline struct tcp_flow *tcp_flow_of(struct flow *flow)
{
	return (struct tcp_flow *)flow;
}

static inline int32_t sequence_compare(uint32_t one, uint32_t other)
{
	return (int32_t)(one - other);
}

/* What is on the way to the guest. */
static inline uint32_t tcp_in_flight(const struct tcp_flow *tcp)
{
	return tcp->next - tcp->first;
}

/* --- tcp.c --- */

/* Ends it for both sides. */
void tcp_fail(struct tcp_flow *tcp);

/* Ends it, and says nothing to the guest; to the host, RST when @is_abrupt. */
void tcp_release(struct tcp_flow *tcp, bool is_abrupt);

/* --- tcp_segment.c --- */

#define SEGMENT_FIN 0x01
#define SEGMENT_SYN 0x02
#define SEGMENT_RST 0x04
#define SEGMENT_PSH 0x08
#define SEGMENT_ACK 0x10

/* A guest's segment. */
struct tcp_segment {
	uint16_t source_port; /* network order */
	uint16_t destination_port;
	uint32_t sequence;
	uint32_t acknowledgement;
	uint8_t flags;
	uint16_t window;
	const uint8_t *payload;
	uint32_t length;
	uint16_t most;	  /* option MSS; 0: none */
	int8_t scale; /* option window scale; -1: none */
	bool sacks;   /* option SACK permitted */
	struct tcp_range blocks[MAX_HEARD_BLOCKS];
	uint32_t block_count;
};

/* Reads a segment; false when lengths are wrong. */
bool tcp_segment_parse(const struct guest_packet *packet, struct tcp_segment *segment);

/* Room for a segment with @length bytes of payload, behind headers without options; NULL when there is none. */
uint8_t *tcp_segment_reserve(struct tcp_flow *tcp, uint32_t length);

/* Sends what was written there. */
void tcp_segment_send(struct tcp_flow *tcp, uint32_t sequence, uint8_t flags, uint32_t length);

/* Sends a segment without payload; a SYN has the options. */
void tcp_segment_control(struct tcp_flow *tcp, uint32_t sequence, uint8_t flags);

/* Answers a segment of no connection with RST (RFC 9293, 3.10.7.1). */
void tcp_segment_reset(struct gateway *gateway, const struct guest_packet *packet, const struct tcp_segment *segment);

/* The most payload that fits the gateway's MTU. */
uint16_t tcp_segment_most(const struct gateway *gateway, bool is_v6);

/* --- tcp_open.c --- */

/* A SYN of a guest, of no connection. */
void tcp_open(struct gateway *gateway, const struct guest_packet *packet, const struct tcp_segment *segment,
	      const struct flow_key *key);

/* Takes what a guest says of itself in its SYN, or in its answer to ours. */
void tcp_take_options(struct tcp_flow *tcp, const struct tcp_segment *segment);

/* A guest's connection cannot be made. */
void tcp_refuse(struct tcp_flow *tcp, int error);

/* Looks for the guest that a connection leads to, and is to be called again when it is not found. */
void tcp_seek(struct tcp_flow *tcp);

/* --- tcp_send.c --- */

void tcp_send_syn(struct tcp_flow *tcp);

/* Sends what the host sent, as far as it may; an errno when the host's side failed. */
int tcp_send_data(struct tcp_flow *tcp);

/* Sends a FIN when all was sent, and there is room for it. */
void tcp_send_fin(struct tcp_flow *tcp);

/* Sends again what the guest lacks: about as much as it was newly heard to have, so that the way does not fill. */
void tcp_retransmit(struct tcp_flow *tcp);

/* Everything that is on the way is sent anew. */
void tcp_go_back(struct tcp_flow *tcp);

/* Sends what the guest is owed and has no payload. */
void tcp_pay(struct tcp_flow *tcp);

/* --- tcp_host.c --- */

/* Begins to connect; 0 or an errno. */
int tcp_host_connect(struct tcp_flow *tcp, const union udp_address *to);

/* Makes a connected descriptor the flow's; 0 or an errno. */
int tcp_host_attach(struct tcp_flow *tcp, int fd, bool is_connecting);

/* Sets what an open connection needs. */
void tcp_host_opened(struct tcp_flow *tcp);

/* From now on a host that vanished is found out. Not for connections that are over before that matters. */
void tcp_host_keep_alive(struct tcp_flow *tcp);

/* Gives the host bytes of the guest; how many were taken (and perhaps held), or -errno. */
int32_t tcp_host_take(struct tcp_flow *tcp, const uint8_t *bytes, uint32_t length);

/* Gives the host what was held; 0 or an errno. */
int tcp_host_flush(struct tcp_flow *tcp);

/* Reads bytes that were not read before, and leaves them there; 0 at the end, or -errno. */
int32_t tcp_host_peek(struct tcp_flow *tcp, uint8_t *bytes, uint32_t length);

/* What is peeked next is what lies so far behind the first byte. */
void tcp_host_seek(struct tcp_flow *tcp, uint32_t offset);

/* Takes out what the guest has acknowledged. */
void tcp_host_discard(struct tcp_flow *tcp);

/* How much room there is for bytes of the guest. */
uint32_t tcp_host_room(const struct tcp_flow *tcp);

/* For tcp.c: something happened to the socket; it failed unless @error is 0. */
void tcp_host_event(struct tcp_flow *tcp, int error);

/* Ends it; with RST when @is_abrupt. */
void tcp_host_close(struct tcp_flow *tcp, bool is_abrupt);

/* --- tcp_ahead.c --- */

/* Keeps what came before its turn, if there is room. */
void tcp_ahead_keep(struct tcp_flow *tcp, uint32_t sequence, const uint8_t *bytes, uint32_t length);

/* Gives the host what is not before its turn any more; an errno when that side failed. */
int tcp_ahead_pass(struct tcp_flow *tcp);
void tcp_ahead_forget(struct tcp_flow *tcp);

/* Writes the option that tells the guest of it, padded; its length, up to 4 + 8 * MAX_SACK_BLOCKS. */
uint32_t tcp_ahead_options(const struct tcp_flow *tcp, uint8_t *options);

/* Adds a range to some that are in order and apart; false when there would be too many. */
bool tcp_ranges_add(struct tcp_range *ranges, uint32_t *count, uint32_t most, struct tcp_range added);

/* Leaves out what is before a sequence number. */
void tcp_ranges_drop(struct tcp_range *ranges, uint32_t *count, uint32_t before);

/* --- tcp_recovery.c --- */

void tcp_recovery_prepare(struct tcp_flow *tcp);

/* The guest acknowledged @bytes more. */
void tcp_recovery_acknowledged(struct tcp_flow *tcp, uint32_t bytes);

/* It acknowledged the same again. */
void tcp_recovery_duplicate(struct tcp_flow *tcp);

/* It has these, too; whether that is news. */
bool tcp_recovery_sacked(struct tcp_flow *tcp, const struct tcp_range *blocks, uint32_t count);

/* What to send again next, as one piece; of length 0: nothing. */
struct tcp_range tcp_recovery_hole(const struct tcp_flow *tcp);

/* It acknowledged nothing for too long: all is sent again. */
void tcp_recovery_timed_out(struct tcp_flow *tcp);

/* How many more bytes may leave. */
uint32_t tcp_recovery_room(const struct tcp_flow *tcp);

/* How long to wait for an acknowledgement, in milliseconds. */
int64_t tcp_recovery_timeout_ms(const struct tcp_flow *tcp);

/* How long until a guest without room is asked again whether it has some (RFC 9293, 3.8.6.1). */
int64_t tcp_recovery_persist_ms(const struct tcp_flow *tcp);

/* How long until the guest is asked where it is, because segments or acknowledgements may be lost that nothing follows. */
int64_t tcp_recovery_probe_ms(const struct tcp_flow *tcp);

/* Something left; its acknowledgement tells the round-trip time. */
void tcp_recovery_sent(struct tcp_flow *tcp, uint32_t sequence);

#endif
