#include "gslb/net/url.h"

#include <string.h>

static enum status read_port(const char *text, size_t length, uint16_t *port, struct errbuf *err) {
  unsigned value = 0;
  if (length < 1 || length > 5)
    return errbuf_set(err, STATUS_INVALID, "must have a port from 1 to 65535 after the \":\"");
  for (size_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9')
      return errbuf_set(err, STATUS_INVALID, "must have a port from 1 to 65535 after the \":\"");
    value = value * 10 + (unsigned)(text[i] - '0');
  }
  if (value < 1 || value > 65535)
    return errbuf_set(err, STATUS_INVALID, "must have a port from 1 to 65535 after the \":\"");
  *port = (uint16_t)value;
  return STATUS_OK;
}

static enum status read_authority(const char *text, size_t length, struct addr *address, struct errbuf *err) {
  bool is_bracketed = length > 0 && text[0] == '[';
  const char *host = is_bracketed ? text + 1 : text;
  const char *host_end = memchr(host, is_bracketed ? ']' : ':', length - (is_bracketed ? 1 : 0));
  if (is_bracketed && !host_end)
    return errbuf_set(err, STATUS_INVALID, "has a \"[\" without \"]\"");
  if (!host_end)
    host_end = text + length;
  char literal[ADDR_TEXT_SIZE];
  size_t host_length = (size_t)(host_end - host);
  struct addr read;
  if (host_length >= sizeof literal)
    return errbuf_set(err, STATUS_INVALID, "must name an address, not a host");
  memcpy(literal, host, host_length);
  literal[host_length] = '\0';
  if (addr_parse(literal, &read) != STATUS_OK || (read.family == 6) != is_bracketed)
    return errbuf_set(err, STATUS_INVALID, "must name an address, not a host");
  const char *rest = host_end + (is_bracketed ? 1 : 0);
  size_t rest_length = (size_t)(text + length - rest);
  read.port = address->port;
  if (rest_length > 0 && rest[0] != ':')
    return errbuf_set(err, STATUS_INVALID, "has something other than a port after the address");
  if (rest_length > 0) {
    enum status status = read_port(rest + 1, rest_length - 1, &read.port, err);
    if (status)
      return status;
  }
  *address = read;
  return STATUS_OK;
}

enum status url_parse(const char *text, struct url *out, struct errbuf *err) {
  size_t length = strlen(text);
  if (length > URL_TEXT_MOST)
    return errbuf_set(err, STATUS_INVALID, "must be at most %u bytes long", URL_TEXT_MOST);
  for (size_t i = 0; i < length; i++)
    if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == '#' || text[i] == '\\')
      return errbuf_set(err, STATUS_INVALID, "has a character that is not allowed there");
  struct url url = {.target = "/"};
  if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
    return errbuf_set(err, STATUS_INVALID, "must begin with http:// or https://");
  url.is_tls = text[4] == 's';
  url.address.port = url.is_tls ? 443 : 80;
  const char *authority = text + (url.is_tls ? 8 : 7);
  size_t authority_length = strcspn(authority, "/?");
  if (memchr(authority, '@', authority_length))
    return errbuf_set(err, STATUS_INVALID, "must not carry a user or a password");
  const char *target = authority + authority_length;
  if (target[0] == '?')
    return errbuf_set(err, STATUS_INVALID, "must have a path before the \"?\"");
  if (target[0])
    url.target = target;
  enum status status = read_authority(authority, authority_length, &url.address, err);
  if (status == STATUS_OK)
    *out = url;
  return status;
}
