/* coincide: two references are one copy exactly when their index values agree.
 *
 * E[f(phi[a]) g(phi[b])] = a == b ? E[f g of one copy] : E[f(phi[a]) g(phi[b])]: both cases are derived, each under
 * its decision, and the values of the indices select.  Nodes of structures ask twice: are they of one structure, and
 * then, are they one node?  Those of two are independent. */
#include "infer/expect.h"
#include "infer/structure.h"

static bool taken_apart(const Context *x, const Decision *d, Val *a, Val *b) {
  return (same_copy(x, d->c, d->x, a) && same_copy(x, d->c, d->y, b)) ||
         (same_copy(x, d->c, d->x, b) && same_copy(x, d->c, d->y, a));
}

static bool of_two_structures(const Context *x, const Decision *d, Val *a, Val *b) {
  return (same_structure(x, d->c, d->x, a) && same_structure(x, d->c, d->y, b)) ||
         (same_structure(x, d->c, d->x, b) && same_structure(x, d->c, d->y, a));
}

/* Are n leading index values different numbers? */
static bool never_agree(const Context *x, uint32_t n, const Val *a, const Val *b) {
  for (uint32_t k = 0; k < n; k++) {
    const Instr *i = ir_at(B(x)->k, a[k]), *j = ir_at(B(x)->k, b[k]);
    if (i->op == IR_CONST && j->op == IR_CONST && i->integer != j->integer) return true;
  }
  return false;
}

bool may_share_structure(const Context *x, const Component *c, Val *a, Val *b) {
  uint32_t outer = c->plates.n - 1;
  if (never_agree(x, outer, a, b)) return false;
  for (const Decision *d = x->decisions; d; d = d->next)
    if (d->c == c && !d->same && d->n == outer && of_two_structures(x, d, a, b)) return false;
  return true;
}

static bool are_apart(const Context *x, const Component *c, Val *a, Val *b) {
  if (never_agree(x, c->plates.n, a, b) || (c->structure && !may_share_structure(x, c, a, b))) return true;
  for (const Decision *d = x->decisions; d; d = d->next)
    if (d->c == c && !d->same && d->n == c->plates.n && taken_apart(x, d, a, b)) return true;
  return false;
}

/* Nothing is asked once there have been too many steps: what comes of it is refused. */
bool find_question(const Context *x, Component *c, Val *a, Val *b, Coincidence *found) {
  if (same_copy(x, c, a, b) || x->d->steps > DERIVE_MAX_STEPS || are_apart(x, c, a, b)) return false;
  bool whole = !c->structure || same_structure(x, c, a, b);
  *found = (Coincidence){c, a, b, whole ? c->plates.n : c->plates.n - 1};
  return true;
}

bool find_coincidence(Context *x, const Mentions *m, Coincidence *found) {
  for (uint32_t i = 0; i < m->list.n; i++) {
    Component *c = m->list.at[i].copy.c;
    Val *a = m->list.at[i].copy.at;
    for (const Known *k = x->known; k; k = k->next)
      if (k->c == c && find_question(x, c, a, k->copy, found)) return true;
    for (uint32_t j = 0; j < i; j++)
      if (m->list.at[j].copy.c == c && find_question(x, c, a, m->list.at[j].copy.at, found)) return true;
  }
  return false;
}

static Context with_decision(const Context *x, const Coincidence *k, bool same) {
  Decision *d = NEW(x->d->arena, Decision);
  *d = (Decision){k->c, named_copy(x, k->c, k->a), named_copy(x, k->c, k->b), k->n, same, x->decisions};
  Context y = *x;
  y.decisions = d;
  return y;
}

Val either_case(Context *x, const Coincidence *k, CaseFn fn, const void *arg) {
  Builder *b = B(x);
  Val same = 0;
  for (uint32_t i = 0; i < k->n; i++) same = build_and(b, same, build_2(b, IR_EQ, k->a[i], k->b[i]));
  const Instr *i = ir_at(b->k, same);
  Context one = with_decision(x, k, true), two = with_decision(x, k, false);
  if (i->op == IR_CONST) return fn(i->integer ? &one : &two, arg);
  one = with_guard(&one, same);
  two = with_guard(&two, build_1(b, IR_NOT, same));
  Val if_one = build_convert(b, fn(&one, arg), IR_WIDE);
  return build_select(b, same, if_one, build_convert(b, fn(&two, arg), IR_WIDE));
}

static Val expect_case(Context *x, const void *t) { return expect(x, t); }

Val expect_coincidence(Context *x, const Coincidence *k, const Term *t) { return either_case(x, k, expect_case, t); }
