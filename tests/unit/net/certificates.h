/* tests/unit/net/certificates.h
 * An authority with certificates of servers and clients, made by GnuTLS in a directory of the test's own. */
#ifndef GSLB_TESTS_UNIT_NET_CERTIFICATES_H
#define GSLB_TESTS_UNIT_NET_CERTIFICATES_H

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

struct certificates {
  char directory[40];
  unsigned serial;
};

struct authority {
  gnutls_x509_crt_t certificate;
  gnutls_x509_privkey_t key;
};

static inline const char *certificate_path(const struct certificates *certificates, const char *name, char path[160]) {
  snprintf(path, 160, "%s/%s.pem", certificates->directory, name);
  return path;
}

static inline void certificate_write(const struct certificates *certificates, const char *name,
                                     const gnutls_datum_t *text) {
  char path[160];
  FILE *out = fopen(certificate_path(certificates, name, path), "w");
  assert(out);
  fwrite(text->data, 1, text->size, out);
  fclose(out);
  gnutls_free(text->data);
}

static inline struct authority certificate_begin(struct certificates *certificates, const char *common_name) {
  struct authority made;
  gnutls_x509_privkey_init(&made.key);
  gnutls_x509_privkey_generate(made.key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
  gnutls_x509_crt_init(&made.certificate);
  gnutls_x509_crt_set_version(made.certificate, 3);
  gnutls_x509_crt_set_key(made.certificate, made.key);
  unsigned char serial = (unsigned char)++certificates->serial;
  gnutls_x509_crt_set_serial(made.certificate, &serial, 1);
  gnutls_x509_crt_set_activation_time(made.certificate, time(NULL) - 3600);
  gnutls_x509_crt_set_expiration_time(made.certificate, time(NULL) + 3600);
  if (common_name)
    gnutls_x509_crt_set_dn_by_oid(made.certificate, GNUTLS_OID_X520_COMMON_NAME, 0, common_name,
                                  (unsigned)strlen(common_name));
  return made;
}

static inline void certificate_end(struct certificates *certificates, struct authority *made,
                                   const struct authority *by, const char *name) {
  gnutls_datum_t text;
  char key_name[64];
  int result = gnutls_x509_crt_sign2(made->certificate, by->certificate, by->key, GNUTLS_DIG_SHA256, 0);
  assert(result == 0);
  gnutls_x509_crt_export2(made->certificate, GNUTLS_X509_FMT_PEM, &text);
  certificate_write(certificates, name, &text);
  gnutls_x509_privkey_export2(made->key, GNUTLS_X509_FMT_PEM, &text);
  snprintf(key_name, sizeof key_name, "%s-key", name);
  certificate_write(certificates, key_name, &text);
}

static inline void authority_release(struct authority *authority) {
  gnutls_x509_crt_deinit(authority->certificate);
  gnutls_x509_privkey_deinit(authority->key);
}

/* <name>.pem and <name>-key.pem. */
static inline struct authority authority_make(struct certificates *certificates, const char *name) {
  struct authority made = certificate_begin(certificates, name);
  gnutls_x509_crt_set_basic_constraints(made.certificate, 1, 0);
  gnutls_x509_crt_set_key_usage(made.certificate, GNUTLS_KEY_KEY_CERT_SIGN);
  certificate_end(certificates, &made, &made, name);
  return made;
}

/* dns_name NULL: none; purpose GNUTLS_KP_TLS_WWW_SERVER or _CLIENT. */
static inline void certificate_make(struct certificates *certificates, const struct authority *by, const char *name,
                                    const char *common_name, const char *dns_name, const char *purpose) {
  struct authority made = certificate_begin(certificates, common_name);
  if (dns_name)
    gnutls_x509_crt_set_subject_alt_name(made.certificate, GNUTLS_SAN_DNSNAME, dns_name, (unsigned)strlen(dns_name),
                                         GNUTLS_FSAN_SET);
  gnutls_x509_crt_set_key_purpose_oid(made.certificate, purpose, 0);
  gnutls_x509_crt_set_key_usage(made.certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
  certificate_end(certificates, &made, by, name);
  authority_release(&made);
}

static inline void certificates_open(struct certificates *certificates) {
  *certificates = (struct certificates){.directory = "/tmp/gslb-certificates-XXXXXX"};
  char *made = mkdtemp(certificates->directory);
  assert(made);
  (void)made;
}

static inline void certificates_close(const struct certificates *certificates) {
  char command[64];
  snprintf(command, sizeof command, "rm -rf '%s'", certificates->directory);
  int result = system(command);
  assert(result == 0);
  (void)result;
}

#endif
