/* probes/kinds/source_value.h
 * One figure as it came from where it is measured, before anything is checked. A value; any thread. */
#ifndef GSLB_PROBES_KINDS_SOURCE_VALUE_H
#define GSLB_PROBES_KINDS_SOURCE_VALUE_H

#include <stdbool.h>

struct source_value {
  const char *name;
  double value;
  bool is_counter; /* the value to keep is its growth a second, which the caller works out */
};

#endif
