/* tests/fuzz/config_fuzz.c
 * Feeds any bytes to the configuration parser: it must end, in bounded memory, with a configuration or with problems,
 * each with a text, never with both or neither. */
#include "gslb/model/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct problems problems = {0};
  struct config *config = config_parse("/etc/gslb/gslb.yaml", (const char *)data, size, &problems);
  if ((config != NULL) == (problems.count != 0))
    abort();
  for (size_t i = 0; i < problems.count; i++)
    if (!problems.items[i].text[0] || problems.items[i].line < 1 || problems.items[i].column < 1)
      abort();
  for (size_t i = 0; config && i < config->service_count; i++) {
    const struct config_service *service = &config->services[i];
    if (service->pattern != CONFIG_NO_PATTERN) { /* a vacancy */
      if (*service->name || service->member_count || !config_service_is_pattern(&config->services[service->pattern]))
        abort();
      continue;
    }
    if (config_find_service(config, service->name) != i || service->zone >= config->zone_count)
      abort();
    for (size_t m = 0; m < service->member_count; m++)
      if (config_find_member(service, service->members[m].name) != m)
        abort();
  }
  free(problems_format(&problems));
  problems_release(&problems);
  config_free(config);
  return 0;
}
