/* discovery/mdns/mdns_port.h
 * One family on one interface of the multicast responder: its socket, what comes in there and the replies to it, those
 * that wait for their moment too. Belongs to its loop's thread. */
#ifndef GSLB_DISCOVERY_MDNS_MDNS_PORT_H
#define GSLB_DISCOVERY_MDNS_MDNS_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "gslb/base/random.h"
#include "gslb/decide/directory.h"
#include "gslb/net/loop.h"

struct mdns_port;

struct mdns_port_links { /* all borrowed until mdns_port_free */
  struct loop *loop;
  struct random *random;
  const struct directory *own;   /* what is answered; see mdns_port_forget */
  void (*rescue)(void *context); /* another said goodbye to what we have too: it is to be announced again soon */
  void *context;
};

struct mdns_port *mdns_port_new(const struct mdns_port_links *links, const char *interface, uint8_t family);
/* family: 4 or 6. interface is copied. Closed until mdns_port_look. */
void mdns_port_free(struct mdns_port *port);

const char *mdns_port_interface(const struct mdns_port *port);
bool mdns_port_look(struct mdns_port *port);
/* Opens it when it is not open, and anew when the interface of this name is another one now. Returns whether it was
 * opened in this call. What stands against it is logged once. */

void mdns_port_announce(struct mdns_port *port, const struct directory *records, bool is_goodbye);
/* Without being asked (RFC 6762 section 8.3), or goodbye (section 10.1). */

void mdns_port_forget(struct mdns_port *port);
/* Before what is answered changes: replies that wait are dropped. Then again what was sent when counts for nothing. */

#endif
