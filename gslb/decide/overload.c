#include "gslb/decide/overload.h"

#include "gslb/decide/response.h"
#include "gslb/model/facts_figures.h"

#define LOOK_EVERY_MS 1000

static void note_fading(const struct member_facts *facts, const struct load_figure *figure, int64_t now_ms,
                        struct evaluation *evaluation) {
  for (size_t i = 0; i < figure->term_count; i++) {
    const struct load_term *term = &figure->terms[i];
    if (!overload_is_told(term))
      continue;
    const struct metrics_record *record = facts->metrics[term->source];
    int64_t at_ms = load_fades_ms(record->at_ms, record->interval_ms, now_ms);
    if (at_ms < now_ms + LOOK_EVERY_MS)
      at_ms = now_ms + LOOK_EVERY_MS;
    if (at_ms < evaluation->valid_until_ms)
      evaluation->valid_until_ms = at_ms;
  }
}

void overload_judge(const struct config *config, const struct service_facts *facts, int64_t now_ms, struct arena *arena,
                    struct evaluation *evaluation) {
  const struct config_load *load = facts_figures_load(config, facts->service);
  struct load_figure *figures;
  if (!load)
    return;
  const struct service_facts *seen = response_add(config, load, facts, arena);
  load_evaluate(load, seen, now_ms, arena, &figures);
  evaluation->figures = figures;
  for (size_t i = 0; i < facts->service->member_count; i++) {
    struct member_state *member = &evaluation->members[i];
    member->has_load = figures[i].has_load;
    member->load = figures[i].load;
    member->headroom = !member->has_load || !(member->load > 0.0) ? 1.0 : member->load < 1.0 ? 1.0 - member->load : 0.0;
    member->is_over = figures[i].is_over && load->rule != THRESHOLD_PREFER;
    member->is_less_preferred = figures[i].is_over && load->rule == THRESHOLD_PREFER;
    if (member->is_less_preferred)
      member->headroom = 0.0;
    note_fading(&seen->members[i], &figures[i], now_ms, evaluation);
  }
}

struct supply { /* what the members that are not over can be answered with */
  bool has_member, has_ipv4, has_ipv6, has_port;
};

static bool has_family(const struct supply *supply, uint8_t family) {
  return family == 4 ? supply->has_ipv4 : supply->has_ipv6;
}

static struct supply supply_of(const struct service_facts *facts, const struct evaluation *evaluation) {
  struct supply supply = {0};
  for (size_t i = 0; i < facts->service->member_count; i++) {
    const struct config_member *configured = &facts->service->members[i];
    const struct member_state *member = &evaluation->members[i];
    if (!member->is_answered || member->is_over)
      continue;
    supply.has_member = true;
    supply.has_port |= configured->srv_port != 0;
    for (size_t a = 0; a < configured->address_count; a++) {
      supply.has_ipv4 |= member->addresses[a].is_answered && configured->addresses[a].family == 4;
      supply.has_ipv6 |= member->addresses[a].is_answered && configured->addresses[a].family == 6;
    }
  }
  return supply;
}

static void leave_out(const struct config_service *service, size_t index, const struct supply *supply,
                      struct member_state *member) {
  const struct config_member *configured = &service->members[index];
  bool is_needed = configured->srv_port != 0 && service->srv && !supply->has_port;
  for (size_t a = 0; a < configured->address_count; a++) {
    struct address_state *address = &member->addresses[a];
    bool is_scarce = service->answer == ANSWER_ADDRESSES && !has_family(supply, configured->addresses[a].family);
    address->is_left_out = address->is_answered && !is_scarce;
    is_needed |= address->is_answered && is_scarce;
  }
  for (size_t a = 0; a < configured->address_count; a++)
    member->addresses[a].is_answered &= !member->addresses[a].is_left_out;
  member->is_answered = is_needed;
}

void overload_leave_out(const struct service_facts *facts, struct evaluation *evaluation) {
  struct supply supply = supply_of(facts, evaluation);
  if (!supply.has_member)
    return;
  for (size_t i = 0; i < facts->service->member_count; i++) {
    struct member_state *member = &evaluation->members[i];
    if (!member->is_answered || !member->is_over)
      continue;
    leave_out(facts->service, i, &supply, member);
    evaluation->answered_members -= !member->is_answered;
  }
}
