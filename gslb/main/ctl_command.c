#include "gslb/main/ctl_command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "gslb/main/ctl_print.h"
#include "gslb/model/scalar.h"

int ctl_misuse(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("gslbctl: ", stderr);
  vfprintf(stderr, format, arguments);
  fputs("\nTry gslbctl --help.\n", stderr);
  va_end(arguments);
  return CTL_EXIT_USAGE;
}

int ctl_fail(const struct ctl_source *source, const struct errbuf *err) {
  fprintf(stderr, "gslbctl: %s\n%s", err->text, source->details ? source->details : "");
  return EXIT_FAILURE;
}

int ctl_show(const struct ctl_line *line, json_t *document, ctl_print *print) {
  if (print && !line->is_json)
    print(document);
  else
    ctl_print_json(document);
  json_decref(document);
  return EXIT_SUCCESS;
}

int ctl_ask(const struct ctl_line *line, struct ctl_source *source, const struct ctl_question *question,
            ctl_print *print) {
  json_t *document;
  struct errbuf err;
  if (ctl_read(source, question, &document, &err) != STATUS_OK)
    return ctl_fail(source, &err);
  return ctl_show(line, document, print);
}

int ctl_send(const struct ctl_line *line, struct ctl_source *source, const char *method, const char *path, json_t *body,
             ctl_print *print) {
  char *text = body ? json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
  json_decref(body);
  json_t *document = NULL;
  struct errbuf err;
  enum status status = ctl_write(source, method, path, text, &document, &err);
  free(text);
  if (status != STATUS_OK)
    return ctl_fail(source, &err);
  return document ? ctl_show(line, document, print) : EXIT_SUCCESS;
}

int ctl_read_duration(const struct ctl_line *line, int64_t *duration_ms) {
  int64_t value_ms;
  struct errbuf err;
  if (!line->duration)
    return -1;
  if (scalar_duration(line->duration, &value_ms, &err) != STATUS_OK || value_ms <= 0)
    return ctl_misuse("--for is a duration such as 90s, 30m, 2h, not %s", line->duration);
  *duration_ms = value_ms;
  return -1;
}
