/* query: the questions an output may ask about the components' tables. */
#include <math.h>
#include <stdlib.h>

#include "base/ice.h"
#include "model/term.h"
#include "oracle/world.h"

static Component *component_of(World *w, uint32_t copy) {
  return &w->components[w->units.at[w->copies.at[copy].unit].component];
}

/* ---- marginals: a table over some of its copies -------------------------------------------------------- */

typedef struct Cell { const int64_t *key; uint32_t width; double log_w; } Cell;
typedef struct Marginal { Cell *cells; uint64_t n; } Marginal;

static int compare_keys(const void *a, const void *b) {
  const Cell *x = a, *y = b;
  for (uint32_t k = 0; k < x->width; k++)
    if (x->key[k] != y->key[k]) return x->key[k] < y->key[k] ? -1 : 1;
  return 0;
}

/* Sums each run of equal keys into its first cell. */
static void merge_runs(World *w, Marginal *m) {
  double *part = NEW_ARRAY(w->scratch, double, m->n);
  uint64_t out = 0;
  for (uint64_t k = 0, n; k < m->n; k += n) {
    for (n = 0; k + n < m->n && compare_keys(&m->cells[k], &m->cells[k + n]) == 0; n++) part[n] = m->cells[k + n].log_w;
    m->cells[out] = m->cells[k];
    m->cells[out++].log_w = oracle_log_sum_exp(part, n);
  }
  m->n = out;
}

/* Columns of the table that `copies` (sorted, all of one component) names; on scratch. */
static Marginal marginal(World *w, const Component *c, const Table *t, const uint32_t *copies, uint32_t n) {
  Marginal m = {NEW_ARRAY(w->scratch, Cell, t->n), t->n};
  int64_t *keys = NEW_ARRAY(w->scratch, int64_t, t->n * n);
  for (uint64_t row = 0; row < t->n; row++) {
    for (uint32_t k = 0, column = 0; k < n; k++) {
      while (c->copies[column] != copies[k]) column++;
      keys[row * n + k] = t->values[row * t->width + column];
    }
    m.cells[row] = (Cell){keys + row * n, n, t->log_w[row]};
  }
  qsort(m.cells, m.n, sizeof *m.cells, compare_keys);
  merge_runs(w, &m);
  return m;
}

/* ---- sets of copies ---------------------------------------------------------------------------------------- */

typedef struct CopyList { VEC(uint32_t) copies; } CopyList;

