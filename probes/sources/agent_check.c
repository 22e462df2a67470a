#include "probes/sources/agent_check.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PERCENT_MOST 10000u
#define CONNECTIONS_MOST 4294967295u

static const struct state_word {
  const char *word;
  enum health state;
} state_words[] = {
    {"up", HEALTH_UP},     {"ready", HEALTH_UP},  {"drain", HEALTH_DRAINING}, {"maint", HEALTH_DOWN},
    {"down", HEALTH_DOWN}, {"fail", HEALTH_DOWN}, {"stopped", HEALTH_DOWN},
};

/* All of text, up to most. */
static bool read_whole(const char *text, uint64_t most, double *out) {
  uint64_t value = 0;
  if (!*text)
    return false;
  for (; *text; text++) {
    if (*text < '0' || *text > '9')
      return false;
    value = value * 10 + (uint64_t)(*text - '0');
    if (value > most)
      return false;
  }
  *out = (double)value;
  return true;
}

static void take_state(struct agent_check *check, const struct state_word *said) {
  if (check->has_self && said->state <= check->self)
    return;
  check->has_self = true;
  check->self = said->state;
  snprintf(check->self_reason, sizeof check->self_reason, "%s", said->word);
}

static bool take_word(struct agent_check *check, char *word) {
  static const char ceiling[] = "maxconn:";
  size_t length = strlen(word);
  for (size_t i = 0; i < sizeof state_words / sizeof state_words[0]; i++)
    if (strcasecmp(word, state_words[i].word) == 0) {
      take_state(check, &state_words[i]);
      return true;
    }
  if (strncasecmp(word, ceiling, sizeof ceiling - 1) == 0)
    return read_whole(word + sizeof ceiling - 1, CONNECTIONS_MOST, &check->connections_ceiling);
  if (word[length - 1] != '%')
    return false;
  word[length - 1] = '\0';
  bool is_number = read_whole(word, PERCENT_MOST, &check->weight_percent);
  word[length - 1] = '%';
  return is_number;
}

static void take_reason(struct agent_check *check, const char *text) {
  text += strspn(text, " \t");
  if (!*text || !check->has_self)
    return;
  snprintf(check->self_reason, sizeof check->self_reason, "%s", text);
}

enum status agent_check_parse(const char *text, size_t size, struct agent_check *out, struct errbuf *err) {
  char line[AGENT_CHECK_MOST + 1];
  struct agent_check check = {.weight_percent = -1, .connections_ceiling = -1};
  size_t length = 0;
  bool is_any = false;
  while (length < size && length < AGENT_CHECK_MOST && text[length] != '\n' && text[length] != '\r')
    length++;
  if (length == AGENT_CHECK_MOST)
    return errbuf_set(err, STATUS_INVALID, "its line has %u bytes or more", AGENT_CHECK_MOST);
  for (size_t i = 0; i < length; i++) /* what is shown later must be text */
    line[i] = (unsigned char)text[i] < ' ' ? ' ' : (unsigned char)text[i] >= 0x7f ? '?' : text[i];
  line[length] = '\0';
  char *reason = strchr(line, '#');
  if (reason)
    *reason++ = '\0';
  char *left = NULL;
  for (char *word = strtok_r(line, " ,", &left); word; word = strtok_r(NULL, " ,", &left)) {
    if (!take_word(&check, word))
      return errbuf_set(err, STATUS_INVALID, "\"%.40s\" is no word of an agent-check", word);
    is_any = true;
  }
  if (!is_any)
    return errbuf_set(err, STATUS_INVALID, "its line says nothing");
  if (reason)
    take_reason(&check, reason);
  *out = check;
  return STATUS_OK;
}
