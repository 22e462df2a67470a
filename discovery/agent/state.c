#include "discovery/agent/state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "discovery/session/session.h"
#include "gslb/base/clock.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "gslb/base/value.h"

#define FILE_NAME "agent.json"
#define FILE_MOST 16384u

static const char *const self_names[] = {[SELF_UP] = "up", [SELF_DRAIN] = "drain", [SELF_MAINT] = "maint"};

const char *self_state_name(enum self_state state) {
  return self_names[state];
}

enum status self_state_parse(const char *word, enum self_state *out) {
  for (int i = SELF_UP; i <= SELF_MAINT; i++)
    if (strcmp(word, self_names[i]) == 0) {
      *out = (enum self_state)i;
      return STATUS_OK;
    }
  return STATUS_INVALID;
}

/* The file's text with an end; free() it. */
static enum status slurp(const char *path, char **out, struct errbuf *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return errbuf_set(err, errno == ENOENT ? STATUS_NOTFOUND : STATUS_IO, "%s: %s", path, strerror(errno));
  char *text = mem_alloc(FILE_MOST + 1);
  size_t length = 0;
  ssize_t got;
  while (length < FILE_MOST && (got = read(fd, text + length, FILE_MOST - length)) > 0)
    length += (size_t)got;
  bool is_good = got >= 0 && length < FILE_MOST;
  enum status status =
      is_good ? STATUS_OK : errbuf_set(err, STATUS_IO, "%s: %s", path, got < 0 ? strerror(errno) : "too long");
  close(fd);
  if (is_good)
    *out = text;
  else
    free(text);
  return status;
}

enum status self_read_file(const char *path, struct self *out, struct errbuf *err) {
  char *text;
  enum status status = slurp(path, &text, err);
  if (status == STATUS_NOTFOUND) {
    *out = (struct self){.state = SELF_UP};
    return STATUS_OK;
  }
  if (status)
    return status;
  text[strcspn(text, "\r\n")] = '\0';
  struct self self = {.state = SELF_UP};
  char *word = text + strspn(text, " \t");
  char *reason = word + strcspn(word, " \t");
  if (*reason)
    *reason++ = '\0';
  if (*word && self_state_parse(word, &self.state) != STATUS_OK)
    status = errbuf_set(err, STATUS_INVALID, "%s: \"%.32s\" is none of up, drain, maint", path, word);
  snprintf(self.reason, sizeof self.reason, "%s", reason + strspn(reason, " \t"));
  free(text);
  if (status == STATUS_OK)
    *out = self;
  return status;
}

static enum status read_jobs(const json_t *json, struct jobs *out) {
  const json_t *done = json_object_get(json, "done"), *busy = json_object_get(json, "busy_s");
  const json_t *ended = json_object_get(json, "last_ended_at");
  if (!json_is_integer(done) || json_integer_value(done) < 0 || (busy && !json_is_number(busy)) ||
      json_number_value(busy) < 0)
    return STATUS_INVALID;
  *out = (struct jobs){.done = (uint64_t)json_integer_value(done),
                       .busy_s = json_number_value(busy),
                       .last_ended_ms = clock_parse_utc(json_string_value(ended))};
  return STATUS_OK;
}

static enum status load_json(const char *path, json_t **out, struct errbuf *err) {
  char *text;
  enum status status = slurp(path, &text, err);
  if (status)
    return status;
  json_error_t why;
  *out = json_loads(text, JSON_REJECT_DUPLICATES, &why);
  free(text);
  return *out ? STATUS_OK : errbuf_set(err, STATUS_INVALID, "%s: line %d: %s", path, why.line, why.text);
}

enum status jobs_read_file(const char *path, struct jobs *out, struct errbuf *err) {
  json_t *json;
  enum status status = load_json(path, &json, err);
  if (status)
    return status;
  status = read_jobs(json, out);
  json_decref(json);
  return status ? errbuf_set(err, status, "%s: it needs \"done\", a number", path) : STATUS_OK;
}

enum status agent_state_load(const char *directory, struct agent_state *out, struct errbuf *err) {
  char *path = mem_format("%s/" FILE_NAME, directory);
  json_t *json = NULL;
  enum status status = load_json(path, &json, err);
  free(path);
  if (status)
    return status;
  struct agent_state state = {0};
  const char *id = json_string_value(json_object_get(json, "id"));
  const char *self = json_string_value(json_object_get(json, "state"));
  const char *reason = json_string_value(json_object_get(json, "reason"));
  snprintf(state.id, sizeof state.id, "%s", id ? id : "");
  snprintf(state.self.reason, sizeof state.self.reason, "%s", reason ? reason : "");
  if ((self && self_state_parse(self, &state.self.state) != STATUS_OK) ||
      read_jobs(json_object_get(json, "jobs"), &state.jobs) != STATUS_OK)
    status = errbuf_set(err, STATUS_INVALID, "%s/" FILE_NAME " is not what the agent writes", directory);
  json_decref(json);
  if (status == STATUS_OK)
    *out = state;
  return status;
}

static enum status write_whole(const char *path, const char *text, struct errbuf *err) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  size_t length = strlen(text);
  bool is_good = fd >= 0 && write(fd, text, length) == (ssize_t)length && fsync(fd) == 0;
  int error = errno;
  if (fd >= 0 && close(fd) != 0 && is_good) {
    is_good = false;
    error = errno;
  }
  return is_good ? STATUS_OK : errbuf_set(err, STATUS_IO, "%s: %s", path, strerror(error));
}

enum status agent_state_save(const char *directory, const struct agent_state *state, struct errbuf *err) {
  char *path = mem_format("%s/" FILE_NAME, directory), *draft = mem_format("%s.new", path);
  json_t *json =
      json_pack("{s:s, s:s, s:o, s:{s:I, s:f, s:o}}", "id", state->id, "state", self_state_name(state->self.state),
                "reason", value_text(state->self.reason), "jobs", "done", (json_int_t)state->jobs.done, "busy_s",
                state->jobs.busy_s, "last_ended_at", value_time(state->jobs.last_ended_ms));
  char *text = value_dump(value_must(json));
  enum status status = write_whole(draft, text, err);
  if (status == STATUS_OK && rename(draft, path) != 0)
    status = errbuf_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
  int fd = status == STATUS_OK ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    fsync(fd);
    close(fd);
  }
  free(text);
  free(draft);
  free(path);
  return status;
}

void agent_state_make_id(const char *host_name, char out[REGISTRATION_ID_MOST + 1]) {
  size_t length = 0;
  for (const char *at = host_name; *at && *at != '.' && length < REGISTRATION_ID_MOST; at++)
    if (isalnum((unsigned char)*at) || (*at == '-' && length > 0))
      out[length++] = (char)tolower((unsigned char)*at);
  while (length > 0 && out[length - 1] == '-')
    length--;
  out[length] = '\0';
  if (length == 0 || strcmp(out, "localhost") == 0) {
    uint64_t number;
    random_secret(&number, sizeof number);
    snprintf(out, REGISTRATION_ID_MOST + 1, "r-%016llx", (unsigned long long)number);
  }
}
