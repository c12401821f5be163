#include "flow.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define FIRST_BUCKETS 256

int flow_table_prepare(struct flow_table *table, uint32_t most, const struct siphash_key *key)
{
	table->most = most;
	table->key = *key;
	table->bucket_count = FIRST_BUCKETS;
	table->buckets = calloc(table->bucket_count, sizeof *table->buckets);
	for (int i = 0; i < FLOW_CLASSES; i++)
		list_prepare(&table->classes[i]);
	return table->buckets == NULL ? ENOMEM : 0;
}

void flow_table_release(struct flow_table *table)
{
	free(table->buckets);
	table->buckets = NULL;
}

_Static_assert(sizeof(struct flow_key) == 40, "a key has no padding");

static struct flow **bucket_of(const struct flow_table *table, const struct flow_key *key)
{
	return &table->buckets[siphash(&table->key, key, sizeof *key) & (table->bucket_count - 1)];
}

struct flow *flow_table_find(const struct flow_table *table, const struct flow_key *key)
{
	struct flow *flow = *bucket_of(table, key);

	while (flow != NULL && memcmp(&flow->key, key, sizeof *key) != 0)
		flow = flow->next_in_bucket;
	return flow;
}

/* Twice as many buckets, if there is memory; otherwise searching takes longer. */
static void grow(struct flow_table *table)
{
	struct flow_table larger = *table;

	larger.bucket_count *= 2;
	larger.buckets = calloc(larger.bucket_count, sizeof *larger.buckets);
	if (larger.buckets == NULL)
		return;
	for (uint32_t i = 0; i < table->bucket_count; i++) {
		while (table->buckets[i] != NULL) {
			struct flow *flow = table->buckets[i];
			table->buckets[i] = flow->next_in_bucket;
			struct flow **bucket = bucket_of(&larger, &flow->key);
			flow->next_in_bucket = *bucket;
			*bucket = flow;
		}
	}
	free(table->buckets);
	table->buckets = larger.buckets;
	table->bucket_count = larger.bucket_count;
}

void flow_table_add(struct flow_table *table, struct flow *flow)
{
	if (table->count >= table->bucket_count)
		grow(table);
	struct flow **bucket = bucket_of(table, &flow->key);
	flow->next_in_bucket = *bucket;
	*bucket = flow;
	list_add_first(&table->classes[flow->class], &flow->class_link);
	table->count++;
}

void flow_table_remove(struct flow_table *table, struct flow *flow)
{
	struct flow **link = bucket_of(table, &flow->key);

	while (*link != flow)
		link = &(*link)->next_in_bucket;
	*link = flow->next_in_bucket;
	list_remove(&flow->class_link);
	table->count--;
}

void flow_table_use(struct flow_table *table, struct flow *flow, enum flow_class class)
{
	list_remove(&flow->class_link);
	flow->class = class;
	list_add_first(&table->classes[class], &flow->class_link);
}

struct flow *flow_table_oldest(const struct flow_table *table, const struct flow *spared)
{
	for (int class = 0; class <= CLASS_DATAGRAMS; class++) {
		const struct list_link *list = &table->classes[class];
		for (const struct list_link *link = list->previous; link != list; link = link->previous) {
			struct flow *flow = list_entry(link, struct flow, class_link);
			if (flow != spared)
				return flow;
		}
	}
	return NULL;
}
