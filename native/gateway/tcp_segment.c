/*
 * TCP segments of guests, and those for them (RFC 9293, 3.1).
 */
#include "tcp_flow.h"

#include "checksum.h"
#include "hot.h"

#define OPTION_END 0
#define OPTION_NOTHING 1
#define OPTION_MOST 2
#define OPTION_SCALE 3
#define OPTION_SACKS 4
#define OPTION_SACK 5
#define LARGEST_SCALE 14
/* MSS, window scale and SACK permitted, padded; or SACK. */
#define MOST_OPTIONS (4 + 8 * MAX_SACK_BLOCKS)

static void parse_blocks(struct tcp_segment *segment, const uint8_t *option, uint32_t length)
{
	for (uint32_t at = 2; at + 8 <= length && segment->block_count < MAX_HEARD_BLOCKS; at += 8)
		segment->blocks[segment->block_count++] =
			(struct tcp_range){ load_be32(option + at), load_be32(option + at + 4) };
}

static void parse_option(struct tcp_segment *segment, const uint8_t *option, uint32_t length)
{
	if (option[0] == OPTION_MOST && length == 4)
		segment->most = load_be16(option + 2);
	if (option[0] == OPTION_SCALE && length == 3)
		segment->scale = (int8_t)(option[2] > LARGEST_SCALE ? LARGEST_SCALE : option[2]);
	if (option[0] == OPTION_SACKS)
		segment->sacks = true;
	if (option[0] == OPTION_SACK)
		parse_blocks(segment, option, length);
}

static void parse_options(struct tcp_segment *segment, const uint8_t *options, uint32_t length)
{
	for (uint32_t at = 0; at < length && options[at] != OPTION_END;) {
		if (options[at] == OPTION_NOTHING) {
			at++;
			continue;
		}
		if (length - at < 2 || options[at + 1] < 2 || options[at + 1] > length - at)
			return;
		parse_option(segment, options + at, options[at + 1]);
		at += options[at + 1];
	}
}

HOT bool tcp_segment_parse(const struct guest_packet *packet, struct tcp_segment *segment)
{
	const uint8_t *tcp = packet->frame + packet->transport;
	const uint32_t length = packet->end - packet->transport;

	if (length < TCP_HEADER)
		return false;
	const uint32_t header = (uint32_t)(tcp[TCP_DATA_OFFSET] >> 4) * 4;
	if (header < TCP_HEADER || header > length)
		return false;
	*segment = (struct tcp_segment){
		.source_port = load_u16(tcp), .destination_port = load_u16(tcp + 2),
		.sequence = load_be32(tcp + TCP_SEQUENCE), .acknowledgement = load_be32(tcp + TCP_ACKNOWLEDGEMENT),
		.flags = tcp[TCP_FLAGS], .window = load_be16(tcp + TCP_WINDOW), .payload = tcp + header,
		.length = length - header, .scale = -1,
	};
	if (header > TCP_HEADER)
		parse_options(segment, tcp + TCP_HEADER, header - TCP_HEADER);
	return true;
}

uint16_t tcp_segment_most(const struct gateway *gateway, bool is_v6)
{
	const uint32_t headers = packet_headers(is_v6) - ETHERNET_HEADER + TCP_HEADER;

	return (uint16_t)(gateway->mtu - headers);
}

HOT uint8_t *tcp_segment_reserve(struct tcp_flow *tcp, uint32_t length)
{
	const uint32_t headers = packet_headers(tcp->flow.is_v6) + TCP_HEADER;
	uint8_t *frame = gateway_reserve(tcp->flow.gateway, headers + length);

	return frame == NULL ? NULL : frame + headers;
}

static struct packet_path path_of(const struct tcp_flow *tcp)
{
	return (struct packet_path){ .guest_mac = tcp->flow.guest_mac, .gateway_mac = tcp->flow.gateway->mac,
				     .is_v6 = tcp->flow.is_v6, .source = &tcp->flow.key.remote,
				     .guest = &tcp->flow.key.guest, .hop_limit = OWN_HOP_LIMIT };
}

/* What the guest is told of our room; the edge never goes back (RFC 9293, 3.8.6). */
HOT static uint16_t own_window(struct tcp_flow *tcp, bool is_syn)
{
	const uint32_t room = tcp_host_room(tcp);

	if (sequence_compare(tcp->expected + room, tcp->edge) > 0)
		tcp->edge = tcp->expected + room;
	uint32_t window = tcp->edge - tcp->expected;
	if (!is_syn && tcp->guest_scales)
		window >>= OWN_WINDOW_SCALE;
	return window > UINT16_MAX ? UINT16_MAX : (uint16_t)window;
}

HOT static void write_header(struct tcp_flow *tcp, uint8_t *header, uint32_t header_length, uint32_t sequence,
			     uint8_t flags)
{
	store_u16(header, tcp->flow.key.remote_port);
	store_u16(header + 2, tcp->flow.key.guest_port);
	store_be32(header + TCP_SEQUENCE, sequence);
	store_be32(header + TCP_ACKNOWLEDGEMENT, flags & SEGMENT_ACK ? tcp->expected : 0);
	header[TCP_DATA_OFFSET] = (uint8_t)(header_length / 4 << 4);
	header[TCP_FLAGS] = flags;
	store_be16(header + TCP_WINDOW, own_window(tcp, (flags & SEGMENT_SYN) != 0));
	store_be16(header + TCP_URGENT, 0);
	tcp->owes &= ~(uint32_t)OWES_ACK;
}

