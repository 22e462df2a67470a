#include "zones/answer/chaos.h"

#include "zones/tables/record.h"

static const struct {
  const char *name;
  uint8_t size;
  bool is_version;
} names[] = {
    {"\7version\4bind", 14, true},
    {"\7version\6server", 16, true},
    {"\2id\6server", 11, false},
    {"\10hostname\4bind", 15, false},
};

static void put_text(struct reply *reply, const char *text, size_t size) {
  if (size > 255)
    size = 255;
  uint8_t *at = writer_take(&reply->writer, RECORD_HEAD_SIZE + 1 + size);
  if (!at) {
    reply->is_truncated = true;
    return;
  }
  wire_set_u16(at, 0xc000 | WIRE_HEADER_SIZE);
  wire_set_u16(at + 2, TYPE_TXT);
  wire_set_u16(at + 4, CLASS_CH);
  wire_set_u32(at + 6, 0);
  wire_set_u16(at + 10, (uint16_t)(1 + size));
  at[12] = (uint8_t)size;
  memcpy(at + 13, text, size);
  reply->counts[SECTION_ANSWER]++;
}

void chaos_answer(struct reply *reply) {
  const struct book *book = reply->book;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (reply->name->size != names[i].size || memcmp(reply->name->wire, names[i].name, names[i].size) != 0)
      continue;
    const char *text = names[i].is_version ? book->version : book->nsid;
    if (!text)
      break;
    reply->is_authoritative = true;
    if (reply->query->type == TYPE_TXT || reply->query->type == TYPE_ANY)
      put_text(reply, text, names[i].is_version ? book->version_size : book->nsid_size);
    return;
  }
  reply->rcode = RCODE_REFUSED;
}
