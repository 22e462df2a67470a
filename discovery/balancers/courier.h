/* discovery/balancers/courier.h
 * Sends notices to resources at their notice URLs: signed POSTs, many resources, some at once, each tried a few times.
 * Belongs to its loop's thread. */
#ifndef GSLB_DISCOVERY_BALANCERS_COURIER_H
#define GSLB_DISCOVERY_BALANCERS_COURIER_H

#include <stdbool.h>
#include <stddef.h>

#include "discovery/registry/registry.h"
#include "gslb/net/http_client.h"
#include "gslb/net/loop.h"

#define COURIER_AT_ONCE 64u
#define COURIER_TRIES 3u
#define COURIER_TRY_MS 2500
#define COURIER_PAUSE_MS 1000 /* between two tries; with their time-outs three are over within 10 s */

struct json_t;
struct courier;

struct courier *courier_new(struct loop *loop, struct http_client *http, struct registry *registry);
/* Borrows all until courier_free. */
void courier_free(struct courier *courier);
/* Cancels what is under way. NULL is fine. */

typedef bool courier_fit(void *context, const struct json_t *document, struct json_t *notice);
/* Whether the resource that registered document is told at all; may complete the notice, which is this one's alone. */

void courier_tell(struct courier *courier, const struct json_t *notice, courier_fit *fit, void *context);
/* Tells every resource that has a notice URL now: notice with its "id". fit may be NULL; it is called within. */
void courier_drop(struct courier *courier);
/* Who was not told yet is not told any more. */

#endif
