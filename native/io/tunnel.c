#include "tunnel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "frame_io.h"
#include "headers.h"
#include "hot.h"
#include "segment.h"

#define MULTICAST_BIT 1
#define DESTINATION_OFFSET 0
#define SOURCE_OFFSET 6

#define FLAGS_OFFSET 0
#define FLAG_VNI 0x08
#define VNI_OFFSET 4
#define VNI_BYTES 3

/* Room for two of the largest super-frames, cut; and for one of very small segments. */
#define CUT_BYTES (256 * 1024)
#define CUT_FRAMES 2048

/* Frames with the same targets, cut into what leaves; used with the lock, by whoever sends. */
static struct {
	struct segment_output output;
	uint32_t starts[BURST_FRAMES + 1]; /* where the frames that a frame was cut into begin */
	uint32_t count;                    /* of frames that were cut */
	uint32_t malformed[BURST_FRAMES];  /* what each of them loses */
	uint32_t too_long[BURST_FRAMES];
	uint8_t bytes[CUT_BYTES];
	struct frame_slot slots[CUT_FRAMES];
} cut;

/* A reverse ARP request (RFC 903) is what others learn from and nobody answers. */
#define ETHERTYPE_RARP 0x8035
#define RARP_REQUEST 3
#define RARP_FRAME 60

/* Who gets a frame: where its station was heard, or everybody. */
struct targets {
	const union udp_address *list;
	uint32_t count;
	struct endpoint *endpoint; /* NULL: everybody */
};

int tunnel_prepare(struct tunnel *tunnel, uint32_t table_size, uint32_t seed, uint32_t expire_ms)
{
	tunnel->notice = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (tunnel->notice < 0)
		return errno;
	tunnel->fit = MAX_UDP_PAYLOAD;
	tunnel->table.seed = seed;
	tunnel->table.expire = expire_ms / 100;
	return forwarding_table_prepare(&tunnel->table, table_size) && endpoint_table_prepare(&tunnel->endpoints, seed)
		       ? 0
		       : ENOMEM;
}

void tunnel_release(struct tunnel *tunnel)
{
	if (tunnel->notice >= 0)
		close(tunnel->notice);
	forwarding_table_release(&tunnel->table);
	endpoint_table_release(&tunnel->endpoints);
	free(tunnel->targets);
}

void tunnel_set_targets(struct tunnel *tunnel, union udp_address *targets, uint32_t count)
{
	free(tunnel->targets);
	tunnel->targets = targets;
	tunnel->target_count = count;
	/* They are looked up among the targets when they are heard again. */
	if (tunnel->forces_port)
		endpoint_table_clear(&tunnel->endpoints);
	tunnel->resume.run = 0;
	tunnel->resume.target = 0;
	tunnel->resume.part = 0;
}

HOT uint32_t tunnel_now(const struct tunnel *tunnel)
{
	return (uint32_t)((port_now_ms() + tunnel->clock_ms) / 100);
}

static void report(struct tunnel *tunnel, uint32_t what, uint32_t length, int error)
{
	if (tunnel->muted & what)
		return;
	tunnel->muted |= what;
	tunnel->reports |= what;
	if (what & (TUNNEL_TOO_LONG | TUNNEL_FRAGMENTED))
		tunnel->reported_length = length;
	if (what & TUNNEL_UNREACHABLE)
		tunnel->reported_errno = error;
	eventfd_write(tunnel->notice, 1);
}

HOT static struct targets everybody_of(const struct tunnel *tunnel)
{
	return (struct targets){ .list = tunnel->targets, .count = tunnel->target_count };
}

