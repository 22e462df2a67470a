/* zones/answer/rrl.h
 * Response rate limiting: a bucket for each client network and kind of answer, so that a flood under a victim's address
 * gains nothing. One struct rrl a worker thread, of fixed size; no allocation after rrl_new. */
#ifndef GSLB_ZONES_ANSWER_RRL_H
#define GSLB_ZONES_ANSWER_RRL_H

#include <stdint.h>

#include "gslb/base/addr.h"
#include "gslb/model/config.h"

enum rrl_verdict { RRL_SEND, RRL_SLIP /* truncated and empty */, RRL_DROP };

enum rrl_kind { RRL_ANSWER, RRL_NODATA, RRL_NXDOMAIN, RRL_REFERRAL, RRL_ERROR };

struct rrl;

struct rrl *rrl_new(const struct config_rate_limit *limit, uint32_t workers, uint64_t secret);
/* The limit is shared out among the workers, as the kernel shares out the flows of one client. Copies limit's exempt
 * list. secret keys the hash, so that nobody can aim at another's bucket. NULL when responses_per_s is 0. */
void rrl_free(struct rrl *rrl);

enum rrl_verdict rrl_judge(struct rrl *rrl, const struct addr *client, enum rrl_kind kind, uint64_t name_hash,
                           int64_t now_ms);
/* name_hash: of the question's name for RRL_ANSWER and RRL_NODATA; of the zone's name otherwise, so that random names
 * share a bucket. rrl may be NULL (always RRL_SEND). now_ms: mono. */

#endif
