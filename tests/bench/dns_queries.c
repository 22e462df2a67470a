#include "tests/bench/dns_queries.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define QUERY_MOST 512u
#define NETWORKS_MOST 100000u
#define TYPE_OPT 41u
#define OPTION_SUBNET 8u
#define FLAG_DO 0x8000u
#define EDNS_SIZE 1232u

struct mix_line {
  double until; /* sum of the weights up to and with this line */
  char name[256];
  uint16_t type;
  uint64_t least, most;
  enum expectation expectation;
};

struct network {
  int family;
  unsigned char address[16];
  unsigned length, source; /* bits */
};

struct source {
  struct mix_line line[LINES_MOST];
  size_t line_count;
  struct network *network;
  size_t network_count;
  uint64_t state;
};

static _Noreturn void fail(const char *file, const char *what) {
  fprintf(stderr, "dns_load: %s: %s\n", file, what);
  exit(2);
}

/* xorshift64*: the same queries for the same seed */
static uint64_t draw(struct source *source) {
  source->state ^= source->state >> 12;
  source->state ^= source->state << 25;
  source->state ^= source->state >> 27;
  return source->state * 2685821657736338717u;
}

static uint16_t read_type(const char *file, const char *text) {
  static const struct {
    const char *name;
    uint16_t type;
  } types[] = {{"A", 1},    {"NS", 2},    {"CNAME", 5}, {"SOA", 6},   {"PTR", 12},  {"MX", 15},
               {"TXT", 16}, {"AAAA", 28}, {"SRV", 33},  {"SVCB", 64}, {"HTTPS", 65}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (strcasecmp(types[i].name, text) == 0)
      return types[i].type;
  unsigned long number = strtoul(text, NULL, 10);
  if (number == 0 || number > UINT16_MAX)
    fail(file, "a type is not known");
  return (uint16_t)number;
}

static void read_option(const char *file, const char *text, struct mix_line *line) {
  static const char *const words[] = {"answer", "empty", "nxdomain", "anything"};
  unsigned long long least, most;
  if (sscanf(text, "range=%llu-%llu", &least, &most) == 2 && least <= most) {
    line->least = least;
    line->most = most;
    return;
  }
  for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
    if (strncmp(text, "expect=", 7) == 0 && strcmp(text + 7, words[i]) == 0) {
      line->expectation = i;
      return;
    }
  fail(file, "an option is not known");
}

static FILE *open_lines(const char *file) {
  FILE *stream = fopen(file, "r");
  if (!stream)
    fail(file, strerror(errno));
  return stream;
}

/* The next line that says something; false at the end. */
static bool next_line(FILE *stream, char *text, size_t size) {
  while (fgets(text, (int)size, stream)) {
    text[strcspn(text, "\n")] = '\0';
    if (*text && *text != '#')
      return true;
  }
  return false;
}

static void read_mix(struct source *source, const char *file) {
  FILE *stream = open_lines(file);
  double sum = 0;
  for (char text[512]; next_line(stream, text, sizeof text);) {
    if (source->line_count == LINES_MOST)
      fail(file, "too many lines");
    struct mix_line *line = &source->line[source->line_count++];
    char *rest = NULL, *weight = strtok_r(text, " \t", &rest), *name = strtok_r(NULL, " \t", &rest);
    char *type = strtok_r(NULL, " \t", &rest);
    if (!type || strlen(name) >= sizeof line->name)
      fail(file, "a line is not WEIGHT NAME TYPE");
    line->until = sum += strtod(weight, NULL);
    strcpy(line->name, name);
    line->type = read_type(file, type);
    for (char *option; (option = strtok_r(NULL, " \t", &rest));)
      read_option(file, option, line);
  }
  fclose(stream);
  if (!(sum > 0))
    fail(file, "no line with a weight");
}

static void read_network(const char *file, char *text, struct network *network) {
  char *slash = strchr(text, '/');
  if (!slash || sscanf(slash + 1, "%u %u", &network->length, &network->source) != 2)
    fail(file, "a line is not NETWORK/LENGTH SOURCE");
  *slash = '\0';
  network->family = strchr(text, ':') ? AF_INET6 : AF_INET;
  unsigned bits = network->family == AF_INET ? 32 : 128;
  if (inet_pton(network->family, text, network->address) != 1 || network->length > bits || network->source > bits)
    fail(file, "a network is not one");
}

static void read_networks(struct source *source, const char *file) {
  FILE *stream = open_lines(file);
  source->network = calloc(NETWORKS_MOST, sizeof *source->network);
  if (!source->network)
    fail(file, "no memory");
  for (char text[128]; next_line(stream, text, sizeof text);) {
    if (source->network_count == NETWORKS_MOST)
      fail(file, "too many networks");
    read_network(file, text, &source->network[source->network_count++]);
  }
  fclose(stream);
  if (source->network_count == 0)
    fail(file, "no network");
}

/* Text of line's name, with what is drawn; text has room for 512 bytes. */
static void write_name(struct source *source, const struct mix_line *line, char *text) {
  for (const char *c = line->name; *c; c++)
    if (*c == '#')
      text += sprintf(text, "%llu", (unsigned long long)(line->least + draw(source) % (line->most - line->least + 1)));
    else if (*c == '?')
      for (unsigned i = 0; i < 10; i++)
        *text++ = (char)('a' + draw(source) % 26);
    else
      *text++ = *c;
  *text = '\0';
}

static unsigned char *put16(unsigned char *at, unsigned value) {
  *at++ = (unsigned char)(value >> 8);
  *at++ = (unsigned char)value;
  return at;
}

static unsigned char *put_name(unsigned char *at, const char *text) {
  while (*text) {
    size_t size = strcspn(text, ".");
    if (size > 63)
      fail(text, "a label is too long");
    *at++ = (unsigned char)size;
    memcpy(at, text, size);
    at += size;
    text += size + (text[size] == '.');
  }
  *at++ = 0;
  return at;
}

/* RFC 7871 section 6: as many octets as the source prefix needs, the bits behind it zero. */
static unsigned char *put_subnet(unsigned char *at, struct source *source) {
  const struct network *network = &source->network[draw(source) % source->network_count];
  unsigned char address[16] = {0};
  unsigned octets = (network->source + 7) / 8;
  for (unsigned i = 0; i < octets; i++) {
    unsigned kept = network->length >= i * 8 + 8 ? 8 : network->length > i * 8 ? network->length - i * 8 : 0;
    unsigned given = network->source >= i * 8 + 8 ? 8 : network->source - i * 8;
    unsigned mask = 0xffu << (8 - kept) & 0xffu;
    address[i] = (unsigned char)(((network->address[i] & mask) | (draw(source) >> 32 & ~mask)) & 0xffu << (8 - given));
  }
  at = put16(at, OPTION_SUBNET);
  at = put16(at, 4 + octets);
  at = put16(at, network->family == AF_INET ? 1 : 2);
  *at++ = (unsigned char)network->source;
  *at++ = 0;
  memcpy(at, address, octets);
  return at + octets;
}

static unsigned char *put_opt(unsigned char *at, struct source *source, const struct query_plan *plan) {
  *at++ = 0;
  at = put16(at, TYPE_OPT);
  at = put16(at, plan->edns_size ? plan->edns_size : EDNS_SIZE);
  at = put16(at, 0);
  at = put16(at, plan->dnssec ? FLAG_DO : 0);
  unsigned char *length = at;
  at = put16(at, 0);
  if (source->network_count)
    at = put_subnet(at, source);
  put16(length, (unsigned)(at - length - 2));
  return at;
}

static size_t write_query(struct source *source, const struct query_plan *plan, unsigned char *wire,
                          struct query *query) {
  double at_weight = (double)(draw(source) >> 11) / 9007199254740992.0 * source->line[source->line_count - 1].until;
  size_t number = 0;
  while (number + 1 < source->line_count && source->line[number].until <= at_weight)
    number++;
  const struct mix_line *line = &source->line[number];
  char text[512];
  write_name(source, line, text);
  if (strlen(text) > 253)
    fail(text, "the name is too long");
  bool has_opt = plan->edns_size || source->network_count;
  memset(wire, 0, QUERY_HEADER);
  put16(wire + 4, 1);
  put16(wire + 10, has_opt);
  unsigned char *at = put_name(wire + QUERY_HEADER, text);
  at = put16(put16(at, line->type), 1);
  query->question_size = (uint16_t)(at - wire - QUERY_HEADER);
  query->line = (uint8_t)number;
  query->expectation = (uint8_t)line->expectation;
  if (has_opt)
    at = put_opt(at, source, plan);
  return query->size = (uint16_t)(at - wire);
}

void queries_init(struct queries *queries, const struct query_plan *plan) {
  struct source *source = calloc(1, sizeof *source);
  *queries = (struct queries){.wire = malloc(plan->count * QUERY_MOST),
                              .query = calloc(plan->count, sizeof *queries->query),
                              .count = plan->count};
  if (!source || !queries->wire || !queries->query)
    fail(plan->mix, "no memory");
  source->state = plan->seed * 0x9e3779b97f4a7c15u + 1;
  read_mix(source, plan->mix);
  if (plan->subnets)
    read_networks(source, plan->subnets);
  size_t offset = 0;
  for (size_t i = 0; i < plan->count; i++) {
    queries->query[i].offset = (uint32_t)offset;
    offset += write_query(source, plan, queries->wire + offset, &queries->query[i]);
  }
  queries->wire = realloc(queries->wire, offset);
  free(source->network);
  free(source);
}

void queries_release(struct queries *queries) {
  free(queries->wire);
  free(queries->query);
  *queries = (struct queries){0};
}
