/*
 * A fabric: ports, and the decision which of them a frame leaves through. A switch is one, and so is the line
 * between the two ends of a cable.
 *
 *   port ──▶ learn the source, look up the destination ──▶ one port, or all others, or nobody
 *
 * Who sends to a port that cannot take more is held, that is, not read, for a bounded time: frames then wait in the
 * kernel, where senders notice. A port that stays slow beyond that time holds nobody until it has caught up; then only
 * its own frames are lost.
 *
 * Everything here is called with the lock of the datapath (datapath.h).
 */
#ifndef VDENS_FABRIC_H
#define VDENS_FABRIC_H

#include "forwarding_table.h"
#include "port.h"
#include "watch.h"

/* What JavaScript is to know of a port. */
#define REPORT_GONE 1     /* the other end is gone for good */
#define REPORT_PENDING 2  /* frames wait to be taken */
#define REPORT_RELEASED 4 /* it may send again */

/* Groups of several members; see struct member. */
#define FIRST_GROUP 0x80000000U

struct control_queue;
struct fabric;
struct port_vlans;

/**
 * struct member - a port in its fabric.
 * @port: what is behind it
 * @fabric: where it belongs
 * @id: its number among all members of all fabrics
 * @token: its name in the forwarding table, which no other member gets: so what was heard at one that is gone is
 *         forgotten by itself
 * @place: where in @fabric->members
 * @watch: of its descriptor, when it has one of its own
 * @events: what it is to be watched for (of epoll); those of a tunnel share descriptors
 * @held_by: the member whose queue it waits for, or NULL
 * @holds: how many members wait for this one's queue
 * @hold_until_ms: when it has waited long enough
 * @is_lagging: it was waited for too long; nobody waits for it until it has caught up
 * @reports: what JavaScript is to know
 * @group: who has the same never exchange frames, and all get what is for one of them: endpoints of one port of a
 *         switch. That of a member alone is its number; others are FIRST_GROUP and above
 * @vlans: which it is in; NULL for VLAN 0 alone, without tags. Its own
 * @has_bridge: a frame for the bridge itself came in here: another bridge is there
 * @control_waiting: how many of these wait for JavaScript
 * @awaits_bridge: the first of these has not been looked at, so whether other frames may pass is not known yet
 */
struct member {
	struct port port;
	struct fabric *fabric;
	uint32_t id;
	uint32_t token;
	uint32_t place;
	struct watch watch;
	uint32_t events;
	struct member *held_by;
	uint32_t holds;
	int64_t hold_until_ms;
	bool is_lagging;
	uint32_t reports;
	uint32_t group;
	struct port_vlans *vlans;
	bool has_bridge;
	bool awaits_bridge;
	uint32_t control_waiting;
};

/**
 * struct fabric - one.
 * @table: who is where; of size 0 for a hub
 * @members: the ports, in no order
 * @count: how many
 * @capacity: room in @members
 * @notice: an eventfd, readable when a member has reports
 * @in_script: JavaScript has called and will look at the reports itself
 * @has_reports: whether any member has
 * @clock_ms: added to the clock by which addresses age
 * @persist: how long an address stays where it was heard last although it is heard elsewhere, in tenths of a second
 * @is_tagging: tags say which VLAN a frame belongs to; otherwise they are no concern of ours
 * @control: frames for the bridge itself, when JavaScript reads them; NULL forwards them as others
 * @restricted: how many members are in VLANs of their own
 * @mates: how many members have others in their group
 * @takes_turns: of the members in a group, each in its turn gets a frame that comes from outside the group
 * @turn: how many frames have had their turn
 * @is_bridge: any of this matters, so bridge.c forwards
 */
struct fabric {
	struct forwarding_table table;
	struct member **members;
	uint32_t count;
	uint32_t capacity;
	int notice;
	bool in_script;
	bool has_reports;
	int64_t clock_ms;
	uint32_t persist;
	bool is_tagging;
	struct control_queue *control;
	uint32_t restricted;
	uint32_t mates;
	bool takes_turns;
	uint32_t turn;
	bool is_bridge;
};

/* Opens it; 0 or an errno. */
int fabric_prepare(struct fabric *fabric, uint32_t table_size, uint32_t seed, uint32_t expire_ms);

/* The members are the caller's to remove before. */
void fabric_release(struct fabric *fabric);

/* Adds a member with a prepared port, in a group of its own or from FIRST_GROUP on; 0 or an errno. */
int fabric_add(struct fabric *fabric, struct member *member, uint32_t group);

/* Takes a member out. */
void fabric_remove(struct member *member);

/* Sorts frames that came in at a member, and sends them where they belong. */
void fabric_forward(struct member *from, const struct frames *frames);

/* Begins, and ends, to serve what is behind the port of a member; 0 or an errno. */
int fabric_watch(struct member *member);
void fabric_unwatch(struct member *member);

/* There is room again behind the member's port. */
void fabric_flush(struct member *member);

/* Does not read a member of a line until there is something behind the other one, too. */
void fabric_await_other(struct member *member);

/* Lets the queue of the member be empty: who was held for it may go on. To be called after frames were taken. */
void fabric_settle(struct member *member);

/* What has waited too long is dropped, who has waited too long goes on; when to look again, or INT64_MAX. */
int64_t fabric_check_waits(struct fabric *fabric, int64_t now_ms);

/* The member where an address was heard last; NULL when that is too long ago, or the member gone. */
struct member *fabric_member_of(const struct fabric *fabric, const struct forwarding_entry *entry, uint32_t now);

/* The clock by which addresses age, in tenths of a second. */
uint32_t fabric_now(const struct fabric *fabric);

/* Gives @to frames that came in at @from; @is_sole when nobody else gets them. */
void fabric_deliver(struct member *from, struct member *to, const struct frames *frames, bool is_sole);

/* Notes that the address was heard at @from. */
void fabric_learn(struct member *from, uint64_t key, uint32_t now);

/* Puts a member into VLANs; 0 or an errno. */
int fabric_put_into_vlans(struct member *member, const struct port_vlans *vlans);

/* Finds out anew whether the fabric is a bridge. To be called when tagging or control have changed. */
void fabric_choose_way(struct fabric *fabric);

/* Lets JavaScript look at the fabric. */
void fabric_notify(struct fabric *fabric);

/* Notes that JavaScript is to know something of the member. */
void fabric_report(struct member *member, uint32_t report);

#endif