HOT static struct targets targets_of(const struct tunnel *tunnel, const uint8_t *frame, uint32_t length, uint32_t now)
{
	if (tunnel->table.size == 0 || frame[DESTINATION_OFFSET] & MULTICAST_BIT)
		return everybody_of(tunnel);
	const uint32_t token =
		forwarding_table_find(&tunnel->table, forwarding_key(frame, length, DESTINATION_OFFSET), now);
	struct endpoint *endpoint = endpoint_table_of(&tunnel->endpoints, token);
	return endpoint == NULL ? everybody_of(tunnel)
				: (struct targets){ .list = &endpoint->address, .count = 1, .endpoint = endpoint };
}

/* Cuts frames from @first on, as long as they have the same targets and there is room; who gets them. */
HOT static struct targets cut_frames(struct tunnel *tunnel, const struct frames *frames, uint32_t first)
{
	const uint32_t now = tunnel_now(tunnel);
	/* What some of the targets have already is for the others, too, whatever has been learned meanwhile. */
	const uint32_t promised = tunnel->resume.target > 0 ? tunnel->resume.frames + tunnel->resume.run : 0;
	struct targets targets = { 0 };

	cut.count = 0;
	cut.output = (struct segment_output){
		.headroom = tunnel->header_length, .bytes = cut.bytes, .size = sizeof cut.bytes, .slots = cut.slots,
		.capacity = CUT_FRAMES, .max_frame = MAX_UDP_PAYLOAD - tunnel->header_length,
	};
	for (uint32_t i = first; i < frames->count && cut.count < BURST_FRAMES; i++) {
		const struct frame_slot *slot = &frames->slots[i];
		struct segment_result result;
		const struct targets its =
			cut.output.count < promised
				? everybody_of(tunnel)
				: targets_of(tunnel, frames->arena + slot->offset, slot->length, now);
		if (i == first)
			targets = its;
		else if (its.list != targets.list)
			break;
		cut.starts[cut.count] = cut.output.count;
		segment_batch(frames->arena, frames->arena_size, frames->slots, i, 1, &cut.output, &result);
		if (result.consumed == 0)
			break;
		cut.malformed[cut.count] = result.malformed;
		cut.too_long[cut.count++] = result.too_long;
	}
	cut.starts[cut.count] = cut.output.count;
	if (tunnel->header_length > 0) {
		for (uint32_t i = 0; i < cut.output.count; i++)
			memcpy(cut.bytes + cut.slots[i].offset - VXLAN_HEADER, tunnel->header, VXLAN_HEADER);
	}
	return targets;
}

/* How many frames from @at on can leave together: all of one length, but the last may be shorter. */
HOT static uint32_t run_of(const struct tunnel *tunnel, uint32_t at)
{
	const uint32_t length = cut.slots[at].length;
	const uint32_t end = cut.output.count - at < MAX_UDP_SEGMENTS ? cut.output.count : at + MAX_UDP_SEGMENTS;
	uint32_t total = tunnel->header_length + length;
	uint32_t next = at + 1;

	if (!tunnel->underlay->takes_runs || length > tunnel->fit)
		return 1;
	for (; next < end && cut.slots[next - 1].length == length && cut.slots[next].length <= length; next++) {
		total += tunnel->header_length + cut.slots[next].length;
		if (total > MAX_UDP_PAYLOAD)
			break;
	}
	return next - at;
}

/* Sends @run frames to one target; 0 or an errno, and when there is no room for all, how many have left. */
HOT static int send_run(struct tunnel *tunnel, const union udp_address *to, uint32_t at, uint32_t run, uint32_t *left)
{
	const struct frame_slot *last = &cut.slots[at + run - 1];
	const uint32_t start = cut.slots[at].offset - tunnel->header_length;
	struct sent_run sent;
	int error = underlay_send(tunnel->underlay, to, cut.bytes + start, last->offset + last->length - start,
				  run > 1 ? tunnel->header_length + cut.slots[at].length : 0, &sent);

	if (sent.is_refused)
		report(tunnel, TUNNEL_REFUSED, 0, 0);
	*left = sent.left;
	return error;
}

