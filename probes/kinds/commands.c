#include "probes/kinds/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "gslb/base/memory.h"
#include "gslb/model/channel.h"

#define GRACE_MS 250 /* for exec's word about a command that it ended */

struct command_run {
  struct commands *commands;
  uint64_t id;
  bool is_sent;
  struct loop_timer *timer; /* the answer is late, or the request could not be sent */
  command_done *done;
  void *context;
  LIST_ENTRY(command_run) entry;
};

struct commands {
  struct loop *loop;
  int channel;
  struct loop_poll *poll; /* NULL: the channel is not there */
  LIST_HEAD(command_list, command_run) runs;
  uint64_t next_id;
  struct channel_message *message;
};

static void run_release(struct command_run *run) {
  LIST_REMOVE(run, entry);
  loop_timer_free(run->timer);
  free(run);
}

static void run_end(struct command_run *run, enum status status, const char *text, const char *line) {
  run->done(run->context, status, text, line);
  run_release(run);
}

static void close_fds(const struct channel_message *message) {
  for (size_t i = 0; i < message->fd_count; i++)
    close(message->fds[i]);
}

static void hear(void *context, int events) {
  (void)events;
  struct commands *commands = context;
  struct channel_message *message = commands->message;
  enum status status = channel_receive(commands->channel, message);
  if (status == STATUS_NODATA || status == STATUS_IO) {
    /* the supervisor keeps both ends, so it is gone, and this process is about to end */
    loop_poll_watch(commands->poll, 0);
    return;
  }
  if (status != STATUS_OK)
    return;
  close_fds(message);
  struct command_run *run;
  LIST_FOREACH(run, &commands->runs, entry)
  if (run->id == message->generation)
    break;
  if (message->kind != CHANNEL_RAN || !run)
    return;
  size_t text = strnlen(message->text, message->length);
  run_end(run, message->status, message->text, text < message->length ? message->text + text + 1 : "");
}

static void is_late(void *context) {
  struct command_run *run = context;
  run_end(run, STATUS_IO, run->is_sent ? "the exec process does not answer" : "the exec process cannot be asked", "");
}

struct commands *commands_new(struct loop *loop, int channel) {
  struct commands *commands = mem_alloc(sizeof *commands);
  commands->loop = loop;
  commands->channel = channel;
  /* what was asked for by a process before this one must not be taken for an answer to us */
  commands->next_id = (uint64_t)getpid() << 32;
  LIST_INIT(&commands->runs);
  commands->message = mem_alloc(sizeof *commands->message);
  if (channel >= 0)
    commands->poll = loop_poll_new(loop, channel, hear, commands);
  if (commands->poll)
    loop_poll_watch(commands->poll, LOOP_READABLE);
  return commands;
}

void commands_free(struct commands *commands) {
  if (!commands)
    return;
  while (!LIST_EMPTY(&commands->runs))
    run_release(LIST_FIRST(&commands->runs));
  loop_poll_free(commands->poll);
  free(commands->message);
  free(commands);
}

static bool send_request(struct commands *commands, uint64_t id, const char *monitor, const struct addr *address,
                         int64_t timeout_ms) {
  struct channel_message *message = commands->message;
  char text[ADDR_TEXT_SIZE];
  if (!commands->poll)
    return false;
  *message = (struct channel_message){.kind = CHANNEL_RUN, .generation = id};
  int length = snprintf(message->text, CHANNEL_TEXT_MOST,
                        "%s%cGSLB_MONITOR=%s%cGSLB_ADDRESS=%s%cGSLB_PORT=%u%cGSLB_TIMEOUT_MS=%lld%c", monitor, 0,
                        monitor, 0, addr_format(address, text), 0, address->port, 0, (long long)timeout_ms, 0);
  message->length = (size_t)length;
  return channel_send(commands->channel, message) == STATUS_OK;
}

struct command_run *commands_start(struct commands *commands, const char *monitor, const struct addr *address,
                                   int64_t timeout_ms, command_done *done, void *context) {
  struct command_run *run = mem_alloc(sizeof *run);
  run->commands = commands;
  run->id = commands->next_id++;
  run->done = done;
  run->context = context;
  run->timer = loop_timer_new(commands->loop, is_late, run);
  LIST_INSERT_HEAD(&commands->runs, run, entry);
  run->is_sent = send_request(commands, run->id, monitor, address, timeout_ms);
  loop_timer_after(run->timer, run->is_sent ? timeout_ms + GRACE_MS : 0);
  return run;
}

void commands_forget(struct command_run *run) {
  run_release(run);
}
