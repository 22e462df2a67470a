#include "discovery/mdns/mdns.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "discovery/mdns/mdns_port.h"
#include "gslb/base/log.h"
#include "gslb/base/memory.h"
#include "gslb/base/random.h"
#include "gslb/decide/directory.h"
#include "gslb/model/registration.h"
#include "gslb/net/loop.h"

#define ANNOUNCE_AGAIN_MS 1000
#define PORTS_AGAIN_MS 5000 /* interfaces come and go */
#define RESCUE_MS 200       /* another balancer said goodbye to what we have too */
#define BALANCERS_MOST 64u

struct mdns {
  struct store *live;
  pthread_t thread;
  int wake;
  struct loop *loop;
  struct loop_poll *wake_poll;
  struct loop_timer *announce_timer, *ports_timer;

  pthread_mutex_t lock; /* of the next three */
  char **interfaces;    /* newest, not yet taken, NULL-terminated; NULL: none */
  bool is_stopping;
  bool is_changed;

  /* of the thread alone */
  struct random random;
  struct mdns_port **ports; /* two for each interface */
  size_t port_count;
  struct arena arena;   /* of own */
  struct directory own; /* what is answered */
};

static void announce_again(void *context) {
  struct mdns *mdns = context;
  for (size_t i = 0; i < mdns->port_count; i++)
    mdns_port_announce(mdns->ports[i], &mdns->own, false);
}

static void rescue(void *context) {
  struct mdns *mdns = context;
  loop_timer_after(mdns->announce_timer, RESCUE_MS);
}

static void look_at_ports(void *context) {
  struct mdns *mdns = context;
  for (size_t i = 0; i < mdns->port_count; i++)
    if (mdns_port_look(mdns->ports[i])) {
      mdns_port_announce(mdns->ports[i], &mdns->own, false);
      loop_timer_after(mdns->announce_timer, ANNOUNCE_AGAIN_MS);
    }
  if (mdns->port_count)
    loop_timer_after(mdns->ports_timer, PORTS_AGAIN_MS);
}

static bool is_in(const struct directory *directory, const struct directory_record *record) {
  for (size_t i = 0; i < directory->count; i++)
    if (directory_is_same_set(&directory->records[i], record) && directory->records[i].size == record->size &&
        memcmp(directory->records[i].data, record->data, record->size) == 0)
      return true;
  return false;
}

struct gathering {
  struct balancer_facts *balancers;
  size_t count;
};

static bool gather_balancer(void *context, struct store_bytes key, struct store_bytes value) {
  struct gathering *gathering = context;
  struct balancer_facts *balancer = &gathering->balancers[gathering->count];
  if (key.size >= sizeof balancer->identity || balancer_decode(value.data, value.size, &balancer->record) != STATUS_OK)
    return true;
  memcpy(balancer->identity, key.data, key.size);
  balancer->identity[key.size] = '\0';
  gathering->count++;
  return gathering->count < BALANCERS_MOST;
}

static enum status read_own(struct mdns *mdns, struct arena *arena, struct directory *out, struct errbuf *err) {
  static const struct directory_wish wish = {.origin = "local", .has_register = true, .is_multicast = true};
  struct gathering gathering = {.balancers = mem_array(BALANCERS_MOST, sizeof *gathering.balancers)};
  enum status status = STATUS_OK;
  if (mdns->live) {
    struct store_txn *txn;
    status = store_begin(mdns->live, false, &txn, err);
    if (status == STATUS_OK) {
      status = store_scan(txn, STORE_DB_BALANCERS, (struct store_bytes){0}, gather_balancer, &gathering);
      store_abort(txn);
    }
  }
  if (status == STATUS_OK)
    directory_build_balancers(gathering.balancers, gathering.count, &wish, arena, out);
  free(gathering.balancers);
  return status;
}

/* What is answered from now on; what is gone is taken back, what is there announced. */
static void take_own(struct mdns *mdns, struct arena *arena, const struct directory *own) {
  struct directory gone = {.records = mem_array(mdns->own.count + 1, sizeof *gone.records)};
  bool is_same = own->count == mdns->own.count;
  for (size_t i = 0; i < mdns->own.count; i++)
    if (!is_in(own, &mdns->own.records[i]))
      gone.records[gone.count++] = mdns->own.records[i];
  if (is_same && !gone.count) {
    arena_release(arena);
    free(gone.records);
    return;
  }
  for (size_t i = 0; i < mdns->port_count; i++) {
    mdns_port_forget(mdns->ports[i]);
    mdns_port_announce(mdns->ports[i], &gone, true);
  }
  free(gone.records);
  arena_release(&mdns->arena);
  mdns->arena = *arena;
  mdns->own = *own;
  announce_again(mdns);
  loop_timer_after(mdns->announce_timer, ANNOUNCE_AGAIN_MS);
}

static void look_at_balancers(struct mdns *mdns) {
  struct arena arena = {0};
  struct directory own;
  struct errbuf err = {.text = ""};
  if (read_own(mdns, &arena, &own, &err) == STATUS_OK) {
    take_own(mdns, &arena, &own);
  } else {
    log_warning("mdns: the balancers cannot be read: %s", err.text);
    arena_release(&arena);
  }
}

static void free_names(char **names) {
  for (size_t i = 0; names && names[i]; i++)
    free(names[i]);
  free(names);
}

