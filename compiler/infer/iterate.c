/* iterate: the loops of collapsed inference.
 *
 *   start;  seq step { F;  for every infer line { for every latent of it { fresh <- step }  now <- fresh } }  F
 *
 * F at the start of a step is taken in the stage of its first line, which needs the same sums over the edges.
 * The edges' posterior belongs to `now`: within a line it stays, while `fresh` moves.  A line that rests, or has had
 * its steps, is a loop without iterations. */
#include "infer/iterate.h"

#include <math.h>

#include "base/ice.h"
#include "infer/arith.h"
#include "model/term.h"

/* ---- nests of loops ---------------------------------------------------------------------------------------------- */

Components open_components(Context x, const Latent *z) {
  uint32_t rank = latent_rank(z);
  return (Components){x, NEW_ARRAY(x.d->arena, Loop *, rank), NEW_ARRAY(x.d->arena, Val, rank), 0};
}

void component_loop(Components *n, const Latent *z) { component_loop_in(n, z, LOOP_PAR, true); }

void component_loop_in(Components *n, const Latent *z, LoopKind kind, bool carried) {
  Index *index = latent_index(z, n->n);
  Bounds r = eval_range(&n->x, &index->range);
  Loop *l = open_loop(&n->x, kind, index->span, r.lo, r.hi);
  n->x = with_index(&n->x, index, l->index, r.lo, r.hi, carried && index->role == INDEX_AXIS);
  n->place[n->n] = build_2(B(&n->x), IR_SUB, l->index, r.lo);
  n->loops[n->n++] = l;
}

void close_components(Components *n) {
  while (n->n) build_close(B(&n->x), n->loops[--n->n]);
}

typedef struct Reduction {
  const Latent *z;
  uint32_t rank, from;
  AccKind kind;
  IrType type;
  AtComponentFn at;
  void *arg;
  Val *place;
} Reduction;

static Val reduce_from(Context *x, Reduction *r);

static void contribute_component(Context *x, void *arg, Contribution *c) {
  Reduction r = *(Reduction *)arg;
  const BoundIndex *i = find_bound(x, latent_index(r.z, r.from));
  r.place = NEW_ARRAY(x->d->arena, Val, r.rank + 1);
  for (uint32_t a = 0; a < r.from; a++) r.place[a] = ((Reduction *)arg)->place[a];
  r.place[r.from++] = build_2(B(x), IR_SUB, i->v, i->lo);
  c->x = reduce_from(x, &r);
}

static Val reduce_from(Context *x, Reduction *r) {
  if (r->from == r->rank) return r->at(x, r->arg, r->place);
  return reduce_over(x, latent_index(r->z, r->from), r->kind, r->type, contribute_component, r);
}

Val reduce_components(Context *x, const Latent *z, uint32_t rank, AccKind kind, IrType type, AtComponentFn at,
                      void *arg) {
  return reduce_from(x, &(Reduction){z, rank, 0, kind, type, at, arg, NULL});
}

static Components open_all(Derive *d, const Latent *z) {
  Components n = open_components((Context){.d = d}, z);
  for (uint32_t i = 0; i < latent_rank(z); i++) component_loop(&n, z);
  return n;
}

/* ---- F after every step ------------------------------------------------------------------------------------------ */

/* The array of F of every copy of these plates.  Their bounds are sizes, as those of all outputs are. */
static void declare_history(Derive *d, const IndexVec *plates) {
  Iteration *it = d->iteration;
  for (uint32_t k = 0; k < it->histories.n; k++)
    if (indices_equal(&it->histories.at[k].plates, plates)) return;
  Context x = {.d = d};
  Val *dims = NEW_ARRAY(d->arena, Val, plates->n + 1);
  dims[0] = build_2(&d->b, IR_ADD, it->steps, build_int(&d->b, 1));
  for (uint32_t k = 0; k < plates->n; k++) {
    ICE_UNLESS(has_fixed_bounds(plates->at[k]));
    Bounds r = eval_range(&x, &plates->at[k]->range);
    dims[k + 1] = build_2(&d->b, IR_MAX, build_2(&d->b, IR_SUB, r.hi, r.lo), build_int(&d->b, 0));
  }
  const char *name = arena_printf(d->arena, "elbo.%u", it->histories.n);
  Array *f = build_array(&d->b, ARRAY_TEMP, name, STORE_WIDE, plates->n + 1, dims);
  vec_push(d->arena, &it->histories, ((History){*plates, f}));
}

/* elbo(s) is of the plates in which it stands: those of a derived array, where it stands in one (element.c). */
static void declare_histories(Derive *d, const Term *t, const IndexVec *plates) {
  if (t->kind == TERM_QUERY && t->query == QUERY_ELBO && t->args.n) declare_history(d, plates);
  if (t->kind == TERM_LET && t->let->has_query) declare_histories(d, t->let->value, &t->let->plates);
  for (uint32_t i = 0; i < t->args.n; i++) declare_histories(d, t->args.at[i], plates);
}

