/* gslb/net/curl_loop.h
 * Puts libcurl's multi interface on a loop: for gslb/net/http_client and gslb/net/ftp_client, which together are the
 * only files that know libcurl. Its easy handles are passed as pointers to void, which they are. Belongs to the loop's
 * thread. */
#ifndef GSLB_NET_CURL_LOOP_H
#define GSLB_NET_CURL_LOOP_H

#include <stdbool.h>

#include "gslb/base/addr.h"
#include "gslb/net/loop.h"
#include "gslb/net/outcome.h"

struct curl_loop;

typedef void curl_ended(void *transfer, int code);
/* transfer: the handle's CURLOPT_PRIVATE; code: CURLcode. The handle is no longer among the running ones. */

struct curl_loop *curl_loop_new(struct loop *loop, long connections_kept, curl_ended *ended);
void curl_loop_free(struct curl_loop *curl);
/* After the running handles were removed. NULL is fine. */

void curl_loop_add(struct curl_loop *curl, void *easy);
/* Its work begins in the next turn of the loop. */
void curl_loop_remove(struct curl_loop *curl, void *easy);

void curl_loop_set_common(void *easy, void *transfer, int *socket_errno, char *detail);
/* What every transfer wants: no signals, proxies or cached names; transfer as CURLOPT_PRIVATE; socket_errno, why no
 * socket could be made, and detail of CURL_ERROR_SIZE bytes are written while it runs. */

enum net_outcome curl_loop_outcome(void *easy, int code, int socket_errno, const char *detail, bool is_tls);
/* Of a failure; time-outs by the phase that the transfer had reached, those of certificates by what is wrong. */

char *curl_loop_host(const struct addr *address);
/* As in a URL: IPv6 in brackets; free() it. */

#endif
