/* probes/kinds/snmp_plan.h
 * From rows of a table (gslb/model/snmp_tables, or a source's own metrics) to what is asked of a device, and from its
 * answer to figures. One thread at a time. */
#ifndef GSLB_PROBES_KINDS_SNMP_PLAN_H
#define GSLB_PROBES_KINDS_SNMP_PLAN_H

#include <stddef.h>

#include "gslb/model/config_monitor.h"
#include "gslb/model/snmp_tables.h"
#include "gslb/net/snmp.h"
#include "probes/kinds/source_value.h"

struct snmp_plan;

struct snmp_plan *snmp_plan_new(const struct snmp_row *rows, size_t count);
/* Borrows rows. A row whose object identifiers are none is left out. */
struct snmp_plan *snmp_plan_of_source(const struct config_source *source);
/* Of its ready table, or of its own metrics; borrows source. */
void snmp_plan_free(struct snmp_plan *plan);
/* NULL is fine. */

void snmp_plan_request(const struct snmp_plan *plan, struct snmp_request *request);
/* Fills in the objects and the roots, which are the plan's. */

size_t snmp_plan_values(struct snmp_plan *plan, const struct snmp_answer *answer, const struct source_value **values);
/* The figures that the device has of those planned, at most METRICS_MOST; with their names the plan's, until the next
 * call. answer must be one to snmp_plan_request. */

void snmp_identity_of(const struct config_snmp_access *access, struct snmp_identity *out);
/* Borrows access. */

#endif
