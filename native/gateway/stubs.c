/* Stands in for what is not written yet. */
#include "echo.h"
#include "icmp_error.h"
#include "reassembly.h"
#include "tcp.h"
#include "udp.h"

#define WEAK __attribute__((weak))
WEAK enum guest_verdict guest_packet_parse(const uint8_t *f, uint32_t l, const struct offload_header *o, struct guest_packet *p) { (void)f; (void)l; (void)o; (void)p; return GUEST_MALFORMED; }
WEAK bool guest_packet_is_intact(const struct guest_packet *p) { (void)p; return true; }
WEAK void udp_input(struct gateway *g, const struct guest_packet *p) { (void)g; (void)p; }
WEAK struct flow *udp_forward(struct gateway *g, int fd, const struct ip_address *a, uint16_t port) { (void)g; (void)fd; (void)a; (void)port; return NULL; }
WEAK void udp_task(struct flow *f) { (void)f; }
WEAK void udp_timer(struct flow *f, int64_t n) { (void)f; (void)n; }
WEAK void udp_end(struct flow *f) { (void)f; }
WEAK void echo_input(struct gateway *g, const struct guest_packet *p) { (void)g; (void)p; }
WEAK void echo_answer(struct gateway *g, const struct guest_packet *p) { (void)g; (void)p; }
WEAK void echo_task(struct flow *f) { (void)f; }
WEAK void echo_timer(struct flow *f, int64_t n) { (void)f; (void)n; }
WEAK void echo_end(struct flow *f) { (void)f; }
WEAK void tcp_input(struct gateway *g, const struct guest_packet *p) { (void)g; (void)p; }
WEAK void tcp_task(struct flow *f) { (void)f; }
WEAK void tcp_timer(struct flow *f, int64_t n) { (void)f; (void)n; }
WEAK void tcp_end(struct flow *f) { (void)f; }
WEAK void tcp_resolved(struct flow *f, const uint8_t *m) { (void)f; (void)m; }
WEAK struct flow *tcp_forward(struct gateway *g, int fd, const struct ip_address *r, uint16_t rp, const struct ip_address *a, uint16_t p) { (void)g; (void)fd; (void)r; (void)rp; (void)a; (void)p; return NULL; }
WEAK void tcp_adopt(struct flow *f, int fd) { (void)f; (void)fd; }
WEAK void icmp_refuse(struct gateway *g, const struct guest_packet *p, enum icmp_problem e, uint32_t m) { (void)g; (void)p; (void)e; (void)m; }
WEAK struct reassembly *reassembly_open(void) { return (struct reassembly *)1; }
WEAK void reassembly_close(struct reassembly *r) { (void)r; }
WEAK bool reassembly_add(struct gateway *g, const struct guest_packet *f, struct guest_packet *w) { (void)g; (void)f; (void)w; return false; }
WEAK int64_t reassembly_check(struct gateway *g, int64_t n) { (void)g; (void)n; return INT64_MAX; }
