#include "udp_run.h"

#include "hot.h"

/* Used with the lock, and empty when it is let go. */
static struct {
	struct datagram_flow *flow; /* NULL when there is nothing */
	struct guest_packet packet; /* the first */
	bool has_to;
	union udp_address to;
	struct iovec parts[MAX_UDP_SEGMENTS];
	uint32_t count;
	uint32_t length;
	datagram_report *report;
} run;

HOT void udp_run_send(void)
{
	struct datagram_flow *flow = run.flow;

	if (flow == NULL)
		return;
	run.flow = NULL;
	datagram_send_run(flow, &run.packet, run.has_to ? &run.to : NULL, run.parts, run.count, run.report);
}

void udp_run_forget(const struct datagram_flow *flow)
{
	if (run.flow == flow)
		udp_run_send();
}

/* Whether it may leave behind those that were taken: the headers that the host writes are the same, too. */
HOT static bool continues(const struct datagram_flow *flow, const struct guest_packet *packet,
			  const union udp_address *to, uint32_t length)
{
	const size_t segment = run.parts[0].iov_len;

	return run.flow == flow && run.count < MAX_UDP_SEGMENTS && length > 0 && length <= segment &&
	       run.parts[run.count - 1].iov_len == segment && run.length + length <= MAX_UDP_PAYLOAD &&
	       packet->hop_limit == run.packet.hop_limit && packet->traffic_class == run.packet.traffic_class &&
	       packet->dont_fragment == run.packet.dont_fragment && datagram_takes_runs(flow) &&
	       (to == NULL || memcmp(to, &run.to, sizeof *to) == 0);
}

HOT void udp_run_add(struct datagram_flow *flow, const struct guest_packet *packet, const union udp_address *to,
		     const uint8_t *payload, uint32_t length, datagram_report *report)
{
	if (!continues(flow, packet, to, length)) {
		udp_run_send();
		run.flow = flow;
		run.packet = *packet;
		run.has_to = to != NULL;
		if (to != NULL)
			run.to = *to;
		run.count = 0;
		run.length = 0;
		run.report = report;
	}
	/* Sending does not change what it points to. */
	run.parts[run.count++] = (struct iovec){ .iov_base = (void *)(uintptr_t)payload, .iov_len = length };
	run.length += length;
	if (packet->is_gathered)
		udp_run_send();
}
