/* discovery/documents/complaint.h
 * What is wrong with a JSON document, as problems tell it (RFC 9457): an array of {"pointer","detail"}, each with the
 * JSON pointer (RFC 6901) of the member that is meant. Values; any thread. */
#ifndef GSLB_DISCOVERY_DOCUMENTS_COMPLAINT_H
#define GSLB_DISCOVERY_DOCUMENTS_COMPLAINT_H

#include <stddef.h>

#define COMPLAINTS_MOST 64u         /* more are not told */
#define COMPLAINT_POINTER_SIZE 256u /* longer ones are cut */

struct json_t;

void complaint_add(struct json_t **errors, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* *errors becomes a new array when it is NULL. */

const char *complaint_pointer(char out[COMPLAINT_POINTER_SIZE], const char *parent, const char *key);
/* parent "/" key, with "~" and "/" of the key escaped; returns out, which parent may not lie in. */
const char *complaint_pointer_at(char out[COMPLAINT_POINTER_SIZE], const char *parent, size_t index);
/* The same for an element of an array. */

#endif
