#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "gslb/admin/assets.h"
#include "gslb/admin/routes.h"
#include "gslb/base/memory.h"

#define PLACE "/v1/openapi.json"

static int setup(void **state) {
  const struct asset *asset = assets_find(PLACE);
  assert_non_null(asset);
  json_error_t where;
  json_t *document = json_loadb(asset->data, asset->size, JSON_REJECT_DUPLICATES, &where);
  if (!document)
    fail_msg("%d:%d: %s", where.line, where.column, where.text);
  *state = document;
  return 0;
}

static int teardown(void **state) {
  json_decref(*state);
  return 0;
}

/* "PUT /v1/resources/x" with an x for each part that varies, be it "*", "**" or "{id}"; free() it. */
static char *plain(const char *method, const char *path) {
  char *text = mem_format("%s %s", method, path), *to = text;
  for (const char *from = text; *from;) {
    size_t size = *from == '*' ? strspn(from, "*") : *from == '{' ? strcspn(from, "}") + 1 : 0;
    *to++ = size ? 'x' : *from;
    from += size ? size : 1;
  }
  *to = '\0';
  return text;
}

static void add_route(void *context, const char *method, const char *pattern) {
  char *text = plain(method, pattern);
  json_object_set_new(context, text, json_true());
  free(text);
}

static json_t *served(void) {
  json_t *routes = json_object();
  routes_each(add_route, routes);
  json_object_set_new(routes, "GET " PLACE, json_true());
  return routes;
}

typedef void visit_operation(void *context, const char *path, const char *method, const json_t *operation);

static void each_operation(const json_t *document, visit_operation *visit, void *context) {
  static const char *const methods[] = {"get", "put", "post", "patch", "delete"};
  const char *path;
  json_t *item;
  json_object_foreach(json_object_get(document, "paths"), path, item) for (size_t i = 0;
                                                                           i < sizeof methods / sizeof *methods;
                                                                           i++) if (json_object_get(item, methods[i]))
      visit(context, path, methods[i], json_object_get(item, methods[i]));
}

static void add_described(void *context, const char *path, const char *method, const json_t *operation) {
  (void)operation;
  char upper[8];
  size_t length = strlen(method);
  for (size_t i = 0; i <= length; i++)
    upper[i] = method[i] >= 'a' && method[i] <= 'z' ? (char)(method[i] - 'a' + 'A') : method[i];
  char *text = plain(upper, path);
  json_object_set_new(context, text, json_true());
  free(text);
}

static void every_route_is_described_and_nothing_else(void **state) {
  json_t *routes = served(), *described = json_object();
  const char *key;
  json_t *value;
  each_operation(*state, add_described, described);
  json_object_foreach(routes, key, value) if (!json_object_get(described, key)) fail_msg("not described: %s", key);
  json_object_foreach(described, key, value) if (!json_object_get(routes, key)) fail_msg("not served: %s", key);
  json_decref(routes);
  json_decref(described);
}

static const json_t *resolve(const json_t *document, const char *reference) {
  char *pointer = mem_strdup(reference), *rest = NULL;
  assert_int_equal(strncmp(pointer, "#/", 2), 0);
  for (char *part = strtok_r(pointer + 2, "/", &rest); part && document; part = strtok_r(NULL, "/", &rest))
    document = json_object_get(document, part);
  free(pointer);
  return document;
}

static void check_references(const json_t *document, const json_t *value) {
  const char *key, *reference = json_string_value(json_object_get(value, "$ref"));
  json_t *inner;
  size_t index;
  if (reference && !resolve(document, reference))
    fail_msg("nothing stands at %s", reference);
  json_object_foreach((json_t *)(uintptr_t)value, key, inner) check_references(document, inner);
  json_array_foreach(value, index, inner) check_references(document, inner);
}

static void every_reference_leads_somewhere(void **state) {
  check_references(*state, *state);
}

static void check_operation(void *context, const char *path, const char *method, const json_t *operation) {
  json_t *names = context;
  const char *name = json_string_value(json_object_get(operation, "operationId"));
  if (!name || json_object_get(names, name))
    fail_msg("%s %s: no name of its own", method, path);
  json_object_set_new(names, name, json_true());
  if (!json_is_array(json_object_get(operation, "security")) ||
      !json_object_size(json_object_get(operation, "responses")))
    fail_msg("%s %s: security or responses are missing", method, path);
}

static void every_operation_has_a_name_its_security_and_its_answers(void **state) {
  json_t *names = json_object();
  each_operation(*state, check_operation, names);
  json_decref(names);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_route_is_described_and_nothing_else),
      cmocka_unit_test(every_reference_leads_somewhere),
      cmocka_unit_test(every_operation_has_a_name_its_security_and_its_answers),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
