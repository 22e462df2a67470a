/* zones/transfer/notify.h
 * NOTIFY out (RFC 1996), by a thread of the control process: tells the addresses that a zone names that it has a new
 * serial, over UDP, signed where a key is configured, again and again until it is answered. */
#ifndef GSLB_ZONES_TRANSFER_NOTIFY_H
#define GSLB_ZONES_TRANSFER_NOTIFY_H

#include <stdatomic.h>
#include <stdint.h>

#include "gslb/base/status.h"
#include "gslb/model/config.h"
#include "zones/image/image.h"

#define NOTIFY_REPEAT_MS 1000 /* what notifier_new is to be given */
#define NOTIFY_SENDS_MOST 6u  /* the first one, and again after 1, 2, 4, 8 and 16 times the first wait */

struct notifier_counts { /* since the start; any thread may read */
  _Atomic uint64_t sent, answered;
  _Atomic uint64_t rejected;   /* answered by an error */
  _Atomic uint64_t unanswered; /* given up */
};

struct notifier;

struct notifier *notifier_new(int64_t repeat_ms, struct errbuf *err);
/* Starts the thread. NULL: the system gave no thread or socket. */
void notifier_free(struct notifier *notifier);

void notifier_update(struct notifier *notifier, const struct config *config, const struct image *image);
/* Copies what it needs. Notifies each configured address of each zone whose serial is not the one that this address was
 * last told; at the first call that is all of them, since nobody knows what they heard from the process before. What is
 * under way for an older serial is replaced. Any thread. */

const struct notifier_counts *notifier_counts(const struct notifier *notifier);

#endif