static Val bound(Context *x, Span span) {
  x->d->keep_sums = true;
  Val f = model_evidence(x, true, span);
  x->d->keep_sums = false;
  return f;
}

static void record(Derive *d, Val step) {
  for (uint32_t i = 0; i < d->iteration->histories.n; i++) {
    const History *h = &d->iteration->histories.at[i];
    Context x = {.d = d};
    Loop **loops = NEW_ARRAY(d->arena, Loop *, h->plates.n);
    Val *place = NEW_ARRAY(d->arena, Val, h->plates.n + 1);
    place[0] = step;
    for (uint32_t k = 0; k < h->plates.n; k++) {
      Bounds r = eval_range(&x, &h->plates.at[k]->range);
      loops[k] = open_loop(&x, LOOP_PAR, h->plates.at[k]->span, r.lo, r.hi);
      x = with_index(&x, h->plates.at[k], loops[k]->index, r.lo, r.hi, false);
      place[k + 1] = build_2(&d->b, IR_SUB, loops[k]->index, r.lo);
    }
    d->plates = &h->plates;
    build_store(&d->b, h->f, bound(&x, d->m->span), place);
    for (uint32_t k = h->plates.n; k-- > 0;) build_close(&d->b, loops[k]);
  }
}

Val query_elbo(Context *x, const Term *t) {
  if (!t->args.n || !x->d->iteration) return bound(x, t->span);
  for (uint32_t i = 0; i < x->d->iteration->histories.n; i++) {
    const History *h = &x->d->iteration->histories.at[i];
    if (!indices_equal(&h->plates, x->d->plates)) continue;
    Val *place = NEW_ARRAY(x->d->arena, Val, h->plates.n + 1);
    Val s = build_2(B(x), IR_MAX, eval(x, t->args.at[0]), build_int(B(x), 0));
    place[0] = build_2(B(x), IR_MIN, s, x->d->iteration->steps);
    for (uint32_t k = 0; k < h->plates.n; k++) {
      const BoundIndex *b = find_bound(x, h->plates.at[k]);
      place[k + 1] = build_2(B(x), IR_SUB, b->v, b->lo);
    }
    return build_load(B(x), h->f, place);
  }
  ICE("F after every step is kept for no such plates");
}