HOT static void count_run(const struct tunnel *tunnel, uint32_t at, uint32_t run, double *sent)
{
	sent[COUNT_FRAMES] += run;
	for (uint32_t i = at; i < at + run; i++) {
		sent[COUNT_BYTES] += cut.slots[i].length;
		sent[COUNT_FRAGMENTED] += cut.slots[i].length > tunnel->fit;
	}
}

/* Whether the kernel has no way for a packet; EINVAL and ENODEV are for an interface that is gone. */
static bool means_no_way(int error)
{
	return error == ENETUNREACH || error == EHOSTUNREACH || error == ENETDOWN || error == EADDRNOTAVAIL ||
	       error == ENODEV || error == EINVAL;
}

static void count_failure(struct tunnel *tunnel, uint32_t at, uint32_t run, int error, double *sent)
{
	const uint32_t length = cut.slots[at].length;

	if (error == EMSGSIZE) {
		sent[DROP_TOO_LONG] += run;
		report(tunnel, TUNNEL_TOO_LONG, length, error);
	} else if (means_no_way(error)) {
		sent[DROP_DOWN] += run;
		report(tunnel, TUNNEL_UNREACHABLE, length, error);
	} else {
		sent[DROP_REFUSED] += run;
		report(tunnel, TUNNEL_UNREACHABLE, length, error);
	}
}

/*
 * Where there is no way to where a station was heard, forgets that and makes everybody the target: the station may be
 * elsewhere by now, or at the same address of a link whose interface was made anew. Returns whether it did.
 */
static bool turns_to_everybody(struct tunnel *tunnel, struct targets *targets, uint32_t length, int error)
{
	if (targets->endpoint == NULL || !means_no_way(error))
		return false;
	report(tunnel, TUNNEL_UNREACHABLE, length, error);
	endpoint_table_forget(targets->endpoint);
	*targets = everybody_of(tunnel);
	return true;
}

/*
 * Sends a run to all targets, but to those that have it. Of a run that the first of them has got in part, the rest
 * becomes another one. Returns how many frames were dealt with; 0 when the socket is full.
 */
HOT static uint32_t send_to_all(struct tunnel *tunnel, struct targets *targets, uint32_t at, uint32_t run, double *sent)
{
	int error = targets->count == 0 ? EHOSTUNREACH : 0;
	bool has_left = tunnel->resume.target > 0;
	uint32_t part = tunnel->resume.part < run ? tunnel->resume.part : run;

	for (uint32_t i = tunnel->resume.target; i < targets->count; i++, part = 0) {
		uint32_t left = 0;
		int result = part == run ? 0 : send_run(tunnel, &targets->list[i], at + part, run - part, &left);
		if (result == EAGAIN && i == 0 && left > 0) {
			run = left;
			result = 0;
		}
		if (result == EAGAIN) {
			tunnel->resume.target = i;
			tunnel->resume.run = i > 0 ? run : 0;
			tunnel->resume.part = i > 0 ? part + left : 0;
			return 0;
		}
		has_left = has_left || result == 0;
		error = result != 0 ? result : error;
	}
	tunnel->resume.target = 0;
	tunnel->resume.run = 0;
	tunnel->resume.part = 0;
	if (!has_left && turns_to_everybody(tunnel, targets, cut.slots[at].length, error))
		return send_to_all(tunnel, targets, at, run, sent);
	if (has_left)
		count_run(tunnel, at, run, sent);
	else if (targets->count == 0)
		sent[DROP_DOWN] += run; /* nobody is known */
	else
		count_failure(tunnel, at, run, error, sent);
	if (has_left && cut.slots[at].length > tunnel->fit)
		report(tunnel, TUNNEL_FRAGMENTED, cut.slots[at].length, 0);
	return run;
}

