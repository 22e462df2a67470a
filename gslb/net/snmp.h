/* gslb/net/snmp.h
 * Reads objects of devices by SNMP v2c (RFC 3416) and v3 with the user-based security model (RFC 3414, SHA of RFC 3414
 * and 7860, AES of RFC 3826), on the loop, by net-snmp, of which it asks for no files: no MIBs, no configuration, no
 * persistent state. The files called gslb/net/snmp* are the only ones that know net-snmp.
 * What is asked of one device in one turn of the loop goes out together, and what is asked while all of it is being
 * read already joins that reading. Belongs to the loop's thread; net-snmp keeps users and engine times for the process,
 * so one process has one client. */
#ifndef GSLB_NET_SNMP_H
#define GSLB_NET_SNMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/base/object_id.h"
#include "gslb/net/loop.h"
#include "gslb/net/outcome.h"

#define SNMP_PORT_DEFAULT 161u
#define SNMP_TOGETHER_MOST 32u /* objects in one message: some 1,400 bytes of answer */
#define SNMP_ROWS_MOST 4096u   /* of one column, unless the request says otherwise */
#define SNMP_SECRET_LEAST 8u   /* bytes; RFC 3414 section 11.2 */

enum snmp_digest { SNMP_DIGEST_NONE, SNMP_DIGEST_SHA1, SNMP_DIGEST_SHA256, SNMP_DIGEST_SHA512 };

struct snmp_identity { /* as whom a device is asked */
  bool is_v3;
  const char *community; /* v2c */
  const char *user;      /* v3, and the rest */
  enum snmp_digest digest;
  const char *auth_secret; /* with a digest */
  bool is_private;         /* AES-128; needs a digest */
  const char *privacy_secret;
  const char *context; /* NULL or "": none */
};

enum snmp_kind {
  SNMP_KIND_ABSENT, /* the device has no such object */
  SNMP_KIND_INTEGER,
  SNMP_KIND_COUNTER,
  SNMP_KIND_GAUGE,
  SNMP_KIND_TICKS, /* hundredths of a second */
  SNMP_KIND_FLOAT,
  SNMP_KIND_TEXT,
  SNMP_KIND_OBJECT_ID,
  SNMP_KIND_ADDRESS,
};
const char *snmp_kind_name(enum snmp_kind kind);

struct snmp_value {
  struct object_id name; /* with the row's index */
  enum snmp_kind kind;
  bool is_number; /* a text such as "0.12" too */
  double number;
  const char *text; /* the bytes of a text; anything else as people write it; NUL-terminated, never NULL */
  size_t text_size;
};

struct snmp_request {
  struct addr device;                 /* with the port */
  const struct snmp_identity *access; /* borrowed for the call */
  int64_t timeout_ms;                 /* for all of it */
  int64_t retry_ms;                   /* a message is sent again after this, twice; 0: a third of timeout_ms */
  const struct object_id *objects;    /* read by name, with their index; borrowed for the call */
  size_t object_count;
  const struct object_id *roots; /* walked: columns of tables, or whole branches; likewise */
  size_t root_count;
  size_t rows_most; /* of one root; 0: SNMP_ROWS_MOST */
};

struct snmp_rows { /* what is below one root, in order */
  const struct snmp_value *values;
  size_t count;
  bool is_cut; /* there is more than rows_most */
};

struct snmp_answer {        /* borrowed until done returns */
  enum net_outcome outcome; /* NET_ANSWERED: what follows is there, though each object may be absent */
  char detail[96];          /* of a failure: "the device does not know the user"; "" for none */
  uint32_t duration_us;
  const struct snmp_value *const *objects; /* one an object asked for, in that order */
  const struct snmp_rows *rows;            /* one a root, in that order */
};
typedef void snmp_done(void *context, const struct snmp_answer *answer);

struct snmp_client;
struct snmp_client *snmp_client_new(struct loop *loop);
/* Borrows loop. */
void snmp_client_free(struct snmp_client *client);
/* Ends what is under way without a word. NULL is fine. */

struct snmp_query;
struct snmp_query *snmp_ask(struct snmp_client *client, const struct snmp_request *request, snmp_done *done,
                            void *context);
/* done is called once, from the loop and never within this call, at the latest after timeout_ms; the handle is void
 * then. Never NULL. */
void snmp_cancel(struct snmp_query *query);
/* done is not called any more. */

#endif
