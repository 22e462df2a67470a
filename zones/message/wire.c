#include "zones/message/wire.h"

void reader_skip_name(struct reader *reader) {
  size_t total = 0;
  for (;;) {
    uint8_t length = reader_u8(reader);
    if (reader->failed || length == 0)
      return;
    if ((length & 0xc0) == 0xc0) {
      reader_u8(reader);
      return;
    }
    total += length + 1u;
    if (length > 63 || total > 254) {
      reader->failed = true;
      return;
    }
    reader_take(reader, length);
  }
}

bool wire_expand_name(const uint8_t *message, size_t size, size_t *at, struct name *out) {
  size_t from = *at, behind = 0, used = 0;
  size_t before = size; /* labels of one stretch stand before this: so that pointers cannot go in circles */
  for (;;) {
    if (from >= before)
      return false;
    uint8_t length = message[from];
    if ((length & 0xc0) == 0xc0) {
      if (before - from < 2)
        return false;
      size_t target = (size_t)(length & 0x3f) << 8 | message[from + 1];
      if (!behind)
        behind = from + 2;
      if (target >= from)
        return false;
      before = from;
      from = target;
      continue;
    }
    if (length > NAME_LABEL_MOST || before - from < length + 1u || used + length + 1 > NAME_SIZE_MOST)
      return false;
    memcpy(out->wire + used, message + from, length + 1u);
    used += length + 1u;
    from += length + 1u;
    if (length == 0)
      break;
  }
  out->size = (uint8_t)used;
  *at = behind ? behind : from;
  return true;
}
