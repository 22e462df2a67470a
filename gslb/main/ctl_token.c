#include "gslb/main/ctl_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gslb/base/memory.h"
#include "gslb/main/ctl_http.h"
#include "gslb/main/ctl_table.h"
#include "gslb/model/config.h"

/* "a,b" as a list; NULL: it is not UTF-8. */
static json_t *list_of(const char *text) {
  json_t *list = json_array();
  while (list && *text) {
    size_t length = strcspn(text, ",");
    if (length > 0 && json_array_append_new(list, json_stringn(text, length)) != 0) {
      json_decref(list);
      return NULL;
    }
    text += length + (text[length] == ',');
  }
  return list;
}

static void print_token(const json_t *document) {
  puts(ctl_text(document, "token"));
}

/* False: *exit_status tells how it ended. */
static bool read_token(const char *path, json_t **token, int *exit_status) {
  char *text;
  size_t length;
  struct errbuf err;
  if (config_read_file(path, &text, &length, &err) != STATUS_OK) {
    *exit_status = ctl_misuse("%s", err.text);
    return false;
  }
  text[strcspn(text, " \t\r\n")] = '\0';
  *token = json_string(text);
  explicit_bzero(text, length);
  free(text);
  if (!*token)
    *exit_status = ctl_misuse("%s holds no token", path);
  return *token != NULL;
}

static int create(const struct ctl_line *line, struct ctl_source *source, const char *name) {
  int64_t for_ms = 0;
  int exit_status = ctl_read_duration(line, &for_ms);
  if (exit_status >= 0)
    return exit_status;
  if (!line->resources && !line->is_admin && line->is_no_reader)
    return ctl_misuse("token create NAME needs --resources PATTERNS: which ids may it register?");
  json_t *token = json_null();
  if (line->token_file && !read_token(line->token_file, &token, &exit_status))
    return exit_status;
  json_t *resources = list_of(line->resources ? line->resources : "");
  json_t *services = line->services ? list_of(line->services) : json_null();
  json_t *body = resources && services
                     ? json_pack("{s:s, s:o, s:o, s:b, s:b, s:f, s:o}", "name", name, "resources", resources,
                                 "services", services, "admin", (int)line->is_admin, "read", (int)!line->is_no_reader,
                                 "for_s", (double)for_ms / 1000.0, "token", token)
                     : NULL;
  if (!body)
    return ctl_misuse("the name and the patterns must be UTF-8");
  return ctl_send(line, source, "POST", "/v1/tokens", body, print_token);
}

/* free() it. */
static char *joined(const json_t *list) {
  char *text = mem_strdup("");
  size_t index;
  json_t *value;
  json_array_foreach(list, index, value) {
    const char *word = json_string_value(value);
    char *longer = mem_format("%s%s%s", text, index ? "," : "", word ? word : "?");
    free(text);
    text = longer;
  }
  return text;
}

static void print_tokens(const json_t *document) {
  struct ctl_table table;
  ctl_table_begin(&table, (const char *const[]){"NAME", "RESOURCES", "SERVICES", "ADMIN", "READ", "CREATED", "UNTIL",
                                                "WHO", NULL});
  size_t index;
  json_t *token;
  json_array_foreach(json_object_get(document, "tokens"), index, token) {
    ctl_table_add(&table, mem_strdup(ctl_text(token, "name")));
    ctl_table_add(&table, joined(json_object_get(token, "resources")));
    ctl_table_add(&table, joined(json_object_get(token, "services")));
    ctl_table_add(&table, mem_strdup(json_is_true(json_object_get(token, "admin")) ? "yes" : "no"));
    ctl_table_add(&table, mem_strdup(json_is_true(json_object_get(token, "read")) ? "yes" : "no"));
    ctl_table_add(&table, ctl_time_text(token, "created_at"));
    ctl_table_add(&table, ctl_time_text(token, "until_at"));
    ctl_table_add(&table, mem_strdup(ctl_text(token, "who")));
  }
  ctl_table_end(&table, "");
}

int ctl_token(const struct ctl_line *line, struct ctl_source *source) {
  const char *word = line->words[1], *name = line->count > 2 ? line->words[2] : NULL;
  char escaped[768], path[sizeof escaped + 16];
  if (strcmp(word, "list") == 0)
    return name ? ctl_misuse("%s is one argument too many", name)
                : ctl_send(line, source, "GET", "/v1/tokens", NULL, print_tokens);
  if (strcmp(word, "create") != 0 && strcmp(word, "delete") != 0)
    return ctl_misuse("token create, token list or token delete, not token %s", word);
  if (!name)
    return ctl_misuse("token %s needs a name", word);
  if (strcmp(word, "create") == 0)
    return create(line, source, name);
  ctl_http_escape(name, escaped, sizeof escaped);
  snprintf(path, sizeof path, "/v1/tokens/%s", escaped);
  return ctl_send(line, source, "DELETE", path, NULL, NULL);
}
