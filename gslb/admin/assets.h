/* gslb/admin/assets.h
 * The files of the page and the description of the interface, embedded into the program at build time. Immutable; any
 * thread. */
#ifndef GSLB_ADMIN_ASSETS_H
#define GSLB_ADMIN_ASSETS_H

#include <stddef.h>

struct asset {
  const char *path; /* "/page.js"; index.html is "/", openapi.json "/v1/openapi.json" */
  const char *content_type;
  const char *etag; /* with its quotes; of the contents */
  const char *data;
  size_t size;
};

const struct asset *assets_find(const char *path);
/* NULL: there is none; borrowed for ever. */

#endif
