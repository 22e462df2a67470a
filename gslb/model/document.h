/* gslb/model/document.h
 * A YAML text as a tree of nodes that know their place; the only file pair that knows libyaml. Built from parser
 * events, so depth and number of nodes are bounded while reading; anchors and aliases are refused, since a few of them
 * describe a document of any size. The tree lives in the caller's arena. One thread. */
#ifndef GSLB_MODEL_DOCUMENT_H
#define GSLB_MODEL_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "gslb/base/memory.h"
#include "gslb/base/problem.h"
#include "gslb/model/position.h"

#define DOCUMENT_DEPTH_MOST 32u
#define DOCUMENT_NODES_MOST 4000000u

enum document_kind {
  DOCUMENT_SCALAR,
  DOCUMENT_LIST,
  DOCUMENT_MAP,
  DOCUMENT_REFUSED, /* a problem was reported for it already */
};

struct document_node {
  enum document_kind kind;
  bool is_plain; /* scalar without quotes */
  struct config_pos pos;
  const char *text;                /* scalar: UTF-8 without NUL */
  const struct document_node *key; /* in a map: the scalar before it */
  struct document_node *first;     /* list, map: its values */
  struct document_node *next;      /* the value after it */
  size_t count;                    /* list, map: how many values */
};

struct document_node *document_parse(const char *file, const char *text, size_t length, struct arena *arena,
                                     struct problems *problems);
/* The root, or NULL when the text cannot be read as one YAML document; problems then tells why. A tree may be returned
 * although problems were added (DOCUMENT_REFUSED, duplicate keys are left to the reader of the tree). file is borrowed
 * by the places of all nodes. */

const struct document_node *document_find(const struct document_node *map, const char *key);
/* The first value under key; NULL when there is none, map is NULL or no map. */

#endif
