#include "discovery/documents/notice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BODY "{\"kind\":\"leave\"}"

static void signature_is_the_hmac_of_time_and_body(void **state) {
  (void)state;
  char header[NOTICE_SIGNATURE_SIZE];
  struct errbuf err;
  notice_sign("key", 1700000000, BODY, strlen(BODY), header);
  /* by: printf '1700000000.{"kind":"leave"}' | openssl dgst -sha256 -hmac key */
  assert_string_equal(header, "t=1700000000,v1=52a7f8020ec6d6bb210e6e2b0bd0d1d459ae1a44188662f15156a3609c4cd99c");
  assert_int_equal(notice_verify("key", 1700000300, header, BODY, strlen(BODY), &err), STATUS_OK);
}

static void what_is_altered_late_or_of_another_key_is_refused(void **state) {
  (void)state;
  char key[NOTICE_KEY_SIZE], header[NOTICE_SIGNATURE_SIZE];
  struct errbuf err;
  notice_make_key(key);
  assert_int_equal(strlen(key), 64);
  notice_sign(key, 1700000000, BODY, strlen(BODY), header);
  assert_int_equal(notice_verify(key, 1700000000, header, BODY, strlen(BODY), &err), STATUS_OK);
  assert_int_equal(notice_verify(key, 1700000301, header, BODY, strlen(BODY), &err), STATUS_FORBIDDEN);
  assert_int_equal(notice_verify(key, 1699999699, header, BODY, strlen(BODY), &err), STATUS_FORBIDDEN);
  assert_int_equal(notice_verify(key, 1700000000, header, BODY, strlen(BODY) - 1, &err), STATUS_FORBIDDEN);
  assert_int_equal(notice_verify("other", 1700000000, header, BODY, strlen(BODY), &err), STATUS_FORBIDDEN);
  header[2]++;
  assert_int_equal(notice_verify(key, 1700000000, header, BODY, strlen(BODY), &err), STATUS_FORBIDDEN);
}

static void malformed_headers_are_refused(void **state) {
  (void)state;
  const char *headers[] = {"",
                           "t=",
                           "t=1",
                           "v1=00",
                           "t=1,v1=00",
                           "t=x,v1=00",
                           "t=99999999999999999999,v1=00",
                           "t=1,v1=0000000000000000000000000000000000000000000000000000000000000000 "};
  struct errbuf err;
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
    assert_int_equal(notice_verify("key", 1, headers[i], BODY, strlen(BODY), &err), STATUS_FORBIDDEN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(signature_is_the_hmac_of_time_and_body),
      cmocka_unit_test(what_is_altered_late_or_of_another_key_is_refused),
      cmocka_unit_test(malformed_headers_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