/* Sends what was cut; how many of the frames it was cut from have left. */
HOT static uint32_t send_cut(struct tunnel *tunnel, struct targets targets, double *sent)
{
	uint32_t at = tunnel->resume.frames;

	tunnel->resume.frames = 0;
	while (at < cut.output.count) {
		uint32_t run = tunnel->resume.run > 0 ? tunnel->resume.run : run_of(tunnel, at);
		/* Not all may have found room where they wait. */
		if (run > cut.output.count - at)
			run = cut.output.count - at;
		run = send_to_all(tunnel, &targets, at, run, sent);
		if (run == 0)
			break;
		at += run;
	}
	if (at >= cut.output.count)
		return cut.count;
	uint32_t frame = 0;
	while (cut.starts[frame + 1] <= at)
		frame++;
	tunnel->resume.frames = at - cut.starts[frame];
	return frame;
}

/* Counts what frames lost when they were cut, once they are dealt with. */
HOT static void count_lost(struct tunnel *tunnel, const struct frame_slot *slots, uint32_t count, double *sent)
{
	for (uint32_t i = 0; i < count; i++) {
		sent[DROP_MALFORMED] += cut.malformed[i];
		sent[DROP_TOO_LONG] += cut.too_long[i];
		if (cut.too_long[i] > 0)
			report(tunnel, TUNNEL_TOO_LONG, slots[i].length, EMSGSIZE);
	}
}

/* The bit of a station among announced_bits. */
HOT static uint64_t announced_bit(const uint8_t *mac)
{
	return 1ULL << ((mac[MAC_BYTES - 1] ^ mac[MAC_BYTES - 2] << 2) & 63);
}

/* That station, NULL when it is not among those on our side. */
HOT static struct announced *find_announced(struct tunnel *tunnel, const uint8_t *mac)
{
	if ((tunnel->announced_bits & announced_bit(mac)) == 0)
		return NULL;
	for (uint32_t i = 0; i < tunnel->announced_count; i++) {
		if (memcmp(tunnel->announced[i].mac, mac, MAC_BYTES) == 0)
			return &tunnel->announced[i];
	}
	return NULL;
}

static void mark_announced(struct tunnel *tunnel)
{
	tunnel->announced_bits = 0;
	for (uint32_t i = 0; i < tunnel->announced_count; i++)
		tunnel->announced_bits |= announced_bit(tunnel->announced[i].mac);
}

/* Room for one more: that of the one that has been silent for longest, when there is no other. */
static struct announced *make_room(struct tunnel *tunnel, uint32_t now)
{
	struct announced *oldest = &tunnel->announced[0];

	if (tunnel->announced_count < MAX_ANNOUNCED)
		return &tunnel->announced[tunnel->announced_count++];
	for (uint32_t i = 1; i < MAX_ANNOUNCED; i++) {
		if (now - tunnel->announced[i].seen > now - oldest->seen)
			oldest = &tunnel->announced[i];
	}
	return oldest;
}

/* Remembers where a frame comes from. */
HOT static void remember_source(struct tunnel *tunnel, const uint8_t *source, uint32_t now)
{
	if (source[0] & MULTICAST_BIT)
		return;
	struct announced *station = find_announced(tunnel, source);
	if (station == NULL) {
		station = make_room(tunnel, now);
		memcpy(station->mac, source, MAC_BYTES);
		mark_announced(tunnel);
	}
	station->seen = now;
}

/* The same of many frames; those of one station mostly come together. */
HOT static void remember_sources(struct tunnel *tunnel, const struct frames *frames)
{
	const uint32_t now = tunnel_now(tunnel);
	const uint8_t *before = NULL;

	for (uint32_t i = 0; i < frames->count; i++) {
		const uint8_t *source = frames->arena + frames->slots[i].offset + SOURCE_OFFSET;
		if (before == NULL || memcmp(source, before, MAC_BYTES) != 0)
			remember_source(tunnel, source, now);
		before = source;
	}
}

