#include "gslb/net/http_credentials.h"

#include <ctype.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "gslb/base/memory.h"

const char http_credentials_priorities[] = "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

struct http_credentials {
  atomic_uint references;
  gnutls_certificate_credentials_t certificates;
  bool asks_clients;
};

static enum status check_readable(const char *path, struct errbuf *err) {
  if (access(path, R_OK) != 0)
    return errbuf_set(err, STATUS_IO, "%s: %s", path, strerror(errno));
  return STATUS_OK;
}

static enum status load_files(struct http_credentials *credentials, const struct http_tls *tls, struct errbuf *err) {
  int result = gnutls_certificate_set_x509_key_file2(credentials->certificates, tls->certificate, tls->key,
                                                     GNUTLS_X509_FMT_PEM, NULL, 0);
  if (result < 0)
    return errbuf_set(err, STATUS_INVALID, "%s with key %s: %s", tls->certificate, tls->key, gnutls_strerror(result));
  if (!tls->client_ca)
    return STATUS_OK;
  credentials->asks_clients = true;
  result = gnutls_certificate_set_x509_trust_file(credentials->certificates, tls->client_ca, GNUTLS_X509_FMT_PEM);
  if (result <= 0)
    return errbuf_set(err, STATUS_INVALID, "%s: %s", tls->client_ca,
                      result < 0 ? gnutls_strerror(result) : "no certificate in it");
  return STATUS_OK;
}

enum status http_credentials_load(const struct http_tls *tls, struct http_credentials **out, struct errbuf *err) {
  /* GnuTLS does not say which file it means */
  enum status status = check_readable(tls->certificate, err);
  if (status == STATUS_OK)
    status = check_readable(tls->key, err);
  if (status == STATUS_OK && tls->client_ca)
    status = check_readable(tls->client_ca, err);
  if (status != STATUS_OK)
    return status;
  struct http_credentials *credentials = mem_alloc(sizeof *credentials);
  atomic_init(&credentials->references, 1);
  if (gnutls_certificate_allocate_credentials(&credentials->certificates) != GNUTLS_E_SUCCESS)
    abort();
  status = load_files(credentials, tls, err);
  if (status != STATUS_OK) {
    http_credentials_release(credentials);
    return status;
  }
  *out = credentials;
  return STATUS_OK;
}

struct http_credentials *http_credentials_share(struct http_credentials *credentials) {
  atomic_fetch_add(&credentials->references, 1);
  return credentials;
}

void http_credentials_release(struct http_credentials *credentials) {
  if (!credentials || atomic_fetch_sub(&credentials->references, 1) != 1)
    return;
  gnutls_certificate_free_credentials(credentials->certificates);
  free(credentials);
}

void http_credentials_offer(const struct http_credentials *credentials, struct gnutls_session_int *session) {
  if (gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials->certificates) != GNUTLS_E_SUCCESS)
    abort();
  gnutls_certificate_server_set_request(session, credentials->asks_clients ? GNUTLS_CERT_REQUEST : GNUTLS_CERT_IGNORE);
}

static bool verifies(gnutls_session_t session) {
  gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                   .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
  unsigned faults = 0;
  return gnutls_certificate_verify_peers(session, &purpose, 1, &faults) == GNUTLS_E_SUCCESS && faults == 0;
}

static bool read_name(gnutls_x509_crt_t certificate, char *name, size_t size) {
  int kind = 0;
  for (unsigned i = 0; kind != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE; i++) {
    size_t length = size;
    kind = gnutls_x509_crt_get_subject_alt_name(certificate, i, name, &length, NULL);
    /* a NUL within would make another name of it */
    if (kind == GNUTLS_SAN_DNSNAME)
      return length < size && length > 0 && !memchr(name, '\0', length) && (name[length] = '\0', true);
    if (kind < 0 && kind != GNUTLS_E_SHORT_MEMORY_BUFFER && kind != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
      return false;
  }
  size_t length = size;
  return gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &length) ==
             GNUTLS_E_SUCCESS &&
         length > 0 && strlen(name) == length;
}

bool http_credentials_identify(struct gnutls_session_int *session, char *name, size_t size) {
  unsigned count = 0;
  const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &count);
  name[0] = '\0';
  if (!shown || count == 0)
    return true;
  gnutls_x509_crt_t certificate;
  if (!verifies(session) || gnutls_x509_crt_init(&certificate) != GNUTLS_E_SUCCESS)
    return false;
  bool is_named = gnutls_x509_crt_import(certificate, &shown[0], GNUTLS_X509_FMT_DER) == GNUTLS_E_SUCCESS &&
                  read_name(certificate, name, size);
  gnutls_x509_crt_deinit(certificate);
  if (!is_named)
    name[0] = '\0';
  for (char *at = name; *at; at++)
    *at = (char)tolower((unsigned char)*at);
  return is_named;
}
