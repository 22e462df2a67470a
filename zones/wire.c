#include "zones/wire.h"

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
