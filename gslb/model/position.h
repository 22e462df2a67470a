/* gslb/model/position.h
 * A place in a configuration file. A value. */
#ifndef GSLB_MODEL_POSITION_H
#define GSLB_MODEL_POSITION_H

struct config_pos {
  int line;         /* from 1 */
  int column;       /* from 1, in characters */
  const char *file; /* lives as long as the configuration; NULL: its main file */
};

#endif
