#include "gslb/model/config_check.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "gslb/base/addr.h"
#include "gslb/model/config.h"
#include "gslb/model/scalar.h"

#define SOCKET_PATH_MOST (sizeof((struct sockaddr_un *)NULL)->sun_path - 1)

void config_host_label(const char *prefix, const char *name, char out[DOMAIN_LABEL_MOST + 1]) {
  int size = snprintf(out, DOMAIN_LABEL_MOST + 1, "%s%.*s", prefix, (int)strcspn(name, "."), name);
  size_t length = size > (int)DOMAIN_LABEL_MOST ? DOMAIN_LABEL_MOST : (size_t)size;
  for (size_t i = 0; i < length; i++)
    if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789", out[i]))
      out[i] = '-';
  while (length && out[length - 1] == '-')
    out[--length] = '\0';
  size_t begin = strspn(out, "-");
  memmove(out, out + begin, length + 1 - begin);
  if (!*out)
    strcpy(out, "gslb");
}

void config_balancer_name(const char *identity, char out[CONFIG_BALANCER_NAME_SIZE]) {
  _Static_assert(CONFIG_BALANCER_NAME_SIZE == DOMAIN_LABEL_MOST + 1, "a label");
  config_host_label("gslb-", identity, out);
}

void config_check_tls(struct schema_reader *reader, const struct document_node *node, void *record) {
  (void)reader;
  struct config_tls *tls = record;
  tls->is_given = node != NULL;
}

void config_check_client(struct schema_reader *reader, const struct document_node *node, void *record) {
  static const char *const own_id[] = {"{name}", NULL}, *const any[] = {"*", NULL};
  struct config_names *names = reader->context;
  struct config_client *client = record;
  const struct config_client *clients = names->config->control.clients;
  config_define(reader, &names->clients, "client", client->name, config_place(node, "name"), clients, client,
                sizeof *client);
  config_define(reader, &names->certificates, "certificate", client->certificate, config_place(node, "certificate"),
                clients, client, sizeof *client);
  if (!document_find(node, "resources"))
    client->resources = own_id;
  if (!document_find(node, "services"))
    client->services = any;
}

static void check_listen(struct schema_reader *reader, const struct document_node *node,
                         const struct config_control *control) {
  const struct config_names *names = reader->context;
  const struct config_server *server = &names->config->server;
  const struct document_node *place = config_place(node, "listen");
  char text[ADDR_TEXT_SIZE];
  addr_format_port(&control->listen, text);
  bool is_guarded = control->tls.is_given && control->reads_need_token;
  if (!addr_is_loopback(&control->listen) && !is_guarded && !control->is_insecure)
    schema_problem(reader, place,
                   "listen %s is not a loopback address; another one needs TLS and tokens (tls, and reads: token), or "
                   "insecure: true",
                   text);
  for (size_t i = 0; i < server->listen_count; i++)
    if (addr_equal(&control->listen, &server->listen[i]))
      schema_problem(reader, place, "listen %s is taken by server.listen", text);
}

/* Keys of control that are without effect */
static void check_use(struct schema_reader *reader, const struct document_node *node,
                      const struct config_control *control) {
  const struct document_node *tls = document_find(node, "tls"), *clients = document_find(node, "clients");
  if (tls && !document_find(node, "listen"))
    schema_problem(reader, tls->key, "tls is given, but listen is not");
  if (control->client_count && !document_find(tls, "client_ca"))
    schema_problem(reader, clients->key, "clients are given, but tls.client_ca, which their certificates need, is not");
}

static void check_advertise(struct schema_reader *reader, const struct document_node *node,
                            struct config_control *control) {
  const struct config_names *names = reader->context;
  const struct document_node *list = document_find(node, "addresses");
  const struct document_node *item = list && list->kind == DOCUMENT_LIST ? list->first : NULL;
  const struct addr *addresses = control->advertise;
  config_check_addresses(reader, list, "address", addresses, control->advertise_count);
  for (size_t i = 0; i < control->advertise_count && item; i++, item = item->next) {
    char text[ADDR_TEXT_SIZE];
    addr_format(&addresses[i], text);
    if (addresses[i].family && !config_is_host(&addresses[i]))
      schema_problem(reader, item, "address %s does not belong to a single host", text);
    if (addresses[i].family && addresses[0].family && addresses[i].port != addresses[0].port)
      schema_problem(reader, item, "address %s has port %u, the first one has %u; all must have the same", text,
                     addresses[i].port, addresses[0].port);
  }
  if (!list && control->has_listen && !config_is_unspecified(&control->listen)) {
    control->advertise = arena_copy(reader->arena, &control->listen, sizeof control->listen);
    control->advertise_count = 1;
  }
  char name[CONFIG_BALANCER_NAME_SIZE];
  if (control->advertise_name || !names->config->server.identity)
    return;
  config_balancer_name(names->config->server.identity, name);
  control->advertise_name = arena_strdup(reader->arena, name);
}

void config_check_control(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_control *control = record;
  control->has_listen = control->listen.family != 0;
  if (control->has_listen)
    check_listen(reader, node, control);
  check_use(reader, node, control);
  check_advertise(reader, document_find(node, "advertise"), control);
  if (!control->socket)
    control->socket = config_state_path(reader, "control.sock");
}

void config_check_socket(struct schema_reader *reader, const struct document_node *root, const char *socket) {
  if (!socket || strlen(socket) <= SOCKET_PATH_MOST)
    return;
  const struct document_node *place = document_find(document_find(root, "control"), "socket");
  if (!place) /* it follows from the state directory */
    place = config_place(document_find(root, "server"), "state");
  schema_problem(reader, place, "control.socket has a path of %zu bytes (%s); at most %zu are possible", strlen(socket),
                 socket, SOCKET_PATH_MOST);
}

void config_check_mdns(struct schema_reader *reader, const struct document_node *node, void *record) {
  const struct config_mdns *mdns = record;
  const struct document_node *list = document_find(node, "interfaces");
  const struct document_node *item = list && list->kind == DOCUMENT_LIST ? list->first : NULL;
  config_check_repeated(reader, list, "interface");
  for (size_t i = 0; i < CONFIG_INTERFACES_MOST && item; i++, item = item->next)
    if (mdns->interfaces[i] && strpbrk(mdns->interfaces[i], "/ ")) {
      char quoted[SCALAR_QUOTED_SIZE];
      schema_problem(reader, item, "\"%s\" is not the name of a network interface",
                     scalar_quote(mdns->interfaces[i], quoted));
    }
}