/* normal: mean, sd; beta: a, b; gamma: shape, rate; dirichlet: alpha. */
Val query_param(Context *x, const Term *t) {
  const Term *ref = t->args.at[0];
  const LatentPlan *l = &x->d->plan->latents->of[ref->latent->id];
  int64_t k = t->args.n > 1 ? t->args.at[1]->integer : 0;
  Val mean = eval(x, make_moment(x->d->arena, ref, MOMENT_MEAN)); /* for its checks */
  if (l->family == Q_FAMILY_POINT || (l->family == Q_FAMILY_NORMAL && k == 0)) return mean;
  if (l->family == Q_FAMILY_NORMAL)
    return build_1(B(x), IR_SQRT, eval(x, make_moment(x->d->arena, ref, MOMENT_VARIANCE)));
  Context top = {.d = x->d};
  Val *place = NEW_ARRAY(x->d->arena, Val, ref->args.n);
  for (uint32_t i = 0; i < ref->args.n; i++)
    place[i] = build_2(B(x), IR_SUB, eval(x, ref->args.at[i]), eval_range(&top, &latent_index(l->z, i)->range).lo);
  return load_part(x, x->d->iteration->of[l->z->id].now, k ? PART_SECOND : PART_FIRST, place);
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* A new state of the latents: what was kept for every copy is out of date where it depends on them. */
static void begin_stage(Derive *d, Region *stage) {
  d->stage = stage;
  forget_stage(d);
}

static void copy_state(Derive *d, const LatentPlan *l, bool back) {
  LatentState *s = &d->iteration->of[l->z->id];
  Components n = open_all(d, l->z);
  for (QPart part = 0; part < PART_COUNT; part++)
    if (s->now[part])
      build_store(&d->b, back ? s->fresh[part] : s->now[part], load_part(&n.x, back ? s->now : s->fresh, part, n.place),
                  n.place);
  close_components(&n);
}

static Val parameter(Context *x, const LatentPlan *l, Array *const *parts, QPart part, const Val *place) {
  Val v = build_convert(B(x), load_part(x, parts, part, place), IR_WIDE);
  return l->family == Q_FAMILY_NORMAL && part == PART_VARIANCE ? build_1(B(x), IR_SQRT, v) : v;
}

/* The largest change of any parameter of q of a component. */
static Val change_at(Context *x, void *latent, const Val *place) {
  const LatentPlan *l = latent;
  const LatentState *s = &x->d->iteration->of[l->z->id];
  bool own = s->now[PART_FIRST];
  Val largest = 0;
  for (QPart part = 0; part < PART_COUNT; part++) {
    bool counts = own ? part == PART_FIRST || part == PART_SECOND : part == PART_MEAN || part == PART_VARIANCE;
    if (!counts || !s->now[part]) continue;
    Val d = build_2(B(x), IR_SUB, parameter(x, l, s->fresh, part, place), parameter(x, l, s->now, part, place));
    d = build_1(B(x), IR_ABS, d);
    largest = largest ? build_2(B(x), IR_MAX, largest, d) : d;
  }
  return largest;
}

static bool is_zero(const Term *t) {
  return (t->kind == TERM_REAL && t->real == 0) || (t->kind == TERM_INT && t->integer == 0);
}

/* The line rests from now on if nothing has changed by more than tol > 0. */
static void store_rest(Derive *d, const Infer *line, Array *rests) {
  Context x = {.d = d};
  Val tol = build_convert(&d->b, eval(&x, line->tol), IR_WIDE), change = 0;
  for (uint32_t i = 0; i < line->latents.n; i++) {
    const LatentPlan *l = &d->plan->latents->of[line->latents.at[i]->id];
    Val c = reduce_components(&x, l->z, latent_rank(l->z), ACC_MAX, IR_WIDE, change_at, (void *)l);
    change = change ? build_2(&d->b, IR_MAX, change, c) : c;
  }
  Val small = build_2(&d->b, IR_LE, change, tol);
  build_store(&d->b, rests, build_and(&d->b, build_2(&d->b, IR_GT, tol, wide(&x, 0)), small), NULL);
}

/* begun: the stage is that of F before the line. */
static void derive_line(Derive *d, const Infer *line, Array *rests, bool begun) {
  for (uint32_t i = 0; line->latents.n > 1 && i < line->latents.n; i++)
    copy_state(d, &d->plan->latents->of[line->latents.at[i]->id], true);
  if (!begun) begin_stage(d, d->b.at);
  for (int gradient = 0; gradient < 2; gradient++) /* slopes are taken where the closed steps have come to */
    for (uint32_t i = 0; i < line->latents.n; i++) {
      const LatentPlan *l = &d->plan->latents->of[line->latents.at[i]->id];
      if (l->gradient == gradient) step_latent(d, l);
    }
  if (rests) store_rest(d, line, rests);
  for (uint32_t i = 0; i < line->latents.n; i++) copy_state(d, &d->plan->latents->of[line->latents.at[i]->id], false);
}

/* The line where it is not resting and has steps left. */
static void derive_line_at(Derive *d, const Infer *line, Array *rests, Val step, bool first) {
  Builder *b = &d->b;
  Context x = {.d = d};
  Val n = build_2(b, IR_MAX, eval(&x, line->steps), build_int(b, 0)), active = 0;
  if (n != d->iteration->steps) active = build_2(b, IR_LT, step, n);
  if (rests) active = build_and(b, active, build_1(b, IR_NOT, build_load(b, rests, NULL)));
  if (!active) {
    derive_line(d, line, rests, first);
    return;
  }
  Loop *l = open_loop(&x, LOOP_SEQ, line->span, build_int(b, 0), build_convert(b, active, IR_INT));
  derive_line(d, line, rests, false);
  build_close(b, l);
}

void derive_iteration(Derive *d) {
  const Model *m = d->m;
  Builder *b = &d->b;
  Context x = {.d = d};
  Iteration *it = d->iteration = NEW(d->arena, Iteration);
  it->of = NEW_ARRAY(d->arena, LatentState, m->latents.n);
  it->steps = build_int(b, 0);
  for (uint32_t i = 0; i < m->infers.n; i++)
    if (m->infers.at[i]->method == INFER_COLLAPSED)
      it->steps = build_2(b, IR_MAX, eval(&x, m->infers.at[i]->steps), it->steps);
  for (uint32_t i = 0; i < m->latents.n; i++) declare_state(d, &d->plan->latents->of[i]);
  for (uint32_t i = 0; i < m->outs.n; i++) declare_histories(d, m->outs.at[i]->value, &m->outs.at[i]->plates);
  Array **rests = NEW_ARRAY(d->arena, Array *, m->infers.n);
  for (uint32_t i = 0; i < m->infers.n; i++) {
    const Infer *line = m->infers.at[i];
    if (line->method != INFER_COLLAPSED || is_zero(line->tol)) continue;
    rests[i] = build_array(b, ARRAY_TEMP, arena_printf(d->arena, "rests.%u", i), STORE_BOOL, 0, NULL);
    build_store(b, rests[i], build_bool(b, false), NULL);
  }
  start_latents(d);
  Loop *l = open_loop(&x, LOOP_SEQ, m->span, build_int(b, 0), it->steps);
  it->step = build_2(b, IR_ADD, l->index, build_int(b, 1));
  begin_stage(d, b->at);
  record(d, l->index);
  bool first = true;
  for (uint32_t i = 0; i < m->infers.n; i++)
    if (m->infers.at[i]->method == INFER_COLLAPSED) {
      derive_line_at(d, m->infers.at[i], rests[i], l->index, first);
      first = false;
    }
  build_close(b, l);
  begin_stage(d, b->at);
  record(d, it->steps);
}
