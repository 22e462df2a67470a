/* gslb/net/snmp_client.h
 * What the listener uses of the client: its loop and its keys. For gslb/net/snmp*.c alone. */
#ifndef GSLB_NET_SNMP_CLIENT_H
#define GSLB_NET_SNMP_CLIENT_H

struct loop;
struct snmp_client;
struct snmp_keyring;

struct loop *snmp_client_loop(struct snmp_client *client);
struct snmp_keyring *snmp_client_keyring(struct snmp_client *client);
/* Both borrowed. */

#endif