/* Headers of IP and Ethernet, and what whoever takes the frame is to compute. */
HOT static void finish(struct tcp_flow *tcp, uint8_t *frame, uint32_t header_length, uint32_t length)
{
	const struct packet_path path = path_of(tcp);
	const uint32_t transport = packet_write_headers(frame, &path, PROTOCOL_TCP, header_length + length);
	struct offload_header offload = { .flags = OFFLOAD_FLAG_NEEDS_CHECKSUM, .checksum_start = (uint16_t)transport,
					  .checksum_offset = TCP_CHECKSUM };

	store_u16(frame + transport + TCP_CHECKSUM,
		  checksum_fold(packet_path_sum(&path, PROTOCOL_TCP, header_length + length)));
	if (length > tcp->segment) {
		offload.gso_type = tcp->flow.is_v6 ? OFFLOAD_GSO_TCPV6 : OFFLOAD_GSO_TCPV4;
		offload.gso_size = tcp->segment;
		offload.header_length = (uint16_t)(transport + header_length);
	}
	gateway_commit(tcp->flow.gateway, transport + header_length + length, &offload);
}

HOT void tcp_segment_send(struct tcp_flow *tcp, uint32_t sequence, uint8_t flags, uint32_t length)
{
	struct gateway_output *output = &tcp->flow.gateway->output;
	uint8_t *frame = output->arena + output->used;

	write_header(tcp, frame + packet_headers(tcp->flow.is_v6), TCP_HEADER, sequence, flags);
	finish(tcp, frame, TCP_HEADER, length);
}

static uint32_t write_syn_options(const struct tcp_flow *tcp, uint8_t *options, uint8_t flags)
{
	const bool is_answer = (flags & SEGMENT_ACK) != 0;
	uint32_t length = 4;

	options[0] = OPTION_MOST;
	options[1] = 4;
	store_be16(options + 2, tcp_segment_most(tcp->flow.gateway, tcp->flow.is_v6));
	/* An answer has what the guest has (RFC 7323, 2.2; RFC 2018, section 2). */
	if (!is_answer || tcp->guest_scales) {
		const uint8_t scale[] = { OPTION_NOTHING, OPTION_SCALE, 3, OWN_WINDOW_SCALE };
		memcpy(options + length, scale, sizeof scale);
		length += (uint32_t)sizeof scale;
	}
	if (!is_answer || tcp->guest_sacks) {
		const uint8_t sacks[] = { OPTION_NOTHING, OPTION_NOTHING, OPTION_SACKS, 2 };
		memcpy(options + length, sacks, sizeof sacks);
		length += (uint32_t)sizeof sacks;
	}
	return length;
}

HOT void tcp_segment_control(struct tcp_flow *tcp, uint32_t sequence, uint8_t flags)
{
	uint8_t *options = tcp_segment_reserve(tcp, MOST_OPTIONS);

	if (options == NULL)
		return;
	const uint32_t length = flags & SEGMENT_SYN ? write_syn_options(tcp, options, flags)
				: tcp->ahead == NULL ? 0
						     : tcp_ahead_options(tcp, options);
	write_header(tcp, options - TCP_HEADER, TCP_HEADER + length, sequence, flags);
	finish(tcp, options - TCP_HEADER - packet_headers(tcp->flow.is_v6), TCP_HEADER + length, 0);
}

void tcp_segment_reset(struct gateway *gateway, const struct guest_packet *packet, const struct tcp_segment *segment)
{
	const struct packet_path path = { .guest_mac = packet->frame + MAC_BYTES, .gateway_mac = gateway->mac,
					  .is_v6 = packet->is_v6, .source = &packet->destination,
					  .guest = &packet->source, .hop_limit = OWN_HOP_LIMIT };
	const bool has_ack = (segment->flags & SEGMENT_ACK) != 0;
	const uint32_t heard = segment->length + ((segment->flags & SEGMENT_SYN) != 0) + (segment->flags & SEGMENT_FIN);
	uint8_t *frame = segment->flags & SEGMENT_RST ? NULL : gateway_reserve(gateway, packet_headers(path.is_v6) + TCP_HEADER);

	if (frame == NULL)
		return;
	uint8_t *header = frame + packet_write_headers(frame, &path, PROTOCOL_TCP, TCP_HEADER);
	memset(header, 0, TCP_HEADER);
	store_u16(header, segment->destination_port);
	store_u16(header + 2, segment->source_port);
	store_be32(header + TCP_SEQUENCE, has_ack ? segment->acknowledgement : 0);
	store_be32(header + TCP_ACKNOWLEDGEMENT, has_ack ? 0 : segment->sequence + heard);
	header[TCP_DATA_OFFSET] = TCP_HEADER / 4 << 4;
	header[TCP_FLAGS] = has_ack ? SEGMENT_RST : SEGMENT_RST | SEGMENT_ACK;
	const uint64_t sum = packet_path_sum(&path, PROTOCOL_TCP, TCP_HEADER);
	store_u16(header + TCP_CHECKSUM, (uint16_t)~checksum_fold(checksum_add(sum, header, TCP_HEADER)));
	gateway_commit(gateway, packet_headers(path.is_v6) + TCP_HEADER, NULL);
	gateway_count(gateway, GATEWAY_TCP_REFUSED);
}
