/* replace: what an `infer` line puts in place of the posterior of an edge joined to nothing, choice by choice.
 *
 * A stage before the outputs: the log weights of all values of all copies, and, for every copy, a routine of the
 * runtime that leaves the logs of other probabilities (runtime/family/choice.c).  E and P read those; all else stays
 * exact.  The array is as large as copies times values, so their number must follow from the sizes. */
#include "infer/replace.h"

#include <math.h>

#include "infer/structure.h"
#include "model/term.h"

struct Replaced { const Component *c; uint32_t stage; Array *log_p; Replaced *next; };

bool is_replaced(const Component *c) {
  return c->infer && (c->infer->method == INFER_TOP || c->infer->method == INFER_ENTMAX);
}

void replace_check(Plan *p, const Infer *f) {
  for (uint32_t k = 0; k < f->edges.n; k++) {
    const Edge *e = f->edges.at[k];
    bool interval = e->domain == DOMAIN_RANGE && e->range.kind == RANGE_INTERVAL;
    bool fixed =
        e->domain == DOMAIN_BIT || (interval && term_is_of_sizes(e->range.lo) && term_is_of_sizes(e->range.hi));
    for (uint32_t i = 0; i < e->plates.n; i++) fixed = fixed && has_fixed_bounds(e->plates.at[i]);
    if (!fixed)
      plan_refuse(p, f->span, "this method is compiled for edges whose values, and whose plates, have sizes as bounds",
                  "what depends on data goes into 'where'");
  }
}

static Bounds values_of(Context *x, const Edge *e) {
  if (e->domain == DOMAIN_BIT) return (Bounds){build_int(B(x), 0), build_int(B(x), 2), NULL, 0};
  return eval_range(x, &e->range);
}

static void fill(Derive *d, Component *c, Array *to, const Bounds *r) {
  Builder *b = &d->b;
  Edge *e = c->edges.at[0];
  uint32_t n = c->plates.n;
  Plates nest = structure_open(d, c, n, 1);
  Copy copy = own_copy(&nest.x, c);
  Loop *l = open_loop(&nest.x, LOOP_PAR, e->span, r->lo, r->hi);
  Choice value = {l->index, 0};
  Val inside = in_support(&nest.x, copy, e, value);
  Context y = with_known(&nest.x, copy, e, value);
  y = with_guard(&y, inside);
  Val log_w = build_convert(b, node_log(&y, copy, c->root, false), IR_WIDE);
  nest.place[n] = build_2(b, IR_SUB, l->index, r->lo);
  build_store(b, to, build_select(b, inside, log_w, build_float(b, IR_WIDE, -INFINITY)), nest.place);
  build_close(b, l);
  if (e->or_none) {
    Context none = with_known(&nest.x, copy, e, (Choice){build_int(b, -1), build_bool(b, true)});
    nest.place[n] = build_2(b, IR_SUB, r->hi, r->lo);
    build_store(b, to, node_log(&none, copy, c->root, false), nest.place);
  }
  structure_close(d, &nest);
}

static Array *replace_stage(Derive *d, Component *c) {
  Builder *b = &d->b;
  Region *back = b->at;
  b->at = b->k->top;
  Context top = {.d = d};
  const Infer *f = c->infer;
  const Edge *e = c->edges.at[0];
  Bounds r = values_of(&top, e);
  uint32_t n = c->plates.n;
  Val values = build_2(b, IR_MAX, build_2(b, IR_SUB, r.hi, r.lo), build_int(b, 0));
  if (e->or_none) values = build_2(b, IR_ADD, values, build_int(b, 1));
  Array *local = structure_array(d, c, "log_w", STORE_WIDE, n, 1, &values);
  Array *log_p = structure_array(d, c, "log_p", STORE_WIDE, n, 1, &values), *alpha = NULL;
  if (f->method == INFER_ENTMAX)
    alpha = build_array(b, ARRAY_TEMP, arena_printf(d->arena, "alpha%u", b->k->arrays.n), STORE_WIDE, 1,
                        (Val[]){build_int(b, 1)});
  b->at = stage_of(d, c);
  fill(d, c, local, &r);
  if (alpha) build_store(b, alpha, eval(&top, f->alpha), (Val[]){build_int(b, 0)});
  Plates nest = structure_open(d, c, n, 0);
  b->span = f->span;
  if (alpha) build_solve(b, FAMILY_ENTMAX, n, nest.place, (Array *[]){local, alpha, log_p}, (Val[]){values}, values);
  else build_solve(b, FAMILY_TOP, n, nest.place, (Array *[]){local, log_p}, (Val[]){values, eval(&top, f->k)}, values);
  structure_close(d, &nest);
  b->at = back;
  return log_p;
}

static Array *replaced(Derive *d, Component *c) {
  uint32_t stage = stage_number(d, c);
  for (Replaced *r = d->replaced; r; r = r->next)
    if (r->c == c && r->stage == stage) return r->log_p;
  Replaced *r = NEW(d->arena, Replaced);
  *r = (Replaced){c, stage, replace_stage(d, c), d->replaced};
  d->replaced = r;
  return r->log_p;
}

Val replaced_any(Context *x, Copy copy) {
  Val *place = structure_place(x, copy, copy.c->plates.n);
  place[copy.c->plates.n] = build_int(B(x), 0);
  return build_load(B(x), replaced(x->d, copy.c), place);
}

Val replaced_log(Context *x, Copy copy, Choice value) {
  Array *log_p = replaced(x->d, copy.c);
  Context top = {.d = x->d};
  uint32_t n = copy.c->plates.n;
  Bounds r = values_of(&top, copy.c->edges.at[0]);
  Val *place = structure_place(x, copy, n);
  place[n] = build_2(B(x), IR_SUB, value.none ? build_select(B(x), value.none, r.hi, value.v) : value.v, r.lo);
  return build_load(B(x), log_p, place);
}
