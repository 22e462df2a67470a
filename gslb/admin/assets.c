#include "gslb/admin/assets.h"

#include <string.h>

#include "gslb/admin/web_files.h"

const struct asset *assets_find(const char *path) {
  for (size_t i = 0; i < sizeof web_files / sizeof *web_files; i++)
    if (strcmp(web_files[i].path, path) == 0)
      return &web_files[i];
  return NULL;
}
