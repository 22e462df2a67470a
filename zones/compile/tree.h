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
  struct tree_record *first, *last;
  uint32_t ttl_s; /* the lowest of its records (RFC 2181 section 5.2) */
  uint32_t count;
  uint16_t type;
  uint16_t patch_count, target_count, data_size; /* set by zones/compile/layout */
};

struct tree_node {
  uint64_t hash;
  struct tree_node *next;   /* in order of creation: within a zone parents come first */
  struct tree_node *parent; /* one label less; NULL where no zone of ours reaches */
  struct tree_rrset *rrsets;
  struct tree_node *cut, *dname, *wildcard; /* as in struct image_links; set by tree_settle */
  uint32_t unit;                            /* in the image; set by zones/compile/layout */
  uint32_t zone;
  uint32_t service;
  uint16_t member;
  uint16_t flags;
  uint8_t size;
  uint8_t name[];
};

struct tree_zone {
  const struct config_zone *config;
  struct tree_node *apex;
  uint32_t record_count;
};

struct tree_slot { /* the hash as well, so that a search reads no node but the right one */
  uint64_t hash;
  struct tree_node *node; /* NULL: empty */
};

struct tree {
  struct arena arena;
  const struct config *config;
  struct tree_zone *zones;
  struct tree_slot *slots; /* open addressing as in the image, which has as many buckets */
  size_t slot_count;
  size_t node_count;
  struct tree_node *first, *last;
};

void tree_init(struct tree *tree, const struct config *config);
/* With the apexes of the configuration's zones, whose names must be sound, and what stands between them. */
void tree_release(struct tree *tree);

struct tree_node *tree_find(const struct tree *tree, const uint8_t *name, size_t size);
struct tree_node *tree_insert(struct tree *tree, const uint8_t *name, size_t size);
/* The node, created with all between it and its zone's apex where needed; NULL when the name is in no zone. Names are
 * lower case. */
struct tree_node *tree_encloser(const struct tree *tree, const uint8_t *name, size_t size);
/* The nearest node at or above the name; NULL when it is in no zone. */
struct tree_node *tree_insert_below(struct tree *tree, struct tree_node *encloser, const uint8_t *name, size_t size);
/* As tree_insert, where the name's encloser is known. */

void tree_add(struct tree *tree, struct tree_node *node, const struct master_record *record);
struct tree_rrset *tree_rrset(const struct tree_node *node, uint16_t type);
/* NULL: none of that type. */
bool tree_has_address(const struct tree_node *node);
/* Static A or AAAA records, or balanced addresses. */

void tree_settle(struct tree *tree);
/* Once all is in: drops duplicate records, then sets cut, dname, wildcard and flags of every node. */
void tree_prune(struct tree *tree);
/* Drops what a cut hides, but for glue, and counts each zone's records. After the checks. */

const char *tree_name(const struct tree_node *node, char text[NAME_TEXT_SIZE]);

#endif
