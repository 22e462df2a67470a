#include "zones/secondary/renew.h"

#include <stdlib.h>

#include "gslb/base/log.h"
#include "zones/compile/compile.h"
#include "zones/secondary/copy.h"

/* NULL: the whole zone must be asked for. */
static struct content *read_held(const struct renew *renew) {
  struct errbuf err;
  int64_t refreshed_ms;
  if (!renew->has_copy)
    return NULL;
  struct content *held = content_new(renew->limits->bytes);
  if (copy_read(renew->file, &renew->zone, held, &refreshed_ms, &err) == STATUS_OK)
    return held;
  log_warning("zone %s: its copy cannot be built upon: %s", renew->name, err.text);
  content_free(held);
  return NULL;
}

static enum status write_draft(const struct renew *renew, const struct content *content, struct renewal *out,
                               struct errbuf *err) {
  const struct content_record *soa;
  if (!content_soa(content, &out->soa, &soa))
    return errbuf_set(err, STATUS_INVALID, "the zone has not one SOA record");
  if (renew->has_copy && !soa_is_newer(out->soa.serial, renew->serial))
    return errbuf_set(err, STATUS_INVALID, "the zone that was sent has serial %u, which is not newer than %u",
                      out->soa.serial, renew->serial);
  out->record_count = content_count(content);
  return copy_write(renew->file, renew->name, content, house_now_ms(renew->house), err);
}

static enum status transfer(const struct renew *renew, const struct fetch *fetch, struct renewal *out,
                            struct errbuf *err) {
  struct content *content = NULL;
  enum status status = fetch_zone(fetch, read_held(renew), &content, &out->is_difference, err);
  if (status == STATUS_NODATA)
    return errbuf_set(err, STATUS_INVALID, "the primary has nothing newer than serial %u after all", renew->serial);
  if (status == STATUS_OK)
    status = write_draft(renew, content, out, err);
  content_free(content);
  if (status != STATUS_OK)
    return status;
  char *draft = copy_draft(renew->file);
  status = zones_check_copy(renew->name, draft, err);
  if (status != STATUS_OK)
    copy_discard(renew->file);
  free(draft);
  out->is_changed = status == STATUS_OK;
  return status;
}

/* *is_newer: the primary has a version that was not to be had. */
static enum status ask(const struct renew *renew, const struct addr *primary, struct renewal *out, bool *is_newer,
                       struct errbuf *err) {
  struct fetch fetch = {.zone = &renew->zone,
                        .primary = primary,
                        .key = renew->key,
                        .limits = renew->limits,
                        .cancel = renew->cancel};
  struct soa soa;
  if (renew->has_copy) {
    enum status status = fetch_soa(&fetch, &soa, err);
    if (status != STATUS_OK)
      return status;
    if (soa.serial == renew->serial)
      return STATUS_OK;
    if (!soa_is_newer(soa.serial, renew->serial))
      return errbuf_set(err, STATUS_CONFLICT, "the primary has serial %u, which is older than %u", soa.serial,
                        renew->serial);
  }
  enum status status = transfer(renew, &fetch, out, err);
  *is_newer = status != STATUS_OK;
  return status;
}

enum status renew_zone(const struct renew *renew, struct renewal *out, struct errbuf *err) {
  enum status failure = STATUS_NOTFOUND;
  bool is_newer = false;
  char address[ADDR_TEXT_SIZE];
  for (size_t i = 0; i < renew->primary_count; i++) {
    struct errbuf reason;
    struct renewal renewal = {.primary = (renew->first + i) % renew->primary_count};
    const struct addr *primary = &renew->primaries[renewal.primary];
    bool has_newer = false;
    enum status status = ask(renew, primary, &renewal, &has_newer, &reason);
    /* one that lags behind must not hide that another has more, which is to be tried again soon */
    if (status == STATUS_OK && (renewal.is_changed || !is_newer)) {
      *out = renewal;
      return STATUS_OK;
    }
    is_newer |= has_newer;
    if (status == STATUS_OK)
      continue;
    failure = errbuf_set(err, status, "primary %s: %s", addr_format_port(primary, address), reason.text);
  }
  return failure;
}
