/* context: what is known at a point of the derivation, extended and compared with what values depend on. */
#include "infer/context.h"

Val refuse_query(const Context *x, Span span, const char *why) { return refuse_query_hint(x, span, why, NULL); }

Val refuse_query_hint(const Context *x, Span span, const char *why, const char *hint) {
  Plan *p = x->d->plan;
  bool told = false;
  for (uint32_t i = 0; i < p->refusals.n; i++) told |= p->refusals.at[i].span.lo == span.lo;
  if (!told) vec_push(x->d->arena, &p->refusals, (Refusal){.span = span, .text = why, .hint = hint});
  x->d->failed = true;
  return build_float(B(x), IR_WIDE, 0);
}

Val refuse_partly_outside(const Context *x, Span span, const Component *c) {
  const char *name = sym_text(x->d->m->names, c->edges.at[0]->name);
  return refuse_query(x, span,
                      arena_printf(x->d->arena,
                                   "this evidence is of the plates it stands in, but copies of '%s' outside them are "
                                   "joined to copies inside",
                                   name));
}

/* ---- contexts ------------------------------------------------------------------------------------------ */

/* The array of a sum that carries an axis lies in the workspace. */
Context with_index(const Context *x, Index *i, Val v, Val lo, Val hi, bool carryable) {
  BoundIndex *n = NEW(x->d->arena, BoundIndex);
  carryable = carryable && ir_follows_from_sizes(B(x)->k, lo) && ir_follows_from_sizes(B(x)->k, hi);
  *n = (BoundIndex){i, v, ir_at(B(x)->k, v)->home, lo, hi, carryable, x->bound};
  Context y = *x;
  y.bound = n;
  return y;
}

Context with_guard(const Context *x, Val cond) {
  Context y = *x;
  y.guard = build_and(B(x), x->guard, cond);
  return y;
}

BoundIndex *find_bound(const Context *x, const Index *i) {
  for (BoundIndex *n = x->bound; n; n = n->next)
    if (n->index == i) return n;
  return NULL;
}

static bool all_known_in(const Context *x, uint32_t n, const Val *v, const Region *r) {
  for (uint32_t i = 0; i < n; i++)
    if (!region_contains(ir_at(B(x)->k, v[i])->home, r)) return false;
  return true;
}

/* Everything known here, beside the variables of loops, is known already in region r; copies that have a value or
 * are decided to be one are named by values known there. */
bool context_holds_in(const Context *x, const Region *r) {
  if (x->guard && !all_known_in(x, 1, &x->guard, r)) return false;
  for (const Known *n = x->known; n; n = n->next)
    if (!all_known_in(x, 1, &n->value.v, r) || !all_known_in(x, n->c->plates.n, n->copy, r)) return false;
  for (const Decision *d = x->decisions; d; d = d->next)
    if (!all_known_in(x, d->c->plates.n, d->x, r) || !all_known_in(x, d->c->plates.n, d->y, r)) return false;
  return !x->used_none;
}

/* ---- what a value depends on ---------------------------------------------------------------------------- */

static bool depends_on(const Kernel *k, Val v, Val index) {
  const Instr *i = ir_at(k, v);
  if (v == index) return true;
  if (i->home->depth < ir_at(k, index)->home->depth) return false;
  if (i->op == IR_RESULT || i->op == IR_LOAD) /* through memory: all loops around its home count */
    if (region_contains(ir_at(k, index)->home, i->op == IR_LOAD ? i->array->home : i->home)) return true;
  for (uint32_t a = 0; a < i->narg; a++)
    if (depends_on(k, i->arg[a], index)) return true;
  return false;
}

/* Loops over the components of a vector repeat nothing: a stream inside them carries them as axes. */
static bool is_component_loop(const Context *x, const Loop *l) {
  for (const BoundIndex *n = x->bound; n; n = n->next)
    if (n->v == l->index) return n->index->role == INDEX_AXIS && n->carryable;
  return false;
}

bool is_redundant(const Context *x, uint32_t n, const Val *v) {
  const Kernel *k = B(x)->k;
  Region *r = build_deepest(B(x), n, v), *storing = B(x)->at;
  while (storing->loop && storing->loop->kind == LOOP_REDUCE) storing = storing->parent;
  if (x->d->iteration && storing->depth > r->depth) r = storing; /* what reads latents does not leave it */
  for (; r != x->d->stage && r->parent; r = r->parent) {
    bool depends = r->loop->body != r || is_component_loop(x, r->loop); /* nor does an axis region or a seed */
    for (uint32_t i = 0; i < n && !depends; i++) depends = depends_on(k, v[i], r->loop->index);
    if (!depends) return true;
  }
  return false;
}
