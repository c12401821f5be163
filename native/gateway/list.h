/*
 * Lists whose links are in what they list: to add and to take out cost the same however long they are.
 */
#ifndef VDENS_LIST_H
#define VDENS_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* One place in a list, or the list itself. All zero: in none. */
struct list_link {
	struct list_link *next;
	struct list_link *previous;
};

/* What a link is in. */
#define list_entry(link, type, member) ((type *)((char *)(link) - offsetof(type, member)))

static inline void list_prepare(struct list_link *list)
{
	list->next = list->previous = list;
}

static inline bool list_is_empty(const struct list_link *list)
{
	return list->next == list;
}

static inline bool list_has(const struct list_link *link)
{
	return link->next != NULL;
}

static inline void list_add_first(struct list_link *list, struct list_link *link)
{
	link->next = list->next;
	link->previous = list;
	list->next->previous = link;
	list->next = link;
}

static inline void list_add_last(struct list_link *list, struct list_link *link)
{
	list_add_first(list->previous, link);
}

/* Takes it out, if it is in one. */
static inline void list_remove(struct list_link *link)
{
	if (!list_has(link))
		return;
	link->previous->next = link->next;
	link->next->previous = link->previous;
	link->next = link->previous = NULL;
}

#endif
