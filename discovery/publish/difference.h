/* discovery/publish/difference.h
 * What has to be changed at another server so that it holds what is wanted instead of what it was told before. Sets of
 * PTR records may hold others' too, so of them only our own records are touched; all other sets are ours alone and are
 * replaced whole. (A set has one TTL, so others' PTR records next to ours get ours.) Pure; any thread. */
#ifndef GSLB_DISCOVERY_PUBLISH_DIFFERENCE_H
#define GSLB_DISCOVERY_PUBLISH_DIFFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/base/memory.h"
#include "gslb/decide/directory.h"

enum change_kind {
  CHANGE_DELETE_SET,  /* of the record's owner and type */
  CHANGE_DELETE,      /* the record */
  CHANGE_ADD,         /* the record */
  CHANGE_DELETE_TYPE, /* the record, which names a service type, when nobody has an instance of the type any more */
};

struct change {
  enum change_kind kind;
  const struct directory_record *record; /* borrowed from the directories */
  size_t set;                            /* number of its set: those of one set belong into one message */
};

struct difference { /* types last */
  struct change *changes;
  size_t count;
  bool is_urgent; /* more than weights of SRV records */
};

void difference_make(const struct directory *told, const struct directory *wanted, bool is_sure, struct arena *arena,
                     struct difference *out);
/* Both sorted (directory_sort). !is_sure: it is not known whether what was told stands there, so that everything wanted
 * is told again. A told record with empty data stands for any of its set. */

#endif
