/* eval: what a term is worth at the known indices, copies and latents.
 *
 * `none` follows the rule for queries: the smallest expression that uses it as an index or a number is 0,
 * comparisons other than == and != are false.  `used_none` records that it happened: a weight statement
 * then counts 1 as a whole. */
#include <math.h>
#include <stdarg.h>

#include "base/ice.h"
#include "model/term.h"
#include "oracle/functions.h"
#include "random.h"

/* ---- trouble ---------------------------------------------------------------------------------------- */

static void set_fault(World *w, Span span, const char *text) {
  if (w->failed) return;
  w->failed = true;
  w->fault_span = span;
  w->fault = text;
}

void world_fault(World *w, Span span, const char *fmt, ...) {
  if (w->failed || w->need != NEED_NOTHING) return;
  va_list ap;
  va_start(ap, fmt);
  set_fault(w, span, arena_vprintf(w->arena, fmt, ap));
  va_end(ap);
}

void world_refuse(World *w, Span span, const char *fmt, ...) {
  if (w->refused) return;
  va_list ap;
  va_start(ap, fmt);
  w->failed = false; /* also where an error was only met on the way: the refusal is certain */
  set_fault(w, span, arena_vprintf(w->arena, fmt, ap));
  w->refused = true;
  va_end(ap);
}

bool world_step(World *w, Span span) {
  if (w->refused) return false;
  if (++w->steps <= w->limits.max_steps) return true;
  world_refuse(w, span, "the exact enumeration takes more than %.3g evaluations", w->limits.max_steps);
  return false;
}

bool world_try(World *w, const Term *t, Val *result) {
  bool failed = w->failed, used = w->used_none;
  int64_t need = w->need;
  const char *text = w->fault;
  Span span = w->fault_span;
  w->failed = false;
  w->need = NEED_NOTHING;
  *result = world_eval(w, t);
  bool ok = !w->failed && w->need == NEED_NOTHING;
  w->need = need;
  w->used_none = used;
  if (w->refused) {
    w->failed = true;
    return false;
  }
  w->failed = failed;
  w->fault = text;
  w->fault_span = span;
  return ok;
}

static Val int_val(int64_t i) { return (Val){i, 0}; }
static Val real_val(double r) { return (Val){0, r}; }

static Val none_used(World *w) {
  w->used_none = true;
  return (Val){0, 0};
}

/* ---- references --------------------------------------------------------------------------------------- */

/* Values of the index terms; false where one is none. */
static bool eval_at(World *w, const TermVec *args, int64_t *at) {
  bool whole = true;
  if (args->n > MAX_RANK) {
    world_refuse(w, args->at[0]->span, "%u arguments; the oracle follows at most %d", args->n, MAX_RANK);
    return false;
  }
  for (uint32_t k = 0; k < args->n; k++) {
    at[k] = world_eval(w, args->at[k]).i;
    if (at[k] == NONE_VALUE) whole = false;
  }
  if (!whole) w->used_none = true;
  return whole;
}

static const char *name_of(const World *w, Sym name) { return sym_text(w->model->names, name); }

/* Row-major place of an element; -1 outside. */
static int64_t input_offset(World *w, const Term *t, const BoundInput *b, const int64_t *at) {
  int64_t offset = 0;
  for (uint32_t k = 0; k < t->args.n; k++) {
    if (at[k] < 0 || at[k] >= b->dims[k]) {
      world_fault(w, t->args.at[k]->span, "index %lld of '%s' is out of range 0 .. %lld", (long long)at[k],
            name_of(w, t->input->name), (long long)b->dims[k]);
      return -1;
    }
    offset = offset * b->dims[k] + at[k];
  }
  return offset;
}

