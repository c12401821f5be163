/*
 * A tunnel: stations beyond an IP network, as one port of a fabric. Frames travel in UDP packets, each behind the
 * header of VXLAN (RFC 7348, section 5) or, on a line between two, as they are.
 *
 *   frames ──▶ look up the destination ──▶ cut ──▶ runs of one length ──▶ one endpoint, or the group and all peers
 *   frames ◀── learn the source ◀── check the header ◀── packets (underlay.h)
 *
 * What came out of a tunnel never goes back into it, so tunnels between all of several hosts make no loop (split
 * horizon). Everything here is called with the lock of the datapath.
 */
#ifndef VDENS_TUNNEL_H
#define VDENS_TUNNEL_H

#include "endpoint_table.h"
#include "forwarding_table.h"
#include "port.h"
#include "underlay.h"

#define VXLAN_HEADER 8
/* How many stations on our side are remembered, to be announced. */
#define MAX_ANNOUNCED 16
#define MAC_BYTES 6

/* What JavaScript is to know of a tunnel, each once until it is wanted again. */
#define TUNNEL_TOO_LONG 1    /* a frame was longer than a packet can be */
#define TUNNEL_FRAGMENTED 2  /* a frame did not fit the path, and left in fragments */
#define TUNNEL_UNREACHABLE 4 /* the kernel had no way for a packet */
#define TUNNEL_REFUSED 8     /* the kernel did not cut a run of frames that fit the path: it may be narrower now */

/**
 * struct announced - a station on our side.
 * @mac: its address
 * @seen: when it sent last, in tenths of a second
 */
struct announced {
	uint8_t mac[MAC_BYTES];
	uint32_t seen;
};

/**
 * struct tunnel - one.
 * @underlay: the sockets
 * @next: the next tunnel that shares them
 * @member: the member behind whose port it is; NULL when it is behind none
 * @header: what each packet begins with
 * @header_length: VXLAN_HEADER, or 0
 * @is_strict: all of the header counts, and a header alone says that its sender leaves
 * @forces_port: who sends listens at @port, whatever port it sent from
 * @is_line: only who is among the targets is heard
 * @port: in network order
 * @targets: who gets what is for everybody, or for nobody known
 * @target_count: how many
 * @table: which endpoint a station is behind
 * @endpoints: who has sent
 * @clock_ms: added to the clock by which addresses age
 * @fit: the longest frame that fits one packet of the path
 * @resume: how far the first of the frames that wait has got
 * @announced: the stations on our side that sent last
 * @announced_count: how many
 * @announced_bits: for each of them one that its address leads to, so that others are soon told from them
 * @notice: an eventfd, readable when there are reports
 * @reports: what JavaScript is to know (TUNNEL_)
 * @muted: what it knows already
 * @reported_length: of the frame that was too long, or left in fragments
 * @reported_errno: why nothing was reachable
 */
struct tunnel {
	struct underlay *underlay;
	struct tunnel *next;
	struct member *member;
	uint8_t header[VXLAN_HEADER];
	uint32_t header_length;
	bool is_strict;
	bool forces_port;
	bool is_line;
	uint16_t port;
	union udp_address *targets;
	uint32_t target_count;
	struct forwarding_table table;
	struct endpoint_table endpoints;
	int64_t clock_ms;
	uint32_t fit;
	struct {
		uint32_t frames; /* of those it was cut into, so many have left */
		uint32_t run;    /* so many more have left to some of the targets */
		uint32_t target; /* to so many */
		uint32_t part;   /* and so many of them to the next one */
	} resume;
	struct announced announced[MAX_ANNOUNCED];
	uint32_t announced_count;
	uint64_t announced_bits;
	int notice;
	uint32_t reports;
	uint32_t muted;
	uint32_t reported_length;
	int reported_errno;
};

/* Fills in what does not come from outside; 0 or an errno. */
int tunnel_prepare(struct tunnel *tunnel, uint32_t table_size, uint32_t seed, uint32_t expire_ms);
void tunnel_release(struct tunnel *tunnel);

/* Replaces the targets. The array becomes the tunnel's. */
void tunnel_set_targets(struct tunnel *tunnel, union udp_address *targets, uint32_t count);

/*
 * Sends frames, and counts them. Returns how many were dealt with; fewer than there are when the socket is full: the
 * next call has to begin with the frame it stopped at, unless tunnel_restart() is called before.
 */
uint32_t tunnel_send(struct tunnel *tunnel, const struct frames *frames, double *sent);
void tunnel_restart(struct tunnel *tunnel);

/* Shows all targets where our stations are now, by a frame from each that was not silent for too long. */
void tunnel_announce(struct tunnel *tunnel);

/* Tells all targets that nobody is here any more, when that can be said. */
void tunnel_leave(struct tunnel *tunnel);

/* What a packet is to a tunnel. */
enum packet_verdict {
	PACKET_IS_FRAME,
	PACKET_IS_LEAVE,
	PACKET_TOO_SHORT,
	PACKET_BAD_HEADER,
	PACKET_FOREIGN_VNI,
};
enum packet_verdict tunnel_judge(const struct tunnel *tunnel, const uint8_t *packet, uint32_t length);

/* Whether the tunnel hears that sender. */
bool tunnel_hears(const struct tunnel *tunnel, const union udp_address *from);

/* The endpoint that packets from there come from; it may be a new one. */
struct endpoint *tunnel_endpoint(struct tunnel *tunnel, const union udp_address *from);

/* Forgets who leaves. */
void tunnel_forget(struct tunnel *tunnel, const union udp_address *from);

/* Notes that the frame's source is behind the endpoint, and no longer on our side. */
void tunnel_learn(struct tunnel *tunnel, const struct endpoint *endpoint, const uint8_t *frame, uint32_t length);

/* The clock by which addresses age, in tenths of a second. */
uint32_t tunnel_now(const struct tunnel *tunnel);

#endif
