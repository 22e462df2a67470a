#include "gslb/net/curl_loop.h"

#include <stdlib.h>

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
}

void curl_loop_add(struct curl_loop *curl, void *easy) {
  /* only misuse or memory can make it fail; it sets the timer, so the work begins in the next turn of the loop */
  if (curl_multi_add_handle(curl->multi, easy) != CURLM_OK)
    abort();
}

void curl_loop_remove(struct curl_loop *curl, void *easy) {
  curl_multi_remove_handle(curl->multi, easy);
}