/* Forgets a station that is not on our side any more. */
static void forget_announced(struct tunnel *tunnel, struct announced *station)
{
	*station = tunnel->announced[--tunnel->announced_count];
	mark_announced(tunnel);
}

static void announce(struct tunnel *tunnel, const uint8_t *mac)
{
	uint8_t packet[VXLAN_HEADER + RARP_FRAME] = { 0 };
	uint8_t *frame = packet + tunnel->header_length;
	uint8_t *request = frame + ETHERNET_HEADER;

	memcpy(packet, tunnel->header, tunnel->header_length);
	memset(frame + DESTINATION_OFFSET, 0xff, MAC_BYTES);
	memcpy(frame + SOURCE_OFFSET, mac, MAC_BYTES);
	store_be16(frame + ETHERNET_TYPE, ETHERTYPE_RARP);
	/* Hardware (Ethernet), protocol, their lengths, operation; then both addresses of both sides, as far as known. */
	store_be16(request, 1);
	store_be16(request + 2, ETHERTYPE_IPV4);
	request[4] = MAC_BYTES;
	request[5] = 4;
	store_be16(request + 6, RARP_REQUEST);
	memcpy(request + 8, mac, MAC_BYTES);
	memcpy(request + 18, mac, MAC_BYTES);
	for (uint32_t i = 0; i < tunnel->target_count; i++)
		underlay_send_behind(tunnel->underlay, &tunnel->targets[i], packet, tunnel->header_length, frame,
				     RARP_FRAME);
}

void tunnel_announce(struct tunnel *tunnel)
{
	const uint32_t now = tunnel_now(tunnel);

	for (uint32_t i = 0; i < tunnel->announced_count; i++) {
		if (now - tunnel->announced[i].seen < tunnel->table.expire)
			announce(tunnel, tunnel->announced[i].mac);
	}
}

/*
 * Sends a lone ordinary frame to its one target, from where it lies: on an idle network each page that is not touched
 * counts. Returns whether it has left; else it goes the usual way.
 */
HOT static bool send_lone(struct tunnel *tunnel, const struct frames *frames, double *sent)
{
	const struct frame_slot *slot = frames->slots;
	const uint8_t *frame = frames->arena + slot->offset;

	if (frames->count != 1 || slot->offload.flags != 0 || slot->offload.gso_type != OFFLOAD_GSO_NONE ||
	    slot->length > tunnel->fit || tunnel->resume.frames > 0 || tunnel->resume.target > 0)
		return false;
	const struct targets targets = targets_of(tunnel, frame, slot->length, tunnel_now(tunnel));
	if (targets.count != 1 || underlay_send_behind(tunnel->underlay, targets.list, tunnel->header,
						       tunnel->header_length, frame, slot->length) != 0)
		return false;
	sent[COUNT_FRAMES]++;
	sent[COUNT_BYTES] += slot->length;
	return true;
}

HOT uint32_t tunnel_send(struct tunnel *tunnel, const struct frames *frames, double *sent)
{
	uint32_t done = 0;

	if (tunnel->table.size > 0)
		remember_sources(tunnel, frames);
	if (send_lone(tunnel, frames, sent))
		return 1;
	while (done < frames->count) {
		const struct targets targets = cut_frames(tunnel, frames, done);
		const uint32_t left = send_cut(tunnel, targets, sent);
		count_lost(tunnel, frames->slots + done, left, sent);
		done += left;
		if (left < cut.count)
			break;
	}
	return done;
}

void tunnel_restart(struct tunnel *tunnel)
{
	memset(&tunnel->resume, 0, sizeof tunnel->resume);
}

void tunnel_leave(struct tunnel *tunnel)
{
	for (uint32_t i = 0; tunnel->is_strict && i < tunnel->target_count; i++)
		underlay_send_behind(tunnel->underlay, &tunnel->targets[i], tunnel->header, tunnel->header_length, NULL, 0);
}

