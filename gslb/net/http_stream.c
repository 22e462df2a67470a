#include "gslb/net/http_stream.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

#include "gslb/base/memory.h"

#define KEPT_MOST 4096u /* bytes of buffer that a stream keeps while it has nothing to send */

struct http_stream {
  struct http_stream_place place;
  http_gone *gone;
  void *context;
  pthread_mutex_t lock;
  pthread_cond_t told; /* is_telling became false */
  unsigned owners;
  char *unsent;
  size_t start, end, capacity; /* unsent[start, end) */
  bool is_suspended;
  bool is_broken;
  bool is_closed;  /* by the writer */
  bool is_ended;   /* by the connection */
  bool is_telling; /* gone runs, in the thread teller */
  pthread_t teller;
};

struct http_stream *http_stream_new(const struct http_stream_place *place, http_gone *gone, void *context) {
  struct http_stream *stream = mem_alloc(sizeof *stream);
  stream->place = *place;
  stream->gone = gone;
  stream->context = context;
  stream->owners = 2;
  pthread_mutex_init(&stream->lock, NULL);
  pthread_cond_init(&stream->told, NULL);
  return stream;
}

static void stream_free(struct http_stream *stream) {
  pthread_cond_destroy(&stream->told);
  pthread_mutex_destroy(&stream->lock);
  free(stream->unsent);
  free(stream);
}

/* With the lock held. */
static void wake(struct http_stream *stream) {
  if (!stream->is_suspended)
    return;
  stream->is_suspended = false;
  MHD_resume_connection(stream->place.connection);
}

static size_t take(struct http_stream *stream, char *out, size_t most) {
  size_t size = stream->end - stream->start;
  if (size > most)
    size = most;
  memcpy(out, stream->unsent + stream->start, size);
  stream->start += size;
  if (stream->start == stream->end) {
    stream->start = stream->end = 0;
    if (stream->capacity > KEPT_MOST) {
      free(stream->unsent);
      stream->unsent = NULL;
      stream->capacity = 0;
    }
  }
  return size;
}

ssize_t http_stream_read(void *context, uint64_t position, char *out, size_t most) {
  (void)position;
  struct http_stream *stream = context;
  ssize_t result = 0;
  pthread_mutex_lock(&stream->lock);
  if (stream->is_broken) {
    result = MHD_CONTENT_READER_END_WITH_ERROR;
  } else if (stream->end > stream->start) {
    result = (ssize_t)take(stream, out, most);
  } else if (stream->is_closed) {
    result = MHD_CONTENT_READER_END_OF_STREAM;
  } else {
    MHD_suspend_connection(stream->place.connection);
    stream->is_suspended = true;
  }
  pthread_mutex_unlock(&stream->lock);
  return result;
}

void http_stream_break(struct http_stream *stream) {
  pthread_mutex_lock(&stream->lock);
  stream->is_broken = true;
  wake(stream);
  pthread_mutex_unlock(&stream->lock);
}

/* With the lock held, which is released. */
static void let_go(struct http_stream *stream) {
  bool is_last = --stream->owners == 0;
  pthread_mutex_unlock(&stream->lock);
  if (is_last)
    stream_free(stream);
}

void http_stream_end(struct http_stream *stream) {
  pthread_mutex_lock(&stream->lock);
  stream->is_ended = true;
  if (!stream->is_closed) {
    stream->is_telling = true;
    stream->teller = pthread_self();
    pthread_mutex_unlock(&stream->lock);
    stream->gone(stream->context);
    pthread_mutex_lock(&stream->lock);
    stream->is_telling = false;
    pthread_cond_broadcast(&stream->told);
  }
  let_go(stream);
}

void http_stream_write(struct http_stream *stream, const char *text, size_t size) {
  pthread_mutex_lock(&stream->lock);
  assert(!stream->is_closed);
  if (!stream->is_broken && !stream->is_ended) {
    if (stream->end - stream->start + size > HTTP_STREAM_MOST) {
      stream->is_broken = true;
      http_guard_cut(stream->place.guard, stream->place.visitor);
    } else {
      if (stream->start > 0) {
        memmove(stream->unsent, stream->unsent + stream->start, stream->end - stream->start);
        stream->end -= stream->start;
        stream->start = 0;
      }
      stream->unsent = mem_grow(stream->unsent, &stream->capacity, stream->end + size + 1, 1);
      memcpy(stream->unsent + stream->end, text, size);
      stream->end += size;
    }
    wake(stream);
  }
  pthread_mutex_unlock(&stream->lock);
}

void http_stream_close(struct http_stream *stream) {
  pthread_mutex_lock(&stream->lock);
  assert(!stream->is_closed);
  stream->is_closed = true;
  wake(stream);
  while (stream->is_telling && !pthread_equal(stream->teller, pthread_self()))
    pthread_cond_wait(&stream->told, &stream->lock);
  let_go(stream);
}
