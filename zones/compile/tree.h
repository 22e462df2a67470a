/* zones/compile/tree.h
 * The names of all zones while they are being compiled: a hash table of nodes with their RRsets, empty non-terminals
 * and places of balanced names among them. Built by zones/compile, judged by zones/compile/check, written by
 * zones/compile/layout. One thread; everything lives in the tree's arena. */
#ifndef GSLB_ZONES_COMPILE_TREE_H
#define GSLB_ZONES_COMPILE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/memory.h"
#include "gslb/base/problem.h"
#include "gslb/model/config.h"
#include "zones/image/image.h"
#include "zones/records/master.h"
#include "gslb/model/name.h"

#define TREE_NO_MEMBER UINT16_MAX

struct tree_record {
  struct tree_record *next;
  const char *file;
  int line;
  uint16_t size;
  uint16_t name_at[RDATA_NAMES_MOST];
  uint8_t name_count;
  bool ends_in_name; /* its only name, which runs to the end of the data */
  uint8_t data[];
};

struct tree_rrset {
  struct tree_rrset *next; /* of the same name, in ascending type */
  struct tree_record *last;
  uint32_t ttl_s; /* the lowest of its records (RFC 2181 section 5.2) */
  uint32_t count;
  uint16_t type;
  uint16_t patch_count, target_count, data_size; /* set by zones/compile/layout */
  struct tree_record first;                      /* with its data behind */
};

struct tree_extra {                         /* what most names have nothing of, and share */
  struct tree_node *cut, *dname, *wildcard; /* as in struct image_links; set by tree_settle */
  uint32_t service;                         /* IMAGE_NONE: none */
  uint16_t member;
};

struct tree_node {
  struct tree_node *next;   /* in order of creation: within a zone parents come first */
  struct tree_node *parent; /* one label less; NULL where no zone of ours reaches */
  struct tree_rrset *rrsets;
  const struct tree_extra *extra;
  uint32_t unit; /* in the image; set by zones/compile/layout */
  uint32_t zone;
  uint16_t flags;
  uint8_t size;
  uint8_t name[];
};

struct tree_zone {
  const struct config_zone *config;
  struct tree_node *apex;
  uint32_t record_count;
};

/* A slot: a node's address below its upper bits of the hash, so that a search reads hardly any node but the right one;
 * 0: empty. Addresses of user space have at most TREE_SLOT_SHIFT bits. */
#define TREE_SLOT_SHIFT 48

struct tree {
  struct arena arena;
  const struct config *config;
  struct tree_zone *zones;
  uint64_t *slots; /* open addressing as in the image, which has as many buckets */
  size_t slot_count;
  size_t node_count;
  struct tree_node *first, *last;
  const struct tree_node *recent; /* the parent of the last node, which the next one often has as well */
};

void tree_init(struct tree *tree, const struct config *config);
/* With the apexes of the configuration's zones, whose names must be sound, and what stands between them. */
void tree_release(struct tree *tree);

struct tree_node *tree_find(const struct tree *tree, const uint8_t *name, size_t size);
struct tree_node *tree_insert(struct tree *tree, const uint8_t *name, size_t size);
/* The node, created with all between it and its zone's apex where needed; NULL when the name is in no zone. Names are
 * lower case. */
struct tree_node *tree_encloser(const struct tree *tree, const uint8_t *name, size_t size, uint64_t hash);
/* The nearest node at or above the name, whose name_hash is given; NULL when it is in no zone. */
struct tree_node *tree_insert_below(struct tree *tree, struct tree_node *encloser, const uint8_t *name, size_t size,
                                    uint64_t hash);
/* As tree_insert, where the name's encloser is known. */
static inline void tree_prefetch(const struct tree *tree, uint64_t hash) {
  __builtin_prefetch(&tree->slots[hash & (tree->slot_count - 1)], 1);
}
/* A name with that hash is looked for soon. */

struct tree_extra *tree_extra(struct tree *tree, struct tree_node *node);
/* Of its own, to be changed. */

void tree_add(struct tree *tree, struct tree_node *node, const struct master_record *record);
struct tree_rrset *tree_rrset(const struct tree_node *node, uint16_t type);
/* NULL: none of that type. */
bool tree_has_address(const struct tree_node *node);
/* Static A or AAAA records, or balanced addresses. */

#define TREE_AHEAD 8u /* a power of two */

struct tree_walk {        /* over all nodes, in order, to place each in a hash table */
  struct tree_node *node; /* reached */
  uint64_t hash;          /* its name's */
  struct tree_node *next;
  const struct tree_node *ahead; /* the first that is not yet hashed */
  uint64_t hashes[TREE_AHEAD];   /* of those between, a ring */
  size_t hashed, reached;        /* nodes, so far */
  const uint8_t *table;
  size_t mask, entry_size;
};

void tree_walk_start(struct tree_walk *walk, const struct tree *tree, const void *table, size_t count,
                     size_t entry_size);
bool tree_walk_next(struct tree_walk *walk);
/* To the first node, then to each next; false behind the last. Fetches the memory of some nodes to come and of their
 * entries, of which table has count, a power of two. */

void tree_settle(struct tree *tree);
/* Once all is in: drops duplicate records, then sets cut, dname, wildcard and flags of every node. */
void tree_prune(struct tree *tree);
/* Drops what a cut hides, but for glue, and counts each zone's records. After the checks. */

const char *tree_name(const struct tree_node *node, char text[NAME_TEXT_SIZE]);

#endif
