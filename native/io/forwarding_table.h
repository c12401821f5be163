/*
 * Which station is behind which port: MAC address and VLAN to port (IEEE 802.1Q, 8.8 "The filtering database").
 *
 * Of bounded size: an address has four places, and takes that of the one heard of longest ago when all are in use.
 * Entries that were not refreshed for a time count as forgotten. Pure byte work; no system calls.
 */
#ifndef VDENS_FORWARDING_TABLE_H
#define VDENS_FORWARDING_TABLE_H

#include <stdbool.h>
#include <stdint.h>

/* No port: nothing is known of the address. */
#define PORT_UNKNOWN UINT32_MAX

/**
 * struct forwarding_entry - one address.
 * @key: the address in the low 48 bits, the VLAN in the 12 above, bit 63 set; 0 when the place is free
 * @port: where it was heard last; whether that port is still there is the caller's to know
 * @seen: when, in tenths of a second
 */
struct forwarding_entry {
	uint64_t key;
	uint32_t port;
	uint32_t seen;
};

/**
 * struct forwarding_table - the addresses known.
 * @entries: @size of them
 * @size: a power of two; 0 for a table that never knows anything
 * @seed: changes which addresses share places
 * @expire: how long an entry lives without being refreshed, in tenths of a second
 */
struct forwarding_table {
	struct forwarding_entry *entries;
	uint32_t size;
	uint32_t seed;
	uint32_t expire;
};

/* Allocates the table, @size rounded up to a power of two; false when there is no memory. */
bool forwarding_table_prepare(struct forwarding_table *table, uint32_t size);
void forwarding_table_release(struct forwarding_table *table);

/* The key of a source or destination address of @frame, at @offset in it; @frame has an Ethernet header. */
uint64_t forwarding_key(const uint8_t *frame, uint32_t length, uint32_t offset);

/* The same in a VLAN that the frame need not say. */
uint64_t forwarding_key_in(const uint8_t *frame, uint32_t offset, uint16_t vlan);

/* What is noted of @key, fresh or not; NULL when nothing is. */
const struct forwarding_entry *forwarding_table_entry(const struct forwarding_table *table, uint64_t key);

/* The VLAN of an entry. */
uint16_t forwarding_entry_vlan(const struct forwarding_entry *entry);

/* Notes that @key was heard at @port. */
void forwarding_table_learn(struct forwarding_table *table, uint64_t key, uint32_t port, uint32_t now);

/* Where @key was heard last, or PORT_UNKNOWN. */
uint32_t forwarding_table_find(const struct forwarding_table *table, uint64_t key, uint32_t now);

/* Whether the entry still counts. */
bool forwarding_entry_is_fresh(const struct forwarding_table *table, const struct forwarding_entry *entry,
			       uint32_t now);

#endif
