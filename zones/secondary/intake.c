#include "zones/secondary/intake.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/memory.h"
#include "zones/message/query.h"
#include "zones/message/wire.h"
#include "zones/records/expand.h"

#define RCODE_BITS 0x000fu

/* What the next record may be; the words of RFC 1995 section 4. */
enum stage {
  STAGE_FIRST,  /* the SOA of the new version */
  STAGE_SECOND, /* of an IXFR: the held SOA when differences follow */
  STAGE_WHOLE,  /* a record of the zone, or the first SOA again, which ends it */
  STAGE_DELETE, /* a record to be removed, or the SOA of the version that this makes */
  STAGE_ADD,    /* a record to be added, or the SOA of the next difference, or the first SOA again */
  STAGE_END,
  STAGE_FAILED,
};

struct intake {
  struct name zone;
  uint16_t id;
  uint16_t type; /* of the query */
  enum stage stage;
  bool is_difference;
  bool has_message;
  uint64_t bytes, bytes_most;
  struct content *held;    /* until it is known whether differences come */
  struct content *content; /* what is being made */
  uint32_t held_serial;
  uint32_t new_serial;
  uint32_t reached_serial;   /* by the differences so far */
  struct expanded record;    /* being read */
  struct expanded first_soa; /* as it came */
};

struct intake *intake_new(const struct name *zone, uint16_t id, struct content *held, uint64_t bytes_most) {
  struct intake *intake = mem_alloc(sizeof *intake);
  struct soa numbers;
  const struct content_record *record;
  intake->zone = *zone;
  intake->id = id;
  intake->bytes_most = bytes_most;
  intake->held = held;
  intake->type = held ? TYPE_IXFR : TYPE_AXFR;
  if (held && content_soa(held, &numbers, &record))
    intake->held_serial = numbers.serial;
  return intake;
}

void intake_free(struct intake *intake) {
  if (!intake)
    return;
  content_free(intake->held);
  content_free(intake->content);
  free(intake);
}

static enum status refuse(struct errbuf *err, const char *why) {
  return errbuf_set(err, STATUS_INVALID, "%s", why);
}

static enum status read_question(const struct intake *intake, const uint8_t *message, size_t size, size_t *at,
                                 struct errbuf *err) {
  struct name name;
  if (!wire_expand_name(message, size, at, &name) || size - *at < 4)
    return refuse(err, "the answer's question is malformed");
  for (size_t i = 0; i < name.size; i++)
    name.wire[i] = name_lower(name.wire[i]);
  if (name.size != intake->zone.size || memcmp(name.wire, intake->zone.wire, name.size) != 0 ||
      wire_get_u16(message + *at) != intake->type || wire_get_u16(message + *at + 2) != CLASS_IN)
    return refuse(err, "the answer is to another question");
  *at += 4;
  return STATUS_OK;
}

/* Header and question (RFC 5936 section 2.2); *at is then where the records begin. */
static enum status read_head(struct intake *intake, const uint8_t *message, size_t size, size_t *at,
                             struct errbuf *err) {
  if (size < WIRE_HEADER_SIZE)
    return refuse(err, "the answer is shorter than a header");
  uint16_t flags = wire_get_u16(message + 2);
  uint16_t questions = wire_get_u16(message + 4);
  if (wire_get_u16(message) != intake->id)
    return refuse(err, "the answer has another id than the query");
  if (!(flags & FLAG_QR) || (flags & FLAG_OPCODE) || (flags & FLAG_TC))
    return refuse(err, "the answer's header is not that of an answer over TCP");
  if (flags & RCODE_BITS)
    return errbuf_set(err, STATUS_FORBIDDEN, "the primary answers with code %u", flags & RCODE_BITS);
  if (questions > 1 || (questions == 0 && !intake->has_message))
    return refuse(err, "the answer does not repeat the question");
  *at = WIRE_HEADER_SIZE;
  intake->has_message = true;
  return questions ? read_question(intake, message, size, at, err) : STATUS_OK;
}

static bool is_apex(const struct intake *intake) {
  const struct name *owner = &intake->record.owner;
  return owner->size == intake->zone.size && memcmp(owner->wire, intake->zone.wire, owner->size) == 0;
}

static enum status add(struct intake *intake, const struct expanded *record, struct errbuf *err) {
  enum status status = content_add(intake->content, &record->owner, record->type, record->ttl_s, &record->data);
  if (status == STATUS_LIMIT)
    return errbuf_set(err, status, "the zone is too large");
  if (status == STATUS_CONFLICT && intake->is_difference)
    return refuse(err, "the differences add a record that is there already");
  return STATUS_OK; /* RFC 5936 section 3.1: a record that comes twice counts once */
}

static enum status take_away(struct intake *intake, struct errbuf *err) {
  const struct expanded *record = &intake->record;
  if (content_remove(intake->content, &record->owner, record->type, &record->data) == STATUS_OK)
    return STATUS_OK;
  return refuse(err, "the differences remove a record that is not there");
}

/* Another zone than the one held. */
static enum status begin_whole(struct intake *intake, struct errbuf *err) {
  content_free(intake->held);
  intake->held = NULL;
  intake->content = content_new(intake->bytes_most);
  intake->stage = STAGE_WHOLE;
  return add(intake, &intake->first_soa, err);
}

static enum status take_first(struct intake *intake, const struct soa *soa, struct errbuf *err) {
  if (!soa)
    return refuse(err, "the answer does not begin with the zone's SOA record");
  intake->first_soa = intake->record;
  intake->new_serial = soa->serial;
  if (intake->type == TYPE_AXFR)
    return begin_whole(intake, err);
  intake->stage = STAGE_SECOND;
  return STATUS_OK;
}

