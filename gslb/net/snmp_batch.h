/* gslb/net/snmp_batch.h
 * What one exchange reads of a device: objects by name and branches row by row, cut into messages, and what the answers
 * brought. No I/O. For gslb/net/snmp*.c alone. One thread. */
#ifndef GSLB_NET_SNMP_BATCH_H
#define GSLB_NET_SNMP_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/base/memory.h"
#include "gslb/base/object_id.h"
#include "gslb/net/snmp.h"
#include "gslb/net/snmp_library.h"

struct snmp_reading {
  struct object_id name; /* of a branch: its root */
  bool is_branch;
  bool is_done;
  bool is_cut;
  struct object_id last; /* of a branch: where the next message goes on */
  size_t most;
  struct snmp_value *values; /* one, of an object that is done; texts are the batch's */
  size_t count, capacity;
};

struct snmp_batch { /* zero-initialised is empty */
  struct arena arena;
  struct snmp_reading *readings;
  size_t count, capacity;
  size_t together;                  /* objects in one message at most; 0: SNMP_TOGETHER_MOST */
  size_t asked[SNMP_TOGETHER_MOST]; /* indices of the readings that the message under way is about */
  size_t asked_count;
};
void snmp_batch_release(struct snmp_batch *batch);

size_t snmp_batch_find(const struct snmp_batch *batch, const struct object_id *name, bool is_branch, size_t most);
/* SIZE_MAX: there is no such reading. */
size_t snmp_batch_add(struct snmp_batch *batch, const struct object_id *name, bool is_branch, size_t most);
/* Finds it too. most: rows of a branch; 1 of an object. */

netsnmp_pdu *snmp_batch_message(struct snmp_batch *batch);
/* The next objects (GET), or else the next rows of branches (GETBULK), in order; NULL when all is read. */
const char *snmp_batch_take(struct snmp_batch *batch, const netsnmp_pdu *response);
/* Takes the answer to the last message. NULL: go on with the next; else why the device cannot be read. */

#endif
