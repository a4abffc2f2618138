/* support: the values one unit may take once all earlier declared edges have theirs. */
#include "base/ice.h"
#include "oracle/world.h"

static Support structured_support(World *w, Unit *u) {
  const Edge *e = u->edge;
  int64_t n = world_int(w, e->n), m = e->m ? world_int(w, e->m) : n, *rows = NULL;
  if (!u->rows) {
    if (!oracle_structure_rows(w->arena, e->domain, e->many_roots, e->or_none, m, n, w->limits.max_values, &rows,
                               &u->n_rows))
      world_refuse(w, e->span, "all values of '%s' over %lld nodes are more than the limit of %.3g",
             sym_text(w->model->names, e->name), (long long)n, w->limits.max_values);
    u->rows = rows;
  }
  return (Support){.width = u->n, .rows = u->rows, .n = u->n_rows};
}

/* A later copy of the same edge cannot be known. */
static void only_earlier(World *w, const Unit *u) {
  if (w->need < 0 || w->need <= (int64_t)u->first || w->units.at[w->copies.at[w->need].unit].edge != u->edge) return;
  w->need = NEED_NOTHING;
  world_fault(w, u->edge->where->span, "the support of '%s' depends on a copy that comes after it",
              sym_text(w->model->names, u->edge->name));
}

/* Whether `where` admits the value v of a single copy; its plates are bound. */
static bool admits(World *w, const Unit *u, int64_t v) {
  const Edge *e = u->edge;
  if (!e->where || v == NONE_VALUE) return true;
  int64_t saved = w->value[u->first];
  bool used = w->used_none;
  w->value[u->first] = v;
  bool ok = world_bool(w, e->where);
  only_earlier(w, u);
  w->value[u->first] = saved;
  w->used_none = used; /* `where` is no weight: its uses of none do not make one 1 */
  return ok;
}

Support unit_support(World *w, Unit *u) {
  const Edge *e = u->edge;
  const Copy *c = &w->copies.at[u->first];
  world_bind(w, &e->plates, c->at);
  if (edge_is_structured(e)) return structured_support(w, u);
  Support s = {.copy = c, .or_none = e->or_none, .width = 1};
  bool used = w->used_none;
  if (e->domain == DOMAIN_RANGE) s.range = world_range(w, &e->range);
  else s.range = (Values){NULL, 0, 2};
  w->used_none = used;
  if (e->domain == DOMAIN_BIT && !admits(w, u, 1)) {
    s.range.n = 1;
    s.forced_zero = true;
    s.or_none = false;
  }
  return s;
}

int64_t support_tries(const Support *s) { return s->copy ? s->range.n + (s->or_none ? 1 : 0) : s->n; }

bool support_set(World *w, const Unit *u, const Support *s, int64_t k) {
  if (!s->copy) {
    for (int64_t i = 0; i < s->width; i++) w->value[u->first + i] = s->rows[k * s->width + i];
    return true;
  }
  int64_t v = k < s->range.n ? value_at(&s->range, k) : NONE_VALUE;
  world_bind(w, &u->edge->plates, s->copy->at);
  if (u->edge->domain == DOMAIN_RANGE && !admits(w, u, v)) return false;
  w->value[u->first] = v;
  return true;
}

void support_clear(World *w, const Unit *u) {
  for (uint32_t i = 0; i < u->n; i++) w->value[u->first + i] = UNKNOWN_VALUE;
}

int64_t support_count(World *w, const Unit *u, const Support *s) {
  if (!s->copy) return s->n;
  int64_t count = 0, saved = w->value[u->first];
  for (int64_t k = 0; k < support_tries(s) && world_step(w, u->edge->span); k++) count += support_set(w, u, s, k);
  w->value[u->first] = saved;
  return count;
}
