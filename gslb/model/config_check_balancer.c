#include "gslb/model/config_check.h"

#include <stdlib.h>
#include <string.h>

#include "gslb/base/addr.h"
#include "gslb/base/memory.h"
#include "gslb/model/config.h"
#include "gslb/model/domain.h"

static void check_ca(struct schema_reader *reader, const struct document_node *node, bool is_tls) {
  const struct document_node *ca = document_find(node, "ca");
  if (ca && !is_tls)
    schema_problem(reader, ca->key, "ca is given, but tls: true is not");
}

/* Enters address@port for the item. */
static void define_address(struct schema_reader *reader, struct name_index *index, const char *what,
                           const struct addr *address, const struct document_node *place, const void *items,
                           const void *item, size_t item_size) {
  char text[ADDR_TEXT_SIZE];
  if (address->family)
    config_define(reader, index, what, arena_strdup(reader->arena, addr_format_port(address, text)), place, items, item,
                  item_size);
}

/* Peers */

void config_check_peer(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  const struct config_peer *peer = record;
  const struct config *config = names->config;
  const struct document_node *place = config_place(node, "address");
  config_define(reader, &names->peers, "peer", peer->identity, config_place(node, "identity"), config->peers, peer,
                sizeof *peer);
  define_address(reader, &names->peer_addresses, "peer", &peer->address, place, config->peers, peer, sizeof *peer);
  char text[ADDR_TEXT_SIZE];
  if (peer->identity && config->server.identity && strcmp(peer->identity, config->server.identity) == 0)
    schema_problem(reader, config_place(node, "identity"), "identity \"%s\" is this server's own", peer->identity);
  if (peer->address.family && !config_is_host(&peer->address))
    schema_problem(reader, place, "address %s does not belong to a single host", addr_format(&peer->address, text));
  if (config->control.has_listen && addr_equal(&peer->address, &config->control.listen))
    schema_problem(reader, place, "address %s is this server's control.listen", addr_format_port(&peer->address, text));
  check_ca(reader, node, peer->is_tls);
}

/* Parents */

static void check_where(struct schema_reader *reader, const struct document_node *node,
                        const struct config_parent *parent) {
  struct config_names *names = reader->context;
  const struct config *config = names->config;
  const struct document_node *domain = document_find(node, "domain"), *address = document_find(node, "address");
  char text[ADDR_TEXT_SIZE];
  if (domain && address)
    schema_problem(reader, address->key, "address cannot be given together with domain");
  else if (!domain && !address)
    schema_problem(reader, node, "missing key \"domain\" or \"address\"");
  config_define(reader, &names->parents, "parent", parent->domain, config_place(node, "domain"), config->parents,
                parent, sizeof *parent);
  define_address(reader, &names->parent_addresses, "parent", &parent->address, config_place(node, "address"),
                 config->parents, parent, sizeof *parent);
  if (!parent->address.family)
    return;
  addr_format_port(&parent->address, text);
  if (!config_is_host(&parent->address))
    schema_problem(reader, address, "address %s does not belong to a single host", text);
  else if (config->control.has_listen && addr_equal(&parent->address, &config->control.listen))
    schema_problem(reader, address, "address %s is this server's control.listen", text);
  else if (!addr_is_loopback(&parent->address) && !parent->is_tls && !config->control.is_insecure)
    schema_problem(reader, address,
                   "address %s is not a loopback address; the token needs tls: true on its way, or control.insecure: "
                   "true",
                   text);
}

/* The addresses at which DNS is answered, each once, without ports. */
static void take_listeners(struct schema_reader *reader, const struct document_node *node,
                           struct config_parent *parent) {
  const struct config_server *server = &((const struct config_names *)reader->context)->config->server;
  parent->addresses = arena_array(reader->arena, CONFIG_LISTEN_MOST + 1, sizeof *parent->addresses);
  for (size_t i = 0; i < server->listen_count; i++) {
    struct addr address = server->listen[i];
    address.port = 0;
    size_t at = 0;
    while (at < parent->address_count && !addr_equal(&parent->addresses[at], &address))
      at++;
    if (at == parent->address_count && at < CONFIG_ADDRESSES_MOST && address.family && config_is_host(&address))
      parent->addresses[parent->address_count++] = address;
  }
  if (!parent->address_count && server->listen_count)
    schema_problem(reader, node, "missing key \"addresses\": server.listen has no address that a parent could be told");
}