static Val eval_input(World *w, const Term *t) {
  int64_t at[MAX_RANK];
  if (!eval_at(w, &t->args, at) || w->need != NEED_NOTHING) return (Val){0, 0};
  const BoundInput *b = &w->bound->inputs[t->input->id];
  int64_t offset = input_offset(w, t, b, at);
  if (offset < 0) return (Val){0, 0};
  return b->integer ? int_val(b->integer[offset]) : real_val(b->real[offset]);
}

static Val eval_let_body(World *w, const Let *let, const int64_t *at) {
  const IndexVec *groups[3] = {&let->plates, &let->own, &let->axes};
  int64_t saved[MAX_RANK];
  uint32_t n = 0;
  for (int g = 0; g < 3; g++)
    for (uint32_t k = 0; k < groups[g]->n; k++, n++) {
      saved[n] = w->index[groups[g]->at[k]->id];
      w->index[groups[g]->at[k]->id] = at[n];
    }
  const IndexVec *plates = w->plates;
  w->plates = &let->plates;
  Val v = world_eval(w, let->value);
  w->plates = plates;
  n = 0;
  for (int g = 0; g < 3; g++)
    for (uint32_t k = 0; k < groups[g]->n; k++, n++) w->index[groups[g]->at[k]->id] = saved[n];
  return v;
}

/* An element of a derived array outside the ranges of its indices does not exist. */
static bool let_in_range(World *w, const Term *t, const int64_t *at) {
  const IndexVec *groups[3] = {&t->let->plates, &t->let->own, &t->let->axes};
  int64_t saved[MAX_RANK];
  uint32_t n = 0, done = 0;
  bool inside = true;
  for (int g = 0; g < 3; g++)
    for (uint32_t k = 0; k < groups[g]->n; k++, n++) {
      Index *x = groups[g]->at[k];
      if (inside) {
        Values v = world_range(w, &x->range);
        bool found = !v.at && at[n] >= v.lo && at[n] < v.lo + v.n;
        for (int64_t j = 0; v.at && j < v.n && !found; j++) found = v.at[j] == at[n];
        if (!found)
          world_fault(w, t->args.at[n]->span, "index %lld of '%s' is out of range %lld .. %lld", (long long)at[n],
                name_of(w, t->let->name), (long long)v.lo, (long long)(v.lo + v.n));
        inside = found;
      }
      saved[n] = w->index[x->id];
      w->index[x->id] = at[n];
    }
  for (int g = 0; g < 3; g++)
    for (uint32_t k = 0; k < groups[g]->n; k++, done++) w->index[groups[g]->at[k]->id] = saved[done];
  return inside;
}

static Val eval_let(World *w, const Term *t) {
  int64_t at[MAX_RANK];
  if (!eval_at(w, &t->args, at) || w->need != NEED_NOTHING) return (Val){0, 0};
  uint32_t known = registry_find(&w->let_ids, t->let->id, t->args.n, at);
  if (known != NOT_FOUND) return w->let_values.at[known];
  if (w->failed || !let_in_range(w, t, at)) return (Val){0, 0};
  bool used = w->used_none;
  Val v = eval_let_body(w, t->let, at);
  w->used_none = used;
  if (w->failed || w->unjudged || w->need != NEED_NOTHING) return v;
  registry_add(w->arena, &w->let_ids, t->let->id, t->args.n, at);
  vec_push(w->arena, &w->let_values, v);
  return v;
}

static Val eval_edge(World *w, const Term *t) {
  int64_t at[MAX_RANK];
  if (!eval_at(w, &t->args, at)) return int_val(NONE_VALUE);
  if (w->need != NEED_NOTHING) return int_val(0);
  uint32_t copy = registry_find(&w->copy_ids, t->edge->id, t->args.n, at);
  if (copy == NOT_FOUND) {
    world_fault(w, t->span, "there is no copy %lld of '%s' (the last index of the reference)",
          t->args.n ? (long long)at[t->args.n - 1] : 0LL, name_of(w, t->edge->name));
    return int_val(0);
  }
  if (w->value[copy] != UNKNOWN_VALUE) return int_val(w->value[copy]);
  w->need = copy;
  return int_val(0);
}

