/* zones/transfer/presentation.h
 * Records as master files have them (RFC 1035 section 5.1, RFC 3597 section 5): absolute names, one record a line. Any
 * thread. */
#ifndef GSLB_ZONES_TRANSFER_PRESENTATION_H
#define GSLB_ZONES_TRANSFER_PRESENTATION_H

#include <stdio.h>

#include "zones/transfer/transfer_zone.h"

void presentation_print(FILE *out, const struct transfer_record *record);
/* "www.example.com. 300 IN TXT "x"" without an end of line. The data of a few common types in their own form, all else
 * as RFC 3597 has it, so that every reader takes it for the same bytes. */

char *presentation_text(const struct transfer_record *record);
/* The same for a person to read: data in their type's own form wherever it is known. free() it. */

#endif
