#include "gslb/model/match.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"

#define EXPANDED_MOST 4096u /* characters that repetitions may make of a pattern */

struct match {
  bool is_regex;
  regex_t regex;
  char *text;
  size_t length;
};

/* How large a pattern grows when its repetitions are written out, which is what the C library does with "{m,n}" and
 * "+": a few nested ones would take all memory. */
struct growth {
  size_t sums[MATCH_PATTERN_MOST + 1]; /* of each group that is open */
  size_t depth;
  size_t last; /* what a repetition behind it would repeat */
};

static void add_piece(struct growth *growth, size_t size) {
  growth->sums[growth->depth] += size;
  growth->last = size;
}

/* Whether the pattern stays within bounds. */
static bool repeat(struct growth *growth, size_t times) {
  if (times > 1)
    growth->sums[growth->depth] += growth->last * (times - 1);
  if (times > 1)
    growth->last *= times;
  return growth->sums[growth->depth] <= EXPANDED_MOST;
}

/* The greatest number of an interval "{m,n}" whose "{" stands at *at, which moves to its "}" or stays. */
static size_t interval(const char **at) {
  size_t greatest = 0;
  const char *end = *at + 1;
  for (;; end++) {
    char *behind = (char *)end;
    size_t number = isdigit((unsigned char)*end) ? strtoul(end, &behind, 10) : 0;
    if (number > EXPANDED_MOST)
      number = EXPANDED_MOST + 1;
    greatest = number > greatest ? number : greatest;
    end = behind;
    if (*end != ',')
      break;
  }
  if (*end != '}')
    return 1; /* the compiler tells what is wrong */
  bool is_open = end[-1] == ',';
  *at = end;
  return greatest + is_open;
}

/* The "]" that ends the bracket expression at "[", or the pattern's end. */
static const char *bracket_end(const char *at) {
  at += at[1] == '^' ? 2 : 1;
  at += *at == ']';
  while (*at && *at != ']') {
    const char kind = at[1];
    if (*at == '[' && kind && strchr(":.=", kind)) {
      const char closing[] = {kind, ']', '\0'};
      const char *end = strstr(at + 2, closing);
      if (end)
        at = end + 1;
    }
    at++;
  }
  return at;
}

static bool stays_small(const char *pattern) {
  struct growth growth = {0};
  bool is_small = true;
  for (const char *at = pattern; *at && is_small; at++) {
    size_t closed;
    switch (*at) {
    case '(':
      growth.sums[++growth.depth] = 0;
      growth.last = 0;
      break;
    case ')':
      closed = growth.sums[growth.depth];
      growth.depth -= growth.depth > 0;
      add_piece(&growth, closed);
      break;
    case '+':
      is_small = repeat(&growth, 2);
      break;
    case '{':
      is_small = repeat(&growth, interval(&at));
      break;
    case '[':
      at = bracket_end(at);
      add_piece(&growth, 1);
      at -= !*at;
      break;
    case '\\':
      at += at[1] != '\0';
      add_piece(&growth, 1);
      break;
    default:
      if (*at != '*' && *at != '?')
        add_piece(&growth, 1);
    }
    is_small = is_small && growth.sums[growth.depth] <= EXPANDED_MOST;
  }
  return is_small;
}

static bool refers_back(const char *pattern) {
  for (const char *at = pattern; *at; at++) {
    if (*at == '[') {
      at = bracket_end(at);
      at -= !*at;
    } else if (*at == '\\' && at[1]) {
      at++;
      if (*at >= '1' && *at <= '9')
        return true;
    }
  }
  return false;
}

static enum status compile(const char *pattern, regex_t *out, struct errbuf *err) {
  if (strlen(pattern) > MATCH_PATTERN_MOST)
    return errbuf_set(err, STATUS_INVALID, "has %zu bytes; at most %u are allowed", strlen(pattern),
                      MATCH_PATTERN_MOST);
  if (refers_back(pattern)) /* the time that these take has no bound, and POSIX has them in basic expressions only */
    return errbuf_set(err, STATUS_INVALID, "has a back-reference, which extended regular expressions have not");
  if (!stays_small(pattern))
    return errbuf_set(err, STATUS_INVALID, "repeats too much: written out it has more than %u characters",
                      EXPANDED_MOST);
  int code = regcomp(out, pattern, REG_EXTENDED | REG_NOSUB);
  if (code == 0)
    return STATUS_OK;
  char text[96];
  regerror(code, out, text, sizeof text);
  return errbuf_set(err, STATUS_INVALID, "is no POSIX extended regular expression: %s", text);
}

enum status match_new(const char *pattern, bool is_regex, struct match **out, struct errbuf *err) {
  struct match *match = mem_alloc(sizeof *match);
  match->is_regex = is_regex;
  if (is_regex) {
    enum status status = compile(pattern, &match->regex, err);
    if (status != STATUS_OK) {
      free(match);
      return status;
    }
  } else {
    match->text = mem_strdup(pattern);
    match->length = strlen(pattern);
  }
  *out = match;
  return STATUS_OK;
}

void match_free(struct match *match) {
  if (!match)
    return;
  if (match->is_regex)
    regfree(&match->regex);
  free(match->text);
  free(match);
}

bool match_finds(const struct match *match, const char *bytes, size_t size) {
  if (match->is_regex)
    return regexec(&match->regex, bytes, 0, NULL, 0) == 0;
  return memmem(bytes, size, match->text, match->length) != NULL;
}
