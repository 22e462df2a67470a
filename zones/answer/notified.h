/* zones/answer/notified.h
 * NOTIFY received (RFC 1996): answered here, handed on to the control process, which looks after secondary zones. */
#ifndef GSLB_ZONES_ANSWER_NOTIFIED_H
#define GSLB_ZONES_ANSWER_NOTIFIED_H

#include "zones/answer/reply.h"
#include "zones/message/tsig.h"

void notified_answer(struct reply *reply, const struct tsig_key *key);
/* NOERROR for a zone of ours that is secondary, from the address of one of its primaries
 * and, where a key is configured for them, signed with it (key; NULL: unsigned); REFUSED from anybody else,
 * NOTAUTH for what is no zone of ours. One system call, which never waits: a NOTIFY that finds no room is lost, as it
 * may be on the way. */

#endif
