/* tests/unit/probes/sources_scene.h
 * Sources of two services on a loop of their own, with peers that answer, and what they leave in the live store. */
#ifndef GSLB_TESTS_UNIT_PROBES_SOURCES_SCENE_H
#define GSLB_TESTS_UNIT_PROBES_SOURCES_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gslb/base/clock.h"
#include "gslb/model/channel.h"
#include "gslb/model/registration.h"
#include "probes/sources.h"
#include "tests/unit/model/store_fixture.h"
#include "tests/unit/net/peer.h"

#define WAIT_MS 5000

struct scene {
  struct fixture *fixture; /* its store is the live one */
  struct store *durable;
  struct loop *loop;
  struct probe_tools tools;
  struct child child;
  int supervisor; /* the other end of the child's channel */
  struct figures *figures;
  struct sources *sources;
  struct peer peer, other;
  struct config config;
  struct config_service services[2];
  struct config_member members[2];
  struct addr addresses[2];
  struct config_source source[3];
  struct config_load load;
  struct config_load_metric load_metric;
  uint32_t indices[3];
  struct muster *muster;
  bool (*is_done)(struct scene *scene);
  struct loop_timer *look;
  int64_t until_ms;
};

extern struct board *board;
extern struct board_bell bell;
extern struct metrics_record record; /* that stored and measure saw last */

int make_board(void **state);
int set_up(void **state);
int tear_down(void **state);
void run_until(struct scene *scene, bool (*is_done)(struct scene *scene));
bool nothing_runs(struct scene *scene);
bool is_asked(struct scene *scene);
void listen_with(struct scene *scene, const char *answer);

#define HTTP(body) "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" body

void take_config(struct scene *scene);
void measure(struct scene *scene, const char *service, const char *member, size_t readers);
bool stored(struct scene *scene, enum store_db db, const char *service, const char *member);
double figure(const char *name);
int count_marks(struct scene *scene, uint64_t *sequence);

#endif
