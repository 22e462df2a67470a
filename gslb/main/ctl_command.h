/* gslb/main/ctl_command.h
 * What the commands of gslbctl have in common: the command line as it was given, and how a command ends. One thread. */
#ifndef GSLB_MAIN_CTL_COMMAND_H
#define GSLB_MAIN_CTL_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/main/ctl_source.h"

#define CTL_EXIT_USAGE 2

struct ctl_line {
  const char *config, *socket;
  bool is_json;
  const char *service, *state, *reason, *duration, *limit, *origin;
  const char *site, *owner, *kind, *resource, *at, *since;
  const char *resources, *services;                       /* lists with commas */
  const char *access, *community, *user, *auth, *context; /* of snmp */
  const char *auth_secret, *privacy_secret;               /* files */
  const char *from, *to, *step, *source;                  /* of history */
  const char *token_file;
  bool is_admin, is_no_reader;
  char **words; /* the command and its arguments */
  int count;
};

/* What follows returns the exit status. */

int ctl_misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Tells on stderr what is wrong with the command line. */
int ctl_fail(const struct ctl_source *source, const struct errbuf *err);
/* Tells why, with the source's details. */

typedef void ctl_print(const struct json_t *document);
int ctl_show(const struct ctl_line *line, struct json_t *document, ctl_print *print);
/* Prints the document, as JSON where that is wanted or print is NULL, and gives back the reference. */
int ctl_ask(const struct ctl_line *line, struct ctl_source *source, const struct ctl_question *question,
            ctl_print *print);
/* Reads the document and shows it. */
int ctl_send(const struct ctl_line *line, struct ctl_source *source, const char *method, const char *path,
             struct json_t *body, ctl_print *print);
/* Has the daemon do it and shows its answer, if there is one, as ctl_show. Takes body's reference; NULL: none. */
int ctl_read_duration(const struct ctl_line *line, int64_t *duration_ms);
/* What --for says; *duration_ms stays where it is not given. -1: well; else the exit status. */

#endif
