/* gslb/main/ctl_print.h
 * The interface's documents as text for a terminal: aligned columns, one row a line. One thread; writes to stdout. */
#ifndef GSLB_MAIN_CTL_PRINT_H
#define GSLB_MAIN_CTL_PRINT_H

struct json_t;

void ctl_print_status(const struct json_t *status, const struct json_t *services, const struct json_t *members);
/* The documents of /v1/status, /v1/services and /v1/members. */
void ctl_print_services(const struct json_t *services);
void ctl_print_members(const struct json_t *members);
void ctl_print_member(const struct json_t *member);
/* One member with its addresses and probes. */
void ctl_print_events(const struct json_t *events);
void ctl_print_zones(const struct json_t *zones);
void ctl_print_json(const struct json_t *document);
/* Indented. */

#endif
