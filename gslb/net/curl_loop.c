#include "gslb/net/curl_loop.h"

#include <stdbool.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "gslb/base/clock.h"
#include "gslb/base/memory.h"

struct curl_loop {
  struct loop *loop;
  struct loop_timer *timer;
  int64_t wanted_ms; /* mono: when libcurl wants to be called; 0: not at all */
  int64_t timer_ms;  /* when the timer fires, which may be earlier; 0: it is idle */
  int added;         /* transfers that were neither handed out nor removed */
  int running;       /* of them, by libcurl's count */
  bool is_adding;    /* libcurl is called right after */
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
    curl_loop_remove(curl, message->easy_handle);
    curl->ended(transfer, (int)code);
  }
}

static void act(struct curl_loop *curl, curl_socket_t fd, int mask) {
  curl_multi_socket_action(curl->multi, fd, mask, &curl->running);
}

static void socket_ready(void *context, int events) {
  struct watched *watched = context;
  struct curl_loop *curl = watched->curl;
  act(curl, watched->fd,
      (events & LOOP_READABLE ? CURL_CSELECT_IN : 0) | (events & LOOP_WRITABLE ? CURL_CSELECT_OUT : 0));
  hand_out_finished(curl);
}

/* Most of what libcurl wants a timer for, time-outs above all, is not wanted any more long before: so a timer that is
 * too early stays as it is, and looks when it fires. */
static void set_timer(struct curl_loop *curl) {
  if (!curl->wanted_ms || (curl->timer_ms && curl->timer_ms <= curl->wanted_ms))
    return;
  curl->timer_ms = curl->wanted_ms;
  loop_timer_at(curl->timer, curl->timer_ms * 1000);
}

static void timer_fired(void *context) {
  struct curl_loop *curl = context;
  curl->timer_ms = 0;
  if (curl->wanted_ms && curl->wanted_ms <= mono_now_ms()) {
    curl->wanted_ms = 0;
    act(curl, CURL_SOCKET_TIMEOUT, 0);
  }
  hand_out_finished(curl);
  set_timer(curl);
}

static int want_timer(CURLM *multi, long delay_ms, void *context) {
  (void)multi;
  struct curl_loop *curl = context;
  curl->wanted_ms = delay_ms < 0 ? 0 : mono_now_ms() + delay_ms;
  if (!curl->is_adding)
    set_timer(curl);
  return 0;
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known) {
  (void)easy;
  struct curl_loop *curl = context;
  struct watched *watched = known;
  int events = (what & CURL_POLL_IN ? LOOP_READABLE : 0) | (what & CURL_POLL_OUT ? LOOP_WRITABLE : 0);
  if (what == CURL_POLL_REMOVE) {
    if (watched) {
      loop_poll_free(watched->poll);
      free(watched);
      curl_multi_assign(curl->multi, fd, NULL);
    }
  } else if (watched) {
    loop_poll_watch(watched->poll, events);
  } else {
    watched = mem_alloc(sizeof *watched);
    watched->curl = curl;
    watched->fd = fd;
    watched->poll = loop_poll_start(curl->loop, fd, events, socket_ready, watched);
    if (!watched->poll) {
      /* not polled: the transfer ends by its time-out */
      free(watched);
      return 0;
    }
    curl_multi_assign(curl->multi, fd, watched);
  }
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
  curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, want_timer);
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
  curl->added++;
  curl->is_adding = true;
  /* only misuse or memory can make it fail */
  if (curl_multi_add_handle(curl->multi, easy) != CURLM_OK)
    abort();
  curl->is_adding = false;
  act(curl, CURL_SOCKET_TIMEOUT, 0);
  /* what ended already, this or another, is handed out in the next turn */
  if (curl->running < curl->added)
    curl->wanted_ms = mono_now_ms();
  set_timer(curl);
}

void curl_loop_remove(struct curl_loop *curl, void *easy) {
  curl->added--;
  curl_multi_remove_handle(curl->multi, easy);
}