static Val eval_latent(World *w, const Term *t) {
  int64_t at[MAX_RANK];
  if (!eval_at(w, &t->args, at) || w->need != NEED_NOTHING) return real_val(0);
  uint32_t place = registry_find(&w->latent_ids, t->latent->id, t->args.n, at);
  if (place != NOT_FOUND) {
    latent_touch(w, place);
    return real_val(w->z[place]);
  }
  world_fault(w, t->span, "there is no such component of '%s' (index %lld)", name_of(w, t->latent->name),
        t->args.n ? (long long)at[t->args.n - 1] : 0LL);
  return real_val(0);
}

/* ---- operators ---------------------------------------------------------------------------------------- */

/* Also of a real: a conversion is no expression of the source, and passes a none on to the one around it. */
static bool is_none(const Term *t, Val v) { return t->type != TYPE_BOOL && v.i == NONE_VALUE; }

static bool compare(OpKind op, int order, bool unordered) {
  switch ((int)op) {
  case OP_EQ: return !unordered && order == 0;
  case OP_NE: return unordered || order != 0;
  case OP_LT: return !unordered && order < 0;
  case OP_LE: return !unordered && order <= 0;
  case OP_GT: return !unordered && order > 0;
  case OP_GE: return !unordered && order >= 0;
  default: ICE("operator %d is no comparison", (int)op);
  }
}

static Val eval_compare(World *w, const Term *t) {
  const Term *l = t->args.at[0], *r = t->args.at[1];
  Val a = world_eval(w, l), b = world_eval(w, r);
  bool equality = t->op == OP_EQ || t->op == OP_NE;
  if (!equality && (is_none(l, a) || is_none(r, b))) return none_used(w);
  if (l->type != TYPE_REAL) return int_val(compare(t->op, (a.i > b.i) - (a.i < b.i), false));
  return int_val(compare(t->op, (a.r > b.r) - (a.r < b.r), isnan(a.r) || isnan(b.r)));
}

static Val eval_random(World *w, const Term *t) {
  int64_t x[MAX_RANK];
  if (!eval_at(w, &t->args, x)) return real_val(0);
  return real_val(attn_rt_random_uniform(x[0], (int64_t)t->args.n - 1, x + 1));
}

static Val eval_int_op(World *w, const Term *t, const Val *v) {
  int64_t x[3];
  for (uint32_t k = 0; k < t->args.n && k < 3; k++) x[k] = v[k].i;
  if ((t->op == OP_FLOORDIV || t->op == OP_MOD) && x[1] == 0) {
    world_fault(w, t->span, "division by zero");
    return int_val(0);
  }
  return int_val(oracle_int_function(t->op, x));
}

static Val eval_plain_op(World *w, const Term *t) {
  Val v[3] = {{0, 0}};
  double x[3];
  for (uint32_t k = 0; k < t->args.n && k < 3; k++) {
    v[k] = world_eval(w, t->args.at[k]);
    x[k] = v[k].r;
  }
  for (uint32_t k = 0; k < t->args.n && k < 3; k++)
    if (is_none(t->args.at[k], v[k])) return t->op == OP_TO_REAL ? (Val){NONE_VALUE, 0} : none_used(w);
  if (t->op == OP_TO_REAL) return real_val((double)v[0].i);
  if (t->op == OP_FLOOR || t->op == OP_CEIL || t->op == OP_ROUND) return int_val(oracle_real_to_int(t->op, x[0]));
  return t->type == TYPE_REAL ? real_val(oracle_real_function(t->op, x)) : eval_int_op(w, t, v);
}