static int compare_numbers(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static bool has_copy(const CopyList *l, uint32_t copy) {
  for (uint32_t k = 0; k < l->copies.n; k++)
    if (l->copies.at[k] == copy) return true;
  return false;
}

static void add_set(World *w, const CopySet *set, CopyList *list) {
  int64_t at[MAX_RANK];
  uint32_t id = set->edge->id;
  for (uint32_t k = 0; k < set->fixed.n; k++) at[k] = world_int(w, set->fixed.at[k]);
  for (uint32_t c = w->edge_first[id]; c < w->edge_first[id + 1]; c++) {
    bool fits = set->fixed.n == 0 || memcmp(w->copies.at[c].at, at, set->fixed.n * sizeof *at) == 0;
    if (fits && !has_copy(list, c)) vec_push(w->scratch, &list->copies, c);
  }
  if (set->fixed.n == edge_rank(set->edge) && !list->copies.n)
    world_fault(w, set->span, "there is no such copy of '%s'", sym_text(w->model->names, set->edge->name));
}

/* Sums f over the components that the query names, each with the named copies it holds. */
typedef double PartQuery(World *w, Component *c, const uint32_t *copies, uint32_t n);

static double for_components(World *w, const Term *t, PartQuery *f, bool product) {
  ArenaMark mark = arena_mark(w->scratch);
  CopyList list = {{NULL, 0, 0}};
  for (uint32_t k = 0; k < t->copies.n; k++) add_set(w, &t->copies.at[k], &list);
  uint32_t *part = NEW_ARRAY(w->scratch, uint32_t, list.copies.n);
  if (list.copies.n) qsort(list.copies.at, list.copies.n, sizeof *list.copies.at, compare_numbers);
  double total = product;
  for (uint32_t i = 0; i < w->n_components && !w->failed; i++) {
    uint32_t n = 0;
    for (uint32_t k = 0; k < list.copies.n; k++)
      if (component_of(w, list.copies.at[k]) == &w->components[i]) part[n++] = list.copies.at[k];
    if (!n) continue;
    double x = f(w, &w->components[i], part, n);
    total = product ? total * x : total + x;
  }
  arena_release(w->scratch, mark);
  return total;
}

/* ---- entropy, kl, count --------------------------------------------------------------------------------------- */

static double entropy_part(World *w, Component *c, const uint32_t *copies, uint32_t n) {
  if (isnan(c->table->log_z)) return NAN;
  Marginal m = marginal(w, c, c->table, copies, n);
  long double h = 0;
  for (uint64_t k = 0; k < m.n; k++) {
    double log_p = m.cells[k].log_w - c->table->log_z;
    h -= expl(log_p) * (long double)log_p;
  }
  return (double)h;
}

static double kl_part(World *w, Component *c, const uint32_t *copies, uint32_t n) {
  if (isnan(c->table->log_z)) return NAN;
  if (!c->table->n) return 0; /* whatever its prior is */
  if (c->lost_prior) return NAN;
  if (!c->prior) c->prior = component_enumerate(w, c, WITH_PRIOR, NULL);
  if (w->failed || isnan(c->prior->log_z)) return NAN;
  Marginal post = marginal(w, c, c->table, copies, n), prior = marginal(w, c, c->prior, copies, n);
  long double kl = 0;
  for (uint64_t k = 0, j = 0; k < post.n; k++) {
    while (j < prior.n && compare_keys(&prior.cells[j], &post.cells[k]) != 0) j++;
    if (j == prior.n) ICE("a value with posterior weight has no prior");
    double log_p = post.cells[k].log_w - c->table->log_z;
    kl += expl(log_p) * ((long double)log_p - prior.cells[j].log_w);
  }
  return (double)kl;
}

static double count_part(World *w, Component *c, const uint32_t *copies, uint32_t n) {
  if (!c->free) c->free = component_enumerate(w, c, WITH_REQUIRE, NULL);
  return w->failed ? 0 : (double)marginal(w, c, c->free, copies, n).n;
}

/* Of one copy of a plain edge: its support, whatever it is joined to. */
static double count_support(World *w, const CopySet *set) {
  int64_t at[MAX_RANK];
  for (uint32_t k = 0; k < set->fixed.n; k++) at[k] = world_int(w, set->fixed.at[k]);
  uint32_t copy = registry_find(&w->copy_ids, set->edge->id, set->fixed.n, at);
  if (copy == NOT_FOUND) {
    world_fault(w, set->span, "there is no such copy of '%s'", sym_text(w->model->names, set->edge->name));
    return 0;
  }
  Unit *u = &w->units.at[w->copies.at[copy].unit];
  Support s = unit_support(w, u);
  double count = (double)support_count(w, u, &s);
  if (w->need != NEED_NOTHING) w->unjudged = true; /* the support is a matter of other edges */
  w->need = NEED_NOTHING;
  return count;
}

/* Does it name no copies but those of the set?  Of two indices one that runs over copies is no difference. */
static bool names_those_of(World *w, const Term *t, const CopySet *set, const int64_t *fixed, IndexVec *inside) {
  bool same = true;
  for (uint32_t k = 0; t->kind == TERM_EDGE && t->edge == set->edge && k < set->fixed.n; k++) {
    bool runs = false;
    for (uint32_t i = 0; i < inside->n; i++) runs |= term_mentions_index(t->args.at[k], inside->at[i]);
    same &= runs || world_int(w, t->args.at[k]) == fixed[k];
  }
  uint32_t n = inside->n;
  if (t->kind == TERM_REDUCE) vec_push(w->scratch, inside, t->index);
  for (uint32_t k = 0; k < t->args.n; k++) same &= names_those_of(w, t->args.at[k], set, fixed, inside);
  inside->n = n;
  return same;
}

/* Do all requires hold that are about copies of the set, and name none since there are none of those? */
static bool admits_none_of(World *w, const CopySet *set) {
  int64_t fixed[MAX_RANK];
  for (uint32_t k = 0; k < set->fixed.n; k++) fixed[k] = world_int(w, set->fixed.at[k]);
  for (uint32_t k = 0; k < w->factors.n; k++) {
    const Factor *f = &w->factors.at[k];
    if (f->component != NO_COMPONENT || f->weight->kind != WEIGHT_REQUIRE) continue;
    if (!term_mentions_edge(f->weight->value, set->edge)) continue;
    IndexVec inside = {NULL, 0, 0};
    world_bind(w, &f->weight->plates, f->at);
    if (names_those_of(w, f->weight->value, set, fixed, &inside) && factor_expected_log_w(w, f) == -INFINITY)
      return false;
  }
  return true;
}

static double query_count(World *w, const Term *t) {
  const CopySet *first = &t->copies.at[0];
  if (t->copies.n == 1 && !edge_is_structured(first->edge) && first->fixed.n == first->edge->plates.n)
    return count_support(w, first);
  int64_t *index = w->index; /* of the query; those of weights are bound beside it */
  double count = for_components(w, t, count_part, true);
  w->index = NEW_ARRAY(w->scratch, int64_t, w->model->index_count);
  for (uint32_t k = 0; k < t->copies.n && count; k++) {
    memcpy(w->index, index, w->model->index_count * sizeof *index);
    if (!admits_none_of(w, &t->copies.at[k])) count = 0;
  }
  w->index = index;
  return count;
}

/* ---- mode -------------------------------------------------------------------------------------------------------- */

static int64_t query_mode(World *w, const Term *ref) {
  int64_t at[MAX_RANK];
  for (uint32_t k = 0; k < ref->args.n; k++) at[k] = world_int(w, ref->args.at[k]);
  uint32_t copy = registry_find(&w->copy_ids, ref->edge->id, ref->args.n, at);
  if (copy == NOT_FOUND) {
    world_fault(w, ref->span, "there is no such copy of '%s'", sym_text(w->model->names, ref->edge->name));
    return -1;
  }
  const Component *c = component_of(w, copy);
  if (!c->table->n || isnan(c->table->log_z)) return -1;
  uint64_t row = component_table_mode(c->table);
  for (uint32_t k = 0; k < c->n_copies; k++)
    if (c->copies[k] == copy && c->table->values[row * c->n_copies + k] != NONE_VALUE)
      return c->table->values[row * c->n_copies + k];
  return -1;
}

/* ---- logZ -------------------------------------------------------------------------------------------------------- */

/* Whether something standing in `plates` at `at` lies inside the plates of the query, at their values. */
static bool is_inside(const World *w, const IndexVec *plates, const int64_t *at) {
  for (uint32_t k = 0; w->plates && k < w->plates->n; k++) {
    bool found = false;
    for (uint32_t i = 0; i < plates->n; i++)
      found = found || (plates->at[i] == w->plates->at[k] && at[i] == w->query_at[k]);
    if (!found) return false;
  }
  return true;
}

static bool copy_is_inside(const World *w, uint32_t copy) {
  return is_inside(w, &w->copies.at[copy].edge->plates, w->copies.at[copy].at);
}

static void partly_outside(World *w, const Term *t, const Component *c) {
  uint32_t k = 0;
  while (copy_is_inside(w, c->copies[k])) k++;
  const Copy *out = &w->copies.at[c->copies[k]];
  world_fault(w, t->span,
              "this evidence is of the plates it stands in, but a copy of '%s' outside them is joined to copies "
              "inside",
              sym_text(w->model->names, out->edge->name));
}

static double component_evidence(World *w, const Term *t, const Snapshot *then) {
  double total = 0;
  for (uint32_t k = 0; k < w->n_components; k++) {
    const Component *c = &w->components[k];
    uint32_t inside = 0;
    for (uint32_t i = 0; i < c->n_copies; i++) inside += copy_is_inside(w, c->copies[i]);
    if (inside && inside < c->n_copies) partly_outside(w, t, c);
    if (inside == c->n_copies) total = oracle_add_log(total, then ? then->component[k] : component_log_z(c));
  }
  return total;
}

static double free_factors(World *w, const Snapshot *then) {
  double total = 0;
  for (uint32_t k = 0; k < w->factors.n; k++) {
    const Factor *f = &w->factors.at[k];
    if (f->component == NO_COMPONENT && is_inside(w, &f->weight->plates, f->at))
      total = oracle_add_log(total, then ? then->factor[k] : factor_expected_log_w(w, f));
  }
  return total;
}

static double entropies_of_q(World *w, const Snapshot *then) {
  double total = 0;
  for (uint32_t k = 0; then && k < latent_block_count(w); k++) {
    const LatentPlace *p = latent_block_place(w, k);
    if (is_inside(w, &p->latent->plates, p->at)) total += then->block[k];
  }
  return total;
}

double world_evidence(World *w, const Term *t, const Snapshot *then) {
  int64_t at[MAX_RANK];
  for (uint32_t k = 0; w->plates && k < w->plates->n; k++) at[k] = w->index[w->plates->at[k]->id];
  const int64_t *saved = w->query_at;
  w->query_at = at;
  double total = component_evidence(w, t, then);
  total = oracle_add_log(total, free_factors(w, then));
  total = oracle_add_log(total, entropies_of_q(w, then));
  w->query_at = saved;
  return total;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static Val number(const Term *t, double x) {
  return t->type == TYPE_REAL ? (Val){0, x} : (Val){isnan(x) ? 0 : (int64_t)x, 0};
}

/* Supports and factors bind the plates of other copies: the indices of the query come back after it. */
static Val answer(World *w, const Term *t) {
  switch (t->query) {
  case QUERY_E: case QUERY_P: return number(t, world_expect(w, t->args.at[0]));
  case QUERY_MODE: return (Val){query_mode(w, t->args.at[0]), 0};
  case QUERY_SAMPLE: w->unjudged = true; return (Val){-1, 0};
  case QUERY_ENTROPY: return number(t, for_components(w, t, entropy_part, false));
  case QUERY_KL: return number(t, for_components(w, t, kl_part, false));
  case QUERY_COUNT: return number(t, query_count(w, t));
  case QUERY_LOGZ: return number(t, world_evidence(w, t, NULL));
  case QUERY_ELBO: case QUERY_PARAM: return number(t, latent_query(w, t));
  case QUERY_SHARE: break;
  }
  ICE("unknown query");
}

/* What an evaluation around it has chosen, or asked for, is no matter of the query. */
Val world_query(World *w, const Term *t) {
  ArenaMark mark = arena_mark(w->scratch);
  uint32_t n = w->model->index_count;
  int64_t *saved = NEW_ARRAY(w->scratch, int64_t, n), *chosen = w->value, need = w->need;
  memcpy(saved, w->index, n * sizeof *saved);
  w->value = NEW_ARRAY(w->scratch, int64_t, w->copies.n + 1);
  for (uint32_t i = 0; i < w->copies.n; i++) w->value[i] = UNKNOWN_VALUE;
  w->need = NEED_NOTHING;
  Touched touched = latent_touch_save(w);
  Val v = answer(w, t);
  latent_touch_restore(w, &touched);
  w->need = need;
  w->value = chosen;
  memcpy(w->index, saved, n * sizeof *saved);
  arena_release(w->scratch, mark);
  return v;
}
