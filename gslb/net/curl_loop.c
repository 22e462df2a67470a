#include "gslb/net/curl_loop.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "gslb/base/memory.h"

struct curl_loop {
  struct loop *loop;
  struct loop_timer *timer;
  CURLM *multi;
  curl_ended *ended;
};

struct watched { /* libcurl's socket on our loop */
  struct curl_loop *curl;
  struct loop_poll *poll;
  curl_socket_t fd;
};

static void hand_out_finished(struct curl_loop *curl) {
  int left;
  CURLMsg *message;
  while ((message = curl_multi_info_read(curl->multi, &left))) {
    if (message->msg != CURLMSG_DONE)
      continue;
    char *transfer = NULL;
    CURLcode code = message->data.result;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    curl_multi_remove_handle(curl->multi, message->easy_handle);
    curl->ended(transfer, (int)code);
  }
}

static void socket_ready(void *context, int events) {
  struct watched *watched = context;
  struct curl_loop *curl = watched->curl;
  int running;
  int mask = (events & LOOP_READABLE ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITABLE ? CURL_CSELECT_OUT : 0);
  curl_multi_socket_action(curl->multi, watched->fd, mask, &running);
  hand_out_finished(curl);
}

static void timer_fired(void *context) {
  struct curl_loop *curl = context;
  int running;
  curl_multi_socket_action(curl->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  hand_out_finished(curl);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known) {
  (void)easy;
  struct curl_loop *curl = context;
  struct watched *watched = known;
  if (what == CURL_POLL_REMOVE) {
    if (watched) {
      loop_poll_free(watched->poll);
      free(watched);
      curl_multi_assign(curl->multi, fd, NULL);
    }
    return 0;
  }
  if (!watched) {
    watched = mem_alloc(sizeof *watched);
    watched->curl = curl;
    watched->fd = fd;
    watched->poll = loop_poll_new(curl->loop, fd, socket_ready, watched);
    if (!watched->poll) {
      /* not polled: the transfer ends by its time-out */
      free(watched);
      return 0;
    }
    curl_multi_assign(curl->multi, fd, watched);
  }
  loop_poll_watch(watched->poll,
                  (what & CURL_POLL_IN ? LOOP_READABLE : 0) | (what & CURL_POLL_OUT ? LOOP_WRITABLE : 0));
  return 0;
}

static int set_timer(CURLM *multi, long delay_ms, void *context) {
  (void)multi;
  struct curl_loop *curl = context;
  if (delay_ms < 0)
    loop_timer_stop(curl->timer);
  else
    loop_timer_after(curl->timer, delay_ms);
  return 0;
}

struct curl_loop *curl_loop_new(struct loop *loop, long connections_kept, curl_ended *ended) {
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    abort();
  struct curl_loop *curl = mem_alloc(sizeof *curl);
  curl->loop = loop;
  curl->ended = ended;
  curl->timer = loop_timer_new(loop, timer_fired, curl);
  curl->multi = curl_multi_init();
  if (!curl->multi)
    abort();
  curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
  curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
  curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, set_timer);
  curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
  curl_multi_setopt(curl->multi, CURLMOPT_MAXCONNECTS, connections_kept);
  return curl;
}

void curl_loop_free(struct curl_loop *curl) {
  if (!curl)
    return;
  curl_multi_cleanup(curl->multi);
  loop_timer_free(curl->timer);
  free(curl);
  curl_global_cleanup();
}

void curl_loop_add(struct curl_loop *curl, void *easy) {
  /* only misuse or memory can make it fail; it sets the timer, so the work begins in the next turn of the loop */
  if (curl_multi_add_handle(curl->multi, easy) != CURLM_OK)
    abort();
}

void curl_loop_remove(struct curl_loop *curl, void *easy) {
  curl_multi_remove_handle(curl->multi, easy);
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)purpose;
  int *socket_errno = context;
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) {
    *socket_errno = errno;
    return CURL_SOCKET_BAD;
  }
  return fd;
}

void curl_loop_set_common(void *easy, void *transfer, int *socket_errno, char *detail) {
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  /* the cache of names, in which each address would be kept for a minute and looked through at each request */
  curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, detail);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, socket_errno);
}

static bool has_passed(CURL *easy, CURLINFO phase) {
  curl_off_t at_us = 0;
  curl_easy_getinfo(easy, phase, &at_us);
  return at_us > 0;
}

static enum net_outcome timed_out(CURL *easy, bool is_tls) {
  long made = 0, port = 0;
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &made);
  /* the time of connecting stands there only after the handshake; our port is known once it is connected */
  curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &port);
  bool is_kept = made == 0 && has_passed(easy, CURLINFO_PRETRANSFER_TIME_T);
  if (!is_kept && !has_passed(easy, CURLINFO_CONNECT_TIME_T) && !(is_tls && port > 0))
    return NET_TIMEOUT_CONNECT;
  if (!is_kept && is_tls && !has_passed(easy, CURLINFO_APPCONNECT_TIME_T))
    return NET_TIMEOUT_TLS;
  return has_passed(easy, CURLINFO_STARTTRANSFER_TIME_T) ? NET_TIMEOUT_BODY : NET_TIMEOUT_ANSWER;
}

/* Of a handshake that failed: whether the other side went away. Its error number stays from one transfer to the next. */
static bool was_closed(const char *detail) {
  return strstr(detail, "Recv failure") || strstr(detail, "Send failure") || strstr(detail, "non-properly terminated");
}

enum net_outcome curl_loop_outcome(void *easy, int code, int socket_errno, const char *detail, bool is_tls) {
  long error = 0;
  switch ((CURLcode)code) {
  case CURLE_OK:
    return NET_ANSWERED;
  case CURLE_COULDNT_CONNECT:
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
    if (socket_errno)
      error = socket_errno;
    return error ? net_outcome_of_errno((int)error) : NET_UNREACHABLE;
  case CURLE_OPERATION_TIMEDOUT:
    return timed_out(easy, is_tls);
  case CURLE_RECV_ERROR:
    return strstr(detail, "Too large response headers") ? NET_PROTOCOL : NET_CLOSED;
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_PARTIAL_FILE:
    return NET_CLOSED;
  case CURLE_SSL_CONNECT_ERROR:
    return was_closed(detail) ? NET_CLOSED : NET_PROTOCOL;
  case CURLE_PEER_FAILED_VERIFICATION:
    /* libcurl has one code for both, and tells them apart in its text alone */
    return strstr(detail, "does not match target host name") ? NET_NAME : NET_CERTIFICATE;
  case CURLE_OUT_OF_MEMORY: /* its word for a header line beyond its bound, too */
    return has_passed(easy, CURLINFO_STARTTRANSFER_TIME_T) ? NET_PROTOCOL : NET_LOCAL;
  case CURLE_SSL_CACERT_BADFILE: /* our files, not the other side's */
  case CURLE_SSL_CERTPROBLEM:
    return NET_LOCAL;
  default:
    return NET_PROTOCOL;
  }
}

char *curl_loop_host(const struct addr *address) {
  char text[ADDR_TEXT_SIZE];
  addr_format(address, text);
  return address->family == 6 ? mem_format("[%s]", text) : mem_strdup(text);
}