static Val eval_op(World *w, const Term *t) {
  switch ((int)t->op) {
  case OP_AND: return int_val(world_bool(w, t->args.at[0]) && w->need == NEED_NOTHING && world_bool(w, t->args.at[1]));
  case OP_OR: {
    bool left = world_bool(w, t->args.at[0]);
    return int_val(w->need != NEED_NOTHING || left || world_bool(w, t->args.at[1]));
  }
  case OP_NOT: return int_val(!world_bool(w, t->args.at[0]));
  case OP_EQ: case OP_NE: case OP_LT: case OP_LE: case OP_GT: case OP_GE: return eval_compare(w, t);
  case OP_RANDOM: return eval_random(w, t);
  default: return eval_plain_op(w, t);
  }
}

/* ---- reductions ----------------------------------------------------------------------------------------- */

static Values interval(World *w, const Range *r) {
  Val lo = world_eval(w, r->lo), hi = world_eval(w, r->hi);
  bool none = lo.i == NONE_VALUE || hi.i == NONE_VALUE;
  if (none) w->used_none = true;
  if (none || w->need != NEED_NOTHING || hi.i <= lo.i) return (Values){NULL, none ? 0 : lo.i, 0};
  uint64_t n = (uint64_t)hi.i - (uint64_t)lo.i;
  return (Values){NULL, lo.i, n > INT64_MAX ? INT64_MAX : (int64_t)n};
}

static Values row_values(World *w, const Range *r) {
  Values nothing = {NULL, 0, 0};
  int64_t row = world_eval(w, r->row).i;
  if (w->need != NEED_NOTHING) return nothing;
  if (row == NONE_VALUE) {
    w->used_none = true;
    return nothing;
  }
  const BoundInput *g = &w->bound->inputs[r->graph->id];
  if (row < 0 || row >= g->dims[0]) {
    world_fault(w, r->span, "row %lld of '%s' is out of range 0 .. %lld", (long long)row, name_of(w, r->graph->name),
          (long long)g->dims[0]);
    return nothing;
  }
  return (Values){w->columns[r->graph->id] + g->indptr[row], 0, g->indptr[row + 1] - g->indptr[row]};
}

Values world_range(World *w, const Range *r) {
  return r->kind == RANGE_INTERVAL ? interval(w, r) : row_values(w, r);
}

static Val reduce_start(const Term *t) {
  switch (t->reduce) {
  case REDUCE_SUM: return (Val){0, 0};
  case REDUCE_PROD: return (Val){1, 1};
  case REDUCE_MAX: return (Val){INT64_MIN + 2, -INFINITY};
  case REDUCE_MIN: return (Val){INT64_MAX, INFINITY};
  }
  ICE("unknown reduction");
}

static Val reduce_step(const Term *t, Val a, Val b) {
  static const OpKind ops[] = {OP_ADD, OP_MUL, OP_MAX, OP_MIN};
  OpKind op = ops[t->reduce];
  if (t->type == TYPE_REAL) return real_val(oracle_real_function(op, (double[]){a.r, b.r}));
  return int_val(oracle_int_function(op, (int64_t[]){a.i, b.i}));
}

static bool bound_is_none(World *w, const Range *r) {
  if (r->kind == RANGE_ROW) return is_none(r->row, world_eval(w, r->row));
  return is_none(r->lo, world_eval(w, r->lo)) || is_none(r->hi, world_eval(w, r->hi));
}

/* A reduction over nothing uses the none that its body would: whether a weight counts does not depend on how long a
 * feature vector is. */
void world_note_none_over_nothing(World *w, const Term *t, const Index *x) {
  if (t->kind == TERM_REDUCE || (t->kind == TERM_OP && (t->op == OP_EQ || t->op == OP_NE))) return;
  Val v;
  if (t->kind == TERM_EDGE && !term_mentions_index(t, x) && world_try(w, t, &v) && is_none(t, v)) w->used_none = true;
  for (uint32_t i = 0; i < t->args.n; i++) world_note_none_over_nothing(w, t->args.at[i], x);
}

