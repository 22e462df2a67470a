#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gslb/base/object_id.h"
#include "gslb/model/metrics.h"
#include "gslb/model/snmp_tables.h"

static void every_promised_table_is_there(void **state) {
  static const char *const names[] = {"host-resources", "ucd",      "if-mib",         "tcp",
                                      "citrix-adc",     "f5-bigip", "radware-alteon", "cisco-slb"};
  (void)state;
  for (size_t i = 0; i < 8; i++) {
    assert_non_null(snmp_table_find(names[i]));
    assert_ptr_equal(snmp_table_at(i), snmp_table_find(names[i]));
    assert_true(snmp_table_at(i)->count > 0);
  }
  assert_null(snmp_table_find("if"));
  assert_null(snmp_table_at(8));
}

static void assert_name(const char *oid, bool is_needed) {
  struct object_id id;
  if (!oid)
    assert_false(is_needed);
  else
    assert_int_equal(object_id_parse(oid, &id), STATUS_OK);
}

static void rows_are_whole(void **state) {
  (void)state;
  const struct snmp_table *table;
  for (size_t t = 0; (table = snmp_table_at(t)); t++)
    for (size_t r = 0; r < table->count; r++) {
      const struct snmp_row *row = &table->rows[r];
      assert_in_range(strlen(row->name), 1, METRICS_NAME_SIZE / 2);
      assert_name(row->oid, true);
      assert_name(row->over_oid, false);
      assert_name(row->label_oid, false);
      assert_name(row->where_oid, row->pick == SNMP_PICK_WHERE);
      assert_int_equal(row->where_value != NULL, row->pick == SNMP_PICK_WHERE);
      assert_true(!row->label_oid || row->pick == SNMP_PICK_EACH);
      assert_false(row->over_oid && (row->pick == SNMP_PICK_SUM || row->pick == SNMP_PICK_MEAN));
      assert_false(row->is_counter && (row->is_complement || row->over_oid));
      for (size_t other = 0; other < r; other++)
        assert_string_not_equal(row->name, table->rows[other].name);
    }
}

static void objects_end_with_an_instance_and_columns_do_not(void **state) {
  (void)state;
  const struct snmp_table *table;
  for (size_t t = 0; (table = snmp_table_at(t)); t++)
    for (size_t r = 0; r < table->count; r++) {
      const struct snmp_row *row = &table->rows[r];
      size_t length = strlen(row->oid);
      bool is_scalar = length > 2 && strcmp(row->oid + length - 2, ".0") == 0;
      bool is_load = strncmp(row->name, "load_", 5) == 0; /* given rows of laTable */
      assert_int_equal(is_scalar || is_load, row->pick == SNMP_PICK_OBJECT);
    }
}

static void help_names_tables_and_metrics(void **state) {
  (void)state;
  char *help = snmp_tables_help();
  assert_non_null(strstr(help, "f5-bigip"));
  assert_non_null(strstr(help, "mem_utilization"));
  free(help);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_promised_table_is_there),
      cmocka_unit_test(rows_are_whole),
      cmocka_unit_test(objects_end_with_an_instance_and_columns_do_not),
      cmocka_unit_test(help_names_tables_and_metrics),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