static enum status take_whole(struct intake *intake, const struct soa *soa, struct errbuf *err) {
  if (!soa)
    return add(intake, &intake->record, err);
  if (soa->serial != intake->new_serial)
    return refuse(err, "the SOA record at the end is not that of the beginning");
  intake->stage = STAGE_END;
  return STATUS_OK;
}

static enum status begin_difference(struct intake *intake, const struct soa *soa, struct errbuf *err) {
  if (soa->serial != intake->reached_serial)
    return refuse(err, "the differences do not begin at the version that is held");
  intake->stage = STAGE_DELETE;
  return take_away(intake, err);
}

static enum status take_second(struct intake *intake, const struct soa *soa, bool is_ours, struct errbuf *err) {
  if (!soa_is_newer(intake->new_serial, intake->held_serial))
    return refuse(err, "the answer has a zone that is not newer than the one held");
  if (soa && soa->serial != intake->new_serial) {
    intake->is_difference = true;
    intake->content = intake->held;
    intake->held = NULL;
    intake->reached_serial = intake->held_serial;
    return begin_difference(intake, soa, err);
  }
  enum status status = begin_whole(intake, err);
  return status == STATUS_OK && is_ours ? take_whole(intake, soa, err) : status;
}

static enum status take_deleted(struct intake *intake, const struct soa *soa, struct errbuf *err) {
  if (!soa)
    return take_away(intake, err);
  if (!soa_is_newer(soa->serial, intake->reached_serial))
    return refuse(err, "the differences lead back to an older version");
  intake->reached_serial = soa->serial;
  intake->stage = STAGE_ADD;
  return add(intake, &intake->record, err);
}

static enum status take_added(struct intake *intake, const struct soa *soa, struct errbuf *err) {
  if (!soa)
    return add(intake, &intake->record, err);
  if (intake->reached_serial != intake->new_serial)
    return begin_difference(intake, soa, err);
  if (soa->serial != intake->new_serial)
    return refuse(err, "the differences go on behind the new version");
  intake->stage = STAGE_END;
  return STATUS_OK;
}

static enum status take_record(struct intake *intake, struct errbuf *err) {
  const struct expanded *record = &intake->record;
  struct soa numbers;
  const struct soa *soa = NULL;
  bool is_meta = record->type == 0 || record->type == TYPE_OPT || (record->type >= 128 && record->type <= TYPE_ANY);
  if (record->class != CLASS_IN || is_meta)
    return refuse(err, "the answer has a record that belongs in no zone");
  if (record->type == TYPE_SOA && is_apex(intake)) {
    if (!soa_read(record->data.bytes, record->data.size, &numbers))
      return refuse(err, "the SOA record is malformed");
    soa = &numbers;
  }
  bool is_ours = name_is_below(record->owner.wire, record->owner.size, intake->zone.wire, intake->zone.size) &&
                 (soa || record->type != TYPE_SOA);
  switch (intake->stage) {
  case STAGE_FIRST:
    return take_first(intake, soa, err);
  case STAGE_SECOND:
    return take_second(intake, soa, is_ours, err);
  case STAGE_WHOLE:
    return is_ours ? take_whole(intake, soa, err) : STATUS_OK;
  case STAGE_DELETE:
    return is_ours ? take_deleted(intake, soa, err) : STATUS_OK;
  case STAGE_ADD:
    return is_ours ? take_added(intake, soa, err) : STATUS_OK;
  default:
    return refuse(err, "there are records behind the end of the zone");
  }
}

static enum status take_message(struct intake *intake, const uint8_t *message, size_t size, struct errbuf *err) {
  size_t at;
  if (intake->bytes_most - intake->bytes < size)
    return errbuf_set(err, STATUS_LIMIT, "the answer is too large");
  intake->bytes += size;
  enum status status = read_head(intake, message, size, &at, err);
  if (status != STATUS_OK)
    return status;
  uint16_t count = wire_get_u16(message + 6);
  if (!count)
    return refuse(err, "the answer has a message without records");
  for (uint16_t i = 0; i < count && status == STATUS_OK; i++) {
    if (!expand_record(message, size, &at, &intake->record))
      return refuse(err, "the answer has a malformed record");
    status = take_record(intake, err);
  }
  return status;
}

enum intake_result intake_message(struct intake *intake, const uint8_t *message, size_t size, struct errbuf *err) {
  if (intake->stage == STAGE_FAILED || intake->stage == STAGE_END) {
    refuse(err, "the answer goes on behind its end");
    intake->stage = STAGE_FAILED;
    return INTAKE_FAILED;
  }
  if (take_message(intake, message, size, err) != STATUS_OK) {
    intake->stage = STAGE_FAILED;
    return INTAKE_FAILED;
  }
  if (intake->stage == STAGE_END)
    return INTAKE_COMPLETE;
  /* a single SOA record (RFC 1995 section 2); of a newer version, more may follow */
  bool is_single = intake->stage == STAGE_SECOND && !soa_is_newer(intake->new_serial, intake->held_serial);
  return is_single ? INTAKE_CURRENT : INTAKE_MORE;
}

struct content *intake_take(struct intake *intake, bool *is_difference) {
  if (intake->stage != STAGE_END)
    return NULL;
  struct content *taken = intake->content;
  *is_difference = intake->is_difference;
  intake->content = NULL;
  return taken;
}
