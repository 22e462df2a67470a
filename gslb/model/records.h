/* gslb/model/records.h
 * The stored records as structs, and the one place where they are encoded and decoded. Layouts carry a version byte;
 * decoding a version it does not know gives STATUS_VERSION, bytes that do not fit STATUS_INVALID. No I/O. Any thread.
 */
#ifndef GSLB_MODEL_RECORDS_H
#define GSLB_MODEL_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/status.h"

#define RECORD_SIZE_MOST 1024u

enum health { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DEGRADED, HEALTH_DRAINING, HEALTH_DOWN };
const char *health_name(enum health state);
enum status health_parse(const char *word, enum health *out);
/* One of these names. STATUS_INVALID leaves *out untouched. */

struct health_record {     /* what one monitor knows of one address */
  enum health state;       /* unknown, up or down, after rise and fall */
  uint16_t streak;         /* results in a row that contradict state */
  bool last_passed;        /* the last result */
  int64_t since_ms;        /* house time of the last change of state; 0 never */
  int64_t last_ms;         /* house time of the last result; 0 never */
  int64_t last_good_ms;    /* house time of the last passing result; 0 never */
  uint32_t rtt_us;         /* of the last passing result */
  uint32_t rtt_mean_us;    /* EWMA over passing results, 1/8 a result; 0 none */
  uint64_t passed, failed; /* results so far */
  char reason[96];         /* of the last result: "200 OK", "connection refused", "time-out (connect)" */
};

enum override_kind { OVERRIDE_NONE, OVERRIDE_UP, OVERRIDE_DOWN, OVERRIDE_DRAIN };
const char *override_name(enum override_kind kind);
enum status override_parse(const char *word, enum override_kind *out);
/* "up", "down", "drain", and "none" or "clear". */

struct override_record {
  enum override_kind kind;
  int64_t set_ms;
  int64_t until_ms; /* 0: no end */
  char who[64];
  char why[256];
};

struct latch_record { /* per address: was it among the last good set */
  bool last_good;
  int64_t since_ms;
};

#define LOAD_LATCH_METRICS_MOST 64u
struct load_latch_metric {
  uint64_t id; /* what gslb/model/load_latch makes of the metric */
};
struct load_latch_record { /* which thresholds of the load section are passed, since hysteresis has memory */
  uint32_t count;
  struct load_latch_metric over[LOAD_LATCH_METRICS_MOST];
  int64_t since_ms;
};

struct slot_record {
  uint32_t slot; /* index of the member's counters on the board */
};

struct event_record {
  int64_t at_ms;
  char service[256];
  char member[64]; /* empty: the service itself */
  char kind[24];   /* "health", "override", "service", "process", "reload" */
  char from[16];
  char to[16];
  char reason[160];
};

struct audit_record {
  int64_t at_ms;
  char who[64];
  char action[64]; /* "override", "reload" */
  char subject[320];
  char detail[256];
};

size_t health_encode(const struct health_record *record, uint8_t out[RECORD_SIZE_MOST]);
enum status health_decode(const void *data, size_t size, struct health_record *out);
size_t override_encode(const struct override_record *record, uint8_t out[RECORD_SIZE_MOST]);
enum status override_decode(const void *data, size_t size, struct override_record *out);
size_t latch_encode(const struct latch_record *record, uint8_t out[RECORD_SIZE_MOST]);
enum status latch_decode(const void *data, size_t size, struct latch_record *out);
size_t load_latch_encode(const struct load_latch_record *record, uint8_t out[RECORD_SIZE_MOST]);
enum status load_latch_decode(const void *data, size_t size, struct load_latch_record *out);
/* One of version 1, which went by the metrics' positions, says that none is passed. */
size_t slot_encode(const struct slot_record *record, uint8_t out[RECORD_SIZE_MOST]);
enum status slot_decode(const void *data, size_t size, struct slot_record *out);
size_t event_encode(const struct event_record *record, uint8_t out[RECORD_SIZE_MOST]);
enum status event_decode(const void *data, size_t size, struct event_record *out);
size_t audit_encode(const struct audit_record *record, uint8_t out[RECORD_SIZE_MOST]);
enum status audit_decode(const void *data, size_t size, struct audit_record *out);

struct record_key {
  uint8_t bytes[511];
  size_t size;
};
void record_key_member(const char *service, const char *member, struct record_key *out);
void record_key_address(const char *service, const char *member, const struct addr *address, struct record_key *out);
void record_key_probe(const char *service, const char *member, const struct addr *address, const char *monitor,
                      struct record_key *out);
void record_key_service(const char *service, struct record_key *out);
/* Keys are the names with a NUL after each but the last; record_key_service ends with NUL, so it is the prefix of all
 * that belongs to the service. Names keep within the limits of gslb/model/config. */

#endif