static Val eval_reduce(World *w, const Term *t) {
  Index *x = t->index;
  int64_t saved = w->index[x->id];
  Values v = world_range(w, &x->range);
  if (!v.n && bound_is_none(w, &x->range))
    return none_used(w); /* the reduction is the smallest expression that uses it */
  if (!v.n && !w->used_none) world_note_none_over_nothing(w, t->args.at[0], x);
  Val total = reduce_start(t);
  for (int64_t k = 0; k < v.n && w->need == NEED_NOTHING && world_step(w, t->span); k++) {
    w->index[x->id] = value_at(&v, k);
    Val body = world_eval(w, t->args.at[0]);
    if (is_none(t->args.at[0], body)) body = none_used(w);
    total = reduce_step(t, total, body);
  }
  w->index[x->id] = saved;
  return total;
}

/* ---- all -------------------------------------------------------------------------------------------------- */

Val world_eval(World *w, const Term *t) {
  world_step(w, t->span);
  switch (t->kind) {
  case TERM_INT: return int_val(t->integer);
  case TERM_REAL: return real_val(t->real);
  case TERM_BOOL: return int_val(t->truth);
  case TERM_NONE: return int_val(NONE_VALUE);
  case TERM_SIZE: return int_val(w->bound->sizes[t->size->id]);
  case TERM_INDEX:
    if (w->loose[t->index->id] && w->need == NEED_NOTHING) w->need = NEED_LOOSE;
    return int_val(w->index[t->index->id]);
  case TERM_INPUT: return eval_input(w, t);
  case TERM_LET: return eval_let(w, t);
  case TERM_EDGE: return eval_edge(w, t);
  case TERM_LATENT: return eval_latent(w, t);
  case TERM_OP: return eval_op(w, t);
  case TERM_IF: return world_eval(w, t->args.at[world_bool(w, t->args.at[0]) ? 1 : 2]);
  case TERM_REDUCE: return eval_reduce(w, t);
  case TERM_QUERY: return world_query(w, t);
  }
  ICE("unknown term");
}

double world_real(World *w, const Term *t) {
  Val v = world_eval(w, t);
  if (is_none(t, v)) return none_used(w).r;
  return t->type == TYPE_REAL ? v.r : (double)v.i;
}

int64_t world_int(World *w, const Term *t) {
  Val v = world_eval(w, t);
  return is_none(t, v) ? none_used(w).i : v.i;
}

bool world_bool(World *w, const Term *t) { return world_eval(w, t).i != 0; }

/* ---- mentions ---------------------------------------------------------------------------------------------- */

static bool mentions(const Term *t, TermKind kind) {
  if (!t) return false;
  if (t->kind == kind) return true;
  if (t->kind == TERM_REDUCE) {
    const Range *r = &t->index->range;
    if (mentions(r->lo, kind) || mentions(r->hi, kind) || mentions(r->row, kind)) return true;
  }
  for (uint32_t k = 0; k < t->args.n; k++)
    if (mentions(t->args.at[k], kind)) return true;
  return false;
}

bool oracle_mentions_edge(const Term *t) { return mentions(t, TERM_EDGE); }
bool oracle_mentions_latent(const Term *t) { return mentions(t, TERM_LATENT); }

static bool edge_may_be_none(const Edge *e) {
  return e->or_none || e->domain == DOMAIN_TREE || e->domain == DOMAIN_PROJECTIVE_TREE;
}

/* A copy named by a none is one, too. */
bool oracle_may_be_none(const Term *t) {
  if (t->kind == TERM_OP && t->op == OP_TO_REAL) return oracle_may_be_none(t->args.at[0]);
  if (t->kind == TERM_IF) return oracle_may_be_none(t->args.at[1]) || oracle_may_be_none(t->args.at[2]);
  if (t->kind != TERM_EDGE) return t->kind == TERM_NONE;
  bool none = edge_may_be_none(t->edge);
  for (uint32_t i = 0; i < t->args.n; i++) none = none || oracle_may_be_none(t->args.at[i]);
  return none;
}
