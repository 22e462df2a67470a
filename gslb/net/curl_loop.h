/* gslb/net/curl_loop.h
 * Puts libcurl's multi interface on a loop: for gslb/net/curl_transfer. Belongs to the loop's thread. */
#ifndef GSLB_NET_CURL_LOOP_H
#define GSLB_NET_CURL_LOOP_H

#include "gslb/net/loop.h"

struct curl_loop;

typedef void curl_ended(void *transfer, int code);
/* transfer: the handle's CURLOPT_PRIVATE; code: CURLcode. The handle is no longer among the running ones. */

struct curl_loop *curl_loop_new(struct loop *loop, long connections_kept, curl_ended *ended);
void curl_loop_free(struct curl_loop *curl);
/* After the running handles were removed. NULL is fine. */

void curl_loop_add(struct curl_loop *curl, void *easy);
/* Its work begins at once; it does not end before the next turn of the loop. Not within a callback of libcurl. */
void curl_loop_remove(struct curl_loop *curl, void *easy);

#endif
