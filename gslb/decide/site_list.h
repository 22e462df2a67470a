/* gslb/decide/site_list.h
 * Lists of sites, each kept once: equal lists (same sites, same order) have the same number. Owned by the caller; one
 * thread writes, afterwards any may read. */
#ifndef GSLB_DECIDE_SITE_LIST_H
#define GSLB_DECIDE_SITE_LIST_H

#include <stddef.h>
#include <stdint.h>

struct site_list { /* where a list stands in site_lists.sites */
  size_t start;
  uint32_t count;
  uint32_t hash;
};

struct site_lists {
  uint32_t *sites; /* of all lists, one after the other */
  size_t site_count;
  size_t site_capacity;
  struct site_list *lists;
  size_t count;
  size_t capacity;
  uint32_t *cells; /* hash table: number of a list plus 1, or 0 */
  size_t cell_count;
};

void site_lists_init(struct site_lists *lists);
/* Holds one list, the empty one, as number 0. */
void site_lists_release(struct site_lists *lists);

uint32_t site_lists_add(struct site_lists *lists, const uint32_t *sites, size_t count);
/* The list's number: that of its equal, or else the next. Copies it. */

const uint32_t *site_lists_get(const struct site_lists *lists, uint32_t number, size_t *count);
/* Borrowed until the next site_lists_add; NULL for the empty list. The number must have been given. */

#endif
