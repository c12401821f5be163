/*
 * The endpoints of a tunnel: who has sent to us, by the address of their packets (a VTEP, RFC 7348, section 4.1).
 *
 * Of bounded size: an address has four places, and takes that of the one heard of longest ago when all are in use. An
 * endpoint has a token, by which the forwarding table names it; when the endpoint goes, nothing has its token any
 * more, so what was heard from it is forgotten by itself. Pure byte work; no system calls.
 */
#ifndef VDENS_ENDPOINT_TABLE_H
#define VDENS_ENDPOINT_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "udp_io.h"

/* How many endpoints are remembered. */
#define MAX_ENDPOINTS 4096

/**
 * struct endpoint - one.
 * @key: the address that it is found by
 * @address: where to send to
 * @token: its name; 0 when the place is free
 * @seen: when it was heard last, in tenths of a second
 */
struct endpoint {
	union udp_address key;
	union udp_address address;
	uint32_t token;
	uint32_t seen;
};

/**
 * struct endpoint_table - the endpoints known.
 * @entries: MAX_ENDPOINTS of them
 * @seed: changes which addresses share places
 * @serial: of the last token
 */
struct endpoint_table {
	struct endpoint *entries;
	uint32_t seed;
	uint32_t serial;
};

/* Allocates the table; false when there is no memory. */
bool endpoint_table_prepare(struct endpoint_table *table, uint32_t seed);
void endpoint_table_release(struct endpoint_table *table);

/* The endpoint of that key; NULL when it is not known. */
struct endpoint *endpoint_table_find(const struct endpoint_table *table, const union udp_address *key);

/* Makes one that is not known yet; another may have to go for it. */
struct endpoint *endpoint_table_add(struct endpoint_table *table, const union udp_address *key, uint32_t now);

/* The endpoint of that token; NULL when it is gone. */
struct endpoint *endpoint_table_of(const struct endpoint_table *table, uint32_t token);

/* Forgets one, or all. */
void endpoint_table_forget(struct endpoint *endpoint);
void endpoint_table_clear(struct endpoint_table *table);

#endif