static void check_parent_addresses(struct schema_reader *reader, const struct document_node *node,
                                   struct config_parent *parent) {
  const struct document_node *list = document_find(node, "addresses");
  const struct document_node *item = list && list->kind == DOCUMENT_LIST ? list->first : NULL;
  if (!list) {
    take_listeners(reader, node, parent);
    return;
  }
  config_check_addresses(reader, list, "address", parent->addresses, parent->address_count);
  for (size_t i = 0; i < parent->address_count && item; i++, item = item->next) {
    char text[ADDR_TEXT_SIZE];
    if (parent->addresses[i].family && !config_is_host(&parent->addresses[i]))
      schema_problem(reader, item, "address %s does not belong to a single host",
                     addr_format(&parent->addresses[i], text));
  }
}

uint32_t config_creator_of(const struct config_names *names, const char *name) {
  const char *base = domain_parent(name);
  char *pattern = mem_format("*.%s", base ? base : "");
  uint32_t found = name_index_find(&names->services, pattern);
  free(pattern);
  bool is_pattern = found != NAME_INDEX_NONE && config_service_is_pattern(&names->config->services[found]);
  return is_pattern ? found : NAME_INDEX_NONE;
}

static void check_own(struct schema_reader *reader, const struct document_node *node,
                      struct config_parent_service *service) {
  const struct config_names *names = reader->context;
  const struct document_node *place =
      document_find(node, "own") ? document_find(node, "own") : document_find(node, "name");
  if (!service->own && !document_find(node, "own"))
    service->own = service->name;
  if (!service->own)
    return;
  uint32_t found = name_index_find(&names->services, service->own);
  if (found != NAME_INDEX_NONE && config_service_is_pattern(&names->config->services[found]))
    schema_problem(reader, place, "service \"%s\" is a pattern, which has no state", service->own);
  else if (found == NAME_INDEX_NONE && config_creator_of(names, service->own) == NAME_INDEX_NONE)
    schema_problem(reader, place, "service \"%s\" is not defined; own must name a service of this server",
                   service->own);
}

static void check_parent_services(struct schema_reader *reader, const struct document_node *list,
                                  struct config_parent *parent) {
  const struct document_node *node = list && list->kind == DOCUMENT_LIST ? list->first : NULL;
  for (size_t i = 0; i < parent->service_count && node; i++, node = node->next) {
    struct config_parent_service *service = &parent->services[i];
    for (size_t j = 0; j < i && service->name; j++)
      if (parent->services[j].name && strcmp(service->name, parent->services[j].name) == 0) {
        schema_problem(reader, config_place(node, "name"), "service \"%s\" is listed twice", service->name);
        break;
      }
    check_own(reader, node, service);
  }
}

void config_check_parent(struct schema_reader *reader, const struct document_node *node, void *record) {
  const struct config_names *names = reader->context;
  struct config_parent *parent = record;
  check_where(reader, node, parent);
  check_ca(reader, node, parent->is_tls);
  check_parent_addresses(reader, node, parent);
  check_parent_services(reader, document_find(node, "services"), parent);
  const char *identity = names->config->server.identity;
  char label[DOMAIN_LABEL_MOST + 1];
  if (!identity || document_find(node, "id"))
    return;
  config_host_label("", identity, label);
  parent->id = arena_strdup(reader->arena, label);
}

/* Publishing */

void config_check_publish(struct schema_reader *reader, const struct document_node *node, void *record) {
  struct config_names *names = reader->context;
  struct config_publish *publish = record;
  char text[ADDR_TEXT_SIZE];
  if (!document_find(node, "key"))
    publish->key = CONFIG_NO_KEY;
  if (!names->config->zone_count)
    schema_problem(reader, node, "publish needs a zone of this server, but there are none");
  if (!publish->zone || !publish->server.family)
    return;
  if (!config_is_host(&publish->server))
    schema_problem(reader, config_place(node, "server"), "address %s does not belong to a single host",
                   addr_format(&publish->server, text));
  char *target = mem_format("%s at %s", publish->zone, addr_format_port(&publish->server, text));
  config_define(reader, &names->publish, "zone", arena_strdup(reader->arena, target), config_place(node, "zone"),
                names->config->publish, publish, sizeof *publish);
  free(target);
}