HOT enum packet_verdict tunnel_judge(const struct tunnel *tunnel, const uint8_t *packet, uint32_t length)
{
	if (tunnel->header_length == 0)
		return length < MIN_FRAME_BYTES ? PACKET_TOO_SHORT : PACKET_IS_FRAME;
	if (length < VXLAN_HEADER)
		return PACKET_TOO_SHORT;
	if (memcmp(packet, tunnel->header, VXLAN_HEADER) != 0) {
		const bool is_vxlan = packet[FLAGS_OFFSET] == FLAG_VNI;
		if (is_vxlan && memcmp(packet + VNI_OFFSET, tunnel->header + VNI_OFFSET, VNI_BYTES) != 0)
			return PACKET_FOREIGN_VNI;
		if (!is_vxlan || tunnel->is_strict)
			return PACKET_BAD_HEADER;
	}
	if (tunnel->is_strict && length == VXLAN_HEADER)
		return PACKET_IS_LEAVE;
	return length < VXLAN_HEADER + MIN_FRAME_BYTES ? PACKET_TOO_SHORT : PACKET_IS_FRAME;
}

HOT bool tunnel_hears(const struct tunnel *tunnel, const union udp_address *from)
{
	for (uint32_t i = 0; tunnel->is_line && i < tunnel->target_count; i++) {
		if (memcmp(&tunnel->targets[i], from, sizeof *from) == 0)
			return true;
	}
	return !tunnel->is_line;
}

static void set_port(union udp_address *address, uint16_t port)
{
	if (address->family == AF_INET6)
		address->v6.sin6_port = port;
	else
		address->v4.sin_port = port;
}

/* What an endpoint is known by: its port does not count when it sends from any, but listens at one. */
HOT static union udp_address key_of(const struct tunnel *tunnel, const union udp_address *from)
{
	union udp_address key = *from;

	if (tunnel->forces_port)
		set_port(&key, tunnel->port);
	return key;
}

/* Where an endpoint listens, if it is one of the targets and those were given with a port. */
static void look_up_port(const struct tunnel *tunnel, struct endpoint *endpoint)
{
	for (uint32_t i = 0; tunnel->forces_port && i < tunnel->target_count; i++) {
		union udp_address same = tunnel->targets[i];
		set_port(&same, tunnel->port);
		if (memcmp(&same, &endpoint->key, sizeof same) != 0)
			continue;
		set_port(&endpoint->address, udp_port(&tunnel->targets[i]));
		return;
	}
}

HOT struct endpoint *tunnel_endpoint(struct tunnel *tunnel, const union udp_address *from)
{
	const union udp_address key = key_of(tunnel, from);
	const uint32_t now = tunnel_now(tunnel);
	struct endpoint *endpoint = endpoint_table_find(&tunnel->endpoints, &key);

	if (endpoint == NULL) {
		endpoint = endpoint_table_add(&tunnel->endpoints, &key, now);
		look_up_port(tunnel, endpoint);
	}
	endpoint->seen = now;
	return endpoint;
}

void tunnel_forget(struct tunnel *tunnel, const union udp_address *from)
{
	const union udp_address key = key_of(tunnel, from);
	struct endpoint *endpoint = endpoint_table_find(&tunnel->endpoints, &key);

	if (endpoint != NULL)
		endpoint_table_forget(endpoint);
}

HOT void tunnel_learn(struct tunnel *tunnel, const struct endpoint *endpoint, const uint8_t *frame, uint32_t length)
{
	/* A group address cannot be where a frame comes from. */
	if (frame[SOURCE_OFFSET] & MULTICAST_BIT)
		return;
	struct announced *was_ours = find_announced(tunnel, frame + SOURCE_OFFSET);
	if (was_ours != NULL)
		forget_announced(tunnel, was_ours);
	forwarding_table_learn(&tunnel->table, forwarding_key(frame, length, SOURCE_OFFSET), endpoint->token,
			       endpoint->seen);
}
