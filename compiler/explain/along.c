/* along: see along.h. */
#include "explain/along.h"

#include "model/term.h"

static const char *name(const Facts *f, Sym s) { return sym_text(f->m->names, s); }

static const char *times(const Facts *f, const char *a, const char *b) {
  return !*a ? b : arena_printf(f->arena, "%s * %s", a, b);
}

static bool is_counter(const Component *c, Lagged v) { return v.at >= c->edges.n; }

static const char *copy_text(const Facts *f, const Component *c, Lagged v) {
  const char *step = name(f, c->plates.at[c->chain->step]->name);
  if (is_counter(c, v)) return arena_printf(f->arena, "the count %s", v.lag ? "before" : "after");
  const char *text = name(f, c->edges.at[v.at]->name), *at = "";
  for (uint32_t k = 0; k < c->plates.n; k++) {
    const char *own = name(f, c->plates.at[k]->name);
    if (k == c->chain->step && v.lag) own = arena_printf(f->arena, "%s - %u", step, v.lag);
    at = arena_printf(f->arena, "%s%s%s", at, k ? ", " : "", own);
  }
  return arena_printf(f->arena, "%s[%s]", text, at);
}

/* The rows of tables where data end the plate. */
static const char *rows_text(const Facts *f, const Component *c) {
  const char *text = room_text(f, &c->chain->room);
  const Term *lo = c->plates.at[c->chain->step]->range.lo;
  bool from_zero = (lo->kind == TERM_INT && lo->integer == 0) || !term_is_of_sizes(lo); /* at least 0 */
  return from_zero ? text : arena_printf(f->arena, "(%s - %s)", text, plain_text(f, lo, NULL));
}

static const char *steps_text(const Facts *f, const Component *c) {
  const Range *r = &c->plates.at[c->chain->step]->range;
  const char *text = range_text(f, r);
  if (c->chain->room.n) return rows_text(f, c);
  if (r->kind == RANGE_ROW) return arena_printf(f->arena, "|%s|", text);
  return r->lo->kind == TERM_INT && r->lo->integer == 0 ? text : arena_printf(f->arena, "|%s|", text);
}

static const char *number_of_values(const Facts *f, const Component *c, Lagged v) {
  if (is_counter(c, v)) {
    const Counter *k = c->chain->counters.at[v.at - c->edges.n];
    const char *limit = k->limit ? plain_text(f, k->limit, NULL) : steps_text(f, c);
    if (k->most && !k->limit) limit = arena_printf(f->arena, "%s * (%s)", limit, plain_text(f, k->most, NULL));
    return arena_printf(f->arena, "(%s + 1)", limit);
  }
  const Edge *e = c->edges.at[v.at];
  const char *n = e->domain == DOMAIN_BIT ? "2" : range_text(f, &e->range);
  bool interval = e->domain == DOMAIN_RANGE && e->range.lo->kind != TERM_INT;
  if (interval || (e->domain == DOMAIN_RANGE && e->range.lo->integer)) n = arena_printf(f->arena, "|%s|", n);
  return e->or_none ? arena_printf(f->arena, "(%s + 1)", n) : n;
}

/* Of the chain that a question has, its share names the first of the weights that are not the model's. */
typedef struct Asking { const Component *c; uint32_t first; } Asking;

static void see_share(const Term *t, void *context) {
  Asking *a = context;
  bool here = t->kind == TERM_QUERY && t->query == QUERY_SHARE && component_place(a->c, t->args.at[0]->edge) >= 0;
  if (here) a->first = (uint32_t)t->args.at[2]->integer;
}

static uint32_t first_asked(const Plan *plan, const Component *c) {
  Asking a = {c, plan->model->weights.n};
  for (uint32_t i = 0; i < plan->model->outs.n; i++) term_walk(plan->model->outs.at[i]->value, see_share, &a);
  return a.first;
}

static bool weighs_copies_of(const Component *c, const Weight *w) {
  const Term *ref = w->value ? term_find(w->value, TERM_EDGE) : NULL;
  return ref && component_place(c, ref->edge) >= 0;
}

Along along_of(const Facts *f, const Component *c) {
  const Chain *ch = c->chain;
  Along a = {.work = "", .kept = ""};
  const Index *step = c->plates.at[ch->step];
  a.step = arena_printf(f->arena, "%s in %s", name(f, step->name), range_text(f, &step->range));
  for (uint32_t k = 0; k < c->plates.n; k++)
    if (k != ch->step) vec_push(f->arena, &a.beside, c->plates.at[k]);
  for (uint32_t k = 0; k < ch->clique.n; k++) {
    Lagged v = ch->clique.at[k];
    bool in_state = v.lag < ch->reach[v.at];
    vec_push(f->arena, &a.joined, copy_text(f, c, v));
    if (in_state) vec_push(f->arena, &a.state, copy_text(f, c, v));
    if (in_state) a.kept = times(f, a.kept, number_of_values(f, c, v));
    if (!is_counter(c, v) || v.lag)
      a.work = times(f, a.work, number_of_values(f, c, v)); /* one count follows from the other */
  }
  for (uint32_t k = 0; k < ch->counters.n; k++) {
    const Counter *counter = ch->counters.at[k];
    const char *limit = counter->limit ? plain_text(f, counter->limit, NULL) : NULL;
    const char *how =
        !limit ? ""
               : arena_printf(f->arena, counter->saturates ? ", from %s on all one" : ", no further than %s", limit);
    vec_push(f->arena, &a.counts, arena_printf(f->arena, "%s%s", plain_text(f, counter->sum, NULL), how));
  }
  const Plan *plan = f->plan;
  for (uint32_t i = first_asked(plan, c); i < plan->model->weights.n; i++)
    if (weighs_copies_of(c, plan->model->weights.at[i]))
      vec_push(f->arena, &a.asked, weight_text(f, plan->model->weights.at[i]));
  a.work = arena_printf(f->arena, "%s * %s", steps_text(f, c), a.work);
  a.kept = arena_printf(f->arena, "(%s + 1) * %s", steps_text(f, c), a.kept);
  return a;
}
