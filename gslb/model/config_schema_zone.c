#include "gslb/model/config_rows.h"

#include <stddef.h>

#include "gslb/model/config_check.h"
#include "gslb/model/config_values.h"
#include "gslb/model/domain.h"

static const char *const algorithms[] = {
    [KEY_HMAC_SHA1] = "hmac-sha1",     [KEY_HMAC_SHA224] = "hmac-sha224", [KEY_HMAC_SHA256] = "hmac-sha256",
    [KEY_HMAC_SHA384] = "hmac-sha384", [KEY_HMAC_SHA512] = "hmac-sha512", NULL,
};
static const char *const balanced_policies[] = {
    [ZONE_BALANCED_OMIT] = "omit",
    [ZONE_BALANCED_FREEZE] = "freeze",
    NULL,
};
static const char *const serial_policies[] = {
    [ZONE_SERIAL_FILE] = "file",
    [ZONE_SERIAL_UNIXTIME] = "unixtime",
    NULL,
};

const char *key_algorithm_name(enum key_algorithm algorithm) {
  return algorithms[algorithm];
}

static const struct schema_row key_rows[] = {
    {.key = "name",
     .kind = SCHEMA_DOMAIN,
     ONE(struct config_key, name),
     .is_required = true,
     .help = "Name of a TSIG key (RFC 8945), the same on both sides."},
    {.key = "algorithm",
     .kind = SCHEMA_WORD,
     ONE(struct config_key, algorithm),
     .words = algorithms,
     .standard = "hmac-sha256",
     .help = "Algorithm of its signatures."},
    {.key = "secret",
     .kind = SCHEMA_CUSTOM,
     ONE(struct config_key, secret),
     .read = config_read_secret,
     .type_help = "base64 text of 8 to 128 bytes",
     .standard_help = "what secret_file holds",
     .help = "The secret of the key."},
    {.key = "secret_file",
     .kind = SCHEMA_CUSTOM,
     ONE(struct config_key, secret),
     .read = config_read_secret_file,
     .type_help = "path",
     .standard_help = "none",
     .help = "File whose first line is the secret as base64 text, instead of secret."},
};
const struct schema_map config_key_map = {ROWS(key_rows), .has_position = true, .check = config_check_key};

static const struct schema_row transfer_rows[] = {
    {.key = "allow",
     .kind = SCHEMA_NETWORK,
     MANY(struct config_zone, transfer_allow, transfer_allow_count),
     .list_most = 1000,
     .standard_help = "none, or any where keys are given",
     .help = "Networks of clients that may transfer the zone."},
    {.key = "keys",
     .kind = SCHEMA_CUSTOM,
     MANY(struct config_zone, transfer_keys, transfer_key_count),
     .read = config_read_key,
     .type_help = "name of a key",
     .list_most = 100,
     .standard_help = "none",
     .help = "Keys one of which must sign the request."},
    {.key = "balanced",
     .kind = SCHEMA_WORD,
     ONE(struct config_zone, transfer_balanced),
     .words = balanced_policies,
     .standard = "omit",
     .help = "Balanced names in a transfer: left out, or with the addresses of all members."},
};
static const struct schema_map transfer_map = {ROWS(transfer_rows)};

static const struct schema_row zone_rows[] = {
    {.key = "name",
     .kind = SCHEMA_DOMAIN,
     ONE(struct config_zone, name),
     .allowed = DOMAIN_ROOT,
     .standard_help = "required, unless directory is given",
     .help = "Name of a zone that is answered with authority."},
    {.key = "file",
     .kind = SCHEMA_PATH,
     ONE(struct config_zone, file),
     .standard_help = "required for a zone without primaries; of one with them state/secondary/NAME.zone",
     .help = "Master file of the zone (RFC 1035); of a secondary zone: where its last copy is kept."},
    {.key = "directory",
     .kind = SCHEMA_CUSTOM,
     .read = config_read_directory,
     .type_help = "path",
     .standard_help = "none",
     .help =
         "Instead of name and file: each file NAME.zone in this directory is the zone NAME; the other keys hold for "
         "all of them."},
    {.key = "primaries",
     .kind = SCHEMA_CUSTOM,
     MANY(struct config_zone, primaries, primary_count),
     .read = config_read_name_server,
     .type_help = "IP address or address@port",
     .list_least = 1,
     .list_most = CONFIG_PEERS_MOST,
     .standard_help = "none",
     .help = "Servers that the zone is transferred from, tried in this order; the port is 53 unless given."},
    {.key = "primary_key",
     .kind = SCHEMA_CUSTOM,
     ONE(struct config_zone, primary_key),
     .read = config_read_key,
     .type_help = "name of a key",
     .standard_help = "none",
     .help = "Key that signs requests to the primaries and that their notices must be signed with."},
    {.key = "transfer", .kind = SCHEMA_MAP, .map = &transfer_map, .help = "Who may transfer the zone."},
    {.key = "notify",
     .kind = SCHEMA_CUSTOM,
     MANY(struct config_zone, notify, notify_count),
     .read = config_read_name_server,
     .type_help = "IP address or address@port",
     .list_most = CONFIG_PEERS_MOST,
     .standard_help = "none",
     .help = "Servers that are told of each change of the zone (RFC 1996); the port is 53 unless given."},
    {.key = "notify_key",
     .kind = SCHEMA_CUSTOM,
     ONE(struct config_zone, notify_key),
     .read = config_read_key,
     .type_help = "name of a key",
     .standard_help = "none",
     .help = "Key that signs these notices."},
    {.key = "serial",
     .kind = SCHEMA_WORD,
     ONE(struct config_zone, serial),
     .words = serial_policies,
     .standard = "file",
     .help = "Serial number of the SOA: the file's, or the time of loading where that is greater."},
    {.key = "register",
     .kind = SCHEMA_BOOL,
     ONE(struct config_zone, has_register),
     .standard_help = "true where a service of the zone has accept and control has a listener",
     .help = "Whether _gslb-register._tcp.NAME tells resources where to register."},
    {.key = "browse",
     .kind = SCHEMA_BOOL,
     ONE(struct config_zone, has_browse),
     .standard_help = "true where a service of the zone has accept",
     .help = "Whether services and their members can be browsed by DNS-SD (RFC 6763) under the zone."},
};
const struct schema_map config_zone_map = {ROWS(zone_rows), .has_position = true, .check = config_check_zone};
