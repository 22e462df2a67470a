/* Any message against the verifier, as query, reply and message of a stream: nothing is read out of bounds, what is
 * found good was signed with a key of ours, and whatever the verdict, the reply's TSIG record has the size foretold and
 * is well-formed. */
#include <stdlib.h>
#include <string.h>

#include "zones/message/query.h"
#include "zones/message/tsig.h"
#include "zones/message/wire.h"

#define NOW_S 1700000000u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config_key config_keys[] = {
    {.name = "key.example", .algorithm = KEY_HMAC_SHA256, .secret = "c2VjcmV0IG9mIHNpeHRlZW4gb3IgbW9yZSBieXRlcw=="},
    {.name = "old.example", .algorithm = KEY_HMAC_SHA1, .secret = "c2VjcmV0IG9mIHNpeHRlZW4gb3IgbW9yZSBieXRlcw=="},
};
static struct tsig_keys *keys;
static struct tsig_key key;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  struct errbuf err;
  (void)argc;
  (void)argv;
  keys = tsig_keys_new(config_keys, 2, &err);
  if (!keys || tsig_key_read(&config_keys[0], 0, &key, &err) != STATUS_OK)
    abort();
  return 0;
}

static void check_reply(const struct tsig *tsig) {
  static const uint8_t header[WIRE_HEADER_SIZE] = {0x12, 0x34, 0x80};
  uint8_t reply[WIRE_HEADER_SIZE + TSIG_RECORD_MOST];
  struct tsig again;
  memcpy(reply, header, sizeof header);
  size_t size = tsig_sign_reply(tsig, reply, sizeof header, sizeof reply, NOW_S);
  if (size != sizeof header + tsig_reply_size(tsig))
    abort();
  if (tsig_reply_size(tsig) == 0)
    return;
  /* one without a MAC is refused for that, after its form was found sound */
  if (tsig_verify_reply(&key, &tsig->mac, reply, size, NOW_S, &again) == TSIG_NONE)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct tsig tsig;
  struct tsig_mac mac = {.size = 32};
  struct tsig_stream stream;
  if (size > WIRE_MESSAGE_MOST)
    return 0;
  enum tsig_verdict verdict = tsig_verify(keys, data, size, NOW_S, &tsig);
  if (tsig.verdict != verdict || tsig.size > size || (verdict == TSIG_GOOD && !tsig.key))
    abort();
  check_reply(&tsig);
  tsig_verify_reply(&key, &mac, data, size, NOW_S, &tsig);
  tsig_stream_init(&stream, &key, &mac);
  for (int i = 0; i < 3; i++)
    tsig_stream_verify(&stream, data, size, NOW_S, &tsig);
  tsig_stream_release(&stream);
  return 0;
}