static void free_ports(struct mdns *mdns) {
  for (size_t i = 0; i < mdns->port_count; i++) {
    mdns_port_announce(mdns->ports[i], &mdns->own, true);
    mdns_port_free(mdns->ports[i]);
  }
  free(mdns->ports);
  mdns->ports = NULL;
  mdns->port_count = 0;
}

static bool has_interfaces(const struct mdns *mdns, char *const *names) {
  size_t count = 0;
  for (; names[count]; count++)
    if (2 * count >= mdns->port_count || strcmp(mdns_port_interface(mdns->ports[2 * count]), names[count]) != 0)
      return false;
  return mdns->port_count == 2 * count;
}

static void take_interfaces(struct mdns *mdns, char **names) {
  struct mdns_port_links links = {.loop = mdns->loop,
                                  .random = &mdns->random,
                                  .own = &mdns->own,
                                  .rescue = rescue,
                                  .context = mdns};
  size_t count = 0;
  if (has_interfaces(mdns, names))
    return;
  free_ports(mdns);
  while (names[count])
    count++;
  mdns->ports = mem_array(2 * count + 1, sizeof(struct mdns_port *));
  for (size_t i = 0; i < count; i++) {
    mdns->ports[mdns->port_count++] = mdns_port_new(&links, names[i], 4);
    mdns->ports[mdns->port_count++] = mdns_port_new(&links, names[i], 6);
  }
  look_at_ports(mdns);
}

static void take_wake(void *context, int events) {
  struct mdns *mdns = context;
  uint64_t count;
  (void)events;
  if (read(mdns->wake, &count, sizeof count) < 0 && errno != EAGAIN)
    log_warning("mdns: eventfd: %s", strerror(errno));
  loop_poll_watch(mdns->wake_poll, LOOP_READABLE);
  pthread_mutex_lock(&mdns->lock);
  char **names = mdns->interfaces;
  bool is_stopping = mdns->is_stopping, is_changed = mdns->is_changed;
  mdns->interfaces = NULL;
  mdns->is_changed = false;
  pthread_mutex_unlock(&mdns->lock);
  if (is_stopping) {
    free_names(names);
    free_ports(mdns);
    loop_stop(mdns->loop);
    return;
  }
  if (names)
    take_interfaces(mdns, names);
  free_names(names);
  if (is_changed && mdns->port_count)
    look_at_balancers(mdns);
}

static void *run(void *argument) {
  struct mdns *mdns = argument;
  loop_run(mdns->loop);
  return NULL;
}

static void ring(struct mdns *mdns) {
  uint64_t one = 1;
  if (write(mdns->wake, &one, sizeof one) < 0 && errno != EAGAIN)
    log_warning("mdns: eventfd: %s", strerror(errno));
}

static void release(struct mdns *mdns) {
  loop_free(mdns->loop);
  if (mdns->wake >= 0)
    close(mdns->wake);
  free_names(mdns->interfaces);
  arena_release(&mdns->arena);
  pthread_mutex_destroy(&mdns->lock);
  free(mdns);
}

enum status mdns_start(const struct config *config, struct store *live, const struct house *house, struct mdns **out,
                       struct errbuf *err) {
  struct mdns *mdns = mem_alloc(sizeof *mdns);
  (void)house; /* nothing here is told by the time of day */
  mdns->live = live;
  pthread_mutex_init(&mdns->lock, NULL);
  random_seed_system(&mdns->random);
  mdns->loop = loop_new();
  mdns->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  mdns->wake_poll = mdns->wake >= 0 ? loop_poll_new(mdns->loop, mdns->wake, take_wake, mdns) : NULL;
  if (mdns->wake_poll) {
    loop_poll_watch(mdns->wake_poll, LOOP_READABLE);
    mdns->announce_timer = loop_timer_new(mdns->loop, announce_again, mdns);
    mdns->ports_timer = loop_timer_new(mdns->loop, look_at_ports, mdns);
    mdns_configure(mdns, config);
    if (pthread_create(&mdns->thread, NULL, run, mdns) == 0) {
      *out = mdns;
      return STATUS_OK;
    }
  }
  release(mdns);
  return errbuf_set(err, STATUS_IO, "the multicast responder cannot be started");
}

void mdns_configure(struct mdns *mdns, const struct config *config) {
  size_t count = 0;
  while (config->mdns.interfaces && config->mdns.interfaces[count])
    count++;
  char **names = mem_array(count + 1, sizeof *names);
  for (size_t i = 0; i < count; i++)
    names[i] = mem_strdup(config->mdns.interfaces[i]);
  pthread_mutex_lock(&mdns->lock);
  free_names(mdns->interfaces);
  mdns->interfaces = names;
  mdns->is_changed = true;
  pthread_mutex_unlock(&mdns->lock);
  ring(mdns);
}

void mdns_wake(struct mdns *mdns) {
  pthread_mutex_lock(&mdns->lock);
  mdns->is_changed = true;
  pthread_mutex_unlock(&mdns->lock);
  ring(mdns);
}

void mdns_stop(struct mdns *mdns) {
  if (!mdns)
    return;
  pthread_mutex_lock(&mdns->lock);
  mdns->is_stopping = true;
  pthread_mutex_unlock(&mdns->lock);
  ring(mdns);
  pthread_join(mdns->thread, NULL);
  release(mdns);
}
