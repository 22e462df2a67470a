#include "gslb/net/outcome.h"

#include <errno.h>

enum net_outcome net_outcome_of_errno(int error) {
  switch (error) {
  case 0:
    return NET_ANSWERED;
  case ECONNREFUSED:
    return NET_REFUSED;
  case ETIMEDOUT:
    return NET_TIMEOUT_CONNECT;
  case ECONNRESET:
  case ECONNABORTED:
  case EPIPE:
    return NET_CLOSED;
  case EMFILE:
  case ENFILE:
  case ENOBUFS:
  case ENOMEM:
    return NET_LOCAL;
  default:
    return NET_UNREACHABLE;
  }
}

const char *net_outcome_text(enum net_outcome outcome) {
  static const char *const texts[] = {
      [NET_ANSWERED] = "answered",
      [NET_REFUSED] = "connection refused",
      [NET_UNREACHABLE] = "unreachable",
      [NET_TIMEOUT_CONNECT] = "time-out in connect",
      [NET_TIMEOUT_TLS] = "time-out in TLS handshake",
      [NET_TIMEOUT_ANSWER] = "time-out waiting for answer",
      [NET_TIMEOUT_BODY] = "time-out before the answer was whole",
      [NET_CLOSED] = "connection closed before the answer was whole",
      [NET_CERTIFICATE] = "certificate not accepted",
      [NET_NAME] = "certificate is for another name",
      [NET_PROTOCOL] = "answer breaks the protocol",
      [NET_LOCAL] = "no means to try",
  };
  return texts[outcome];
}
