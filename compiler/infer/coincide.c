/* coincide: two references are one copy exactly when their index values agree.
 *
 * E[f(phi[a]) g(phi[b])] = a == b ? E[f g of one copy] : E[f(phi[a]) g(phi[b])]: both cases are derived, each under
 * its decision, and the values of the indices select. */
#include "infer/expect.h"

static bool taken_apart(const Context *x, const Decision *d, Val *a, Val *b) {
  return (same_copy(x, d->c, d->x, a) && same_copy(x, d->c, d->y, b)) ||
         (same_copy(x, d->c, d->x, b) && same_copy(x, d->c, d->y, a));
}

/* Index values that are different numbers. */
static bool never_agree(const Context *x, const Component *c, const Val *a, const Val *b) {
  for (uint32_t n = 0; n < c->plates.n; n++) {
    const Instr *i = ir_at(B(x)->k, a[n]), *j = ir_at(B(x)->k, b[n]);
    if (i->op == IR_CONST && j->op == IR_CONST && i->integer != j->integer) return true;
  }
  return false;
}

/* Everything is, once there have been too many steps: what comes of it is refused. */
bool is_decided(const Context *x, const Component *c, Val *a, Val *b) {
  if (never_agree(x, c, a, b) || same_copy(x, c, a, b) || x->d->steps > DERIVE_MAX_STEPS) return true;
  for (const Decision *d = x->decisions; d; d = d->next)
    if (d->c == c && !d->same && taken_apart(x, d, a, b)) return true;
  return false;
}

bool find_coincidence(Context *x, const Mentions *m, Coincidence *found) {
  for (uint32_t i = 0; i < m->list.n; i++) {
    Component *c = m->list.at[i].copy.c;
    Val *a = m->list.at[i].copy.at;
    for (const Known *k = x->known; k; k = k->next)
      if (k->c == c && !is_decided(x, c, a, k->copy)) {
        *found = (Coincidence){c, a, k->copy};
        return true;
      }
    for (uint32_t j = 0; j < i; j++)
      if (m->list.at[j].copy.c == c && !is_decided(x, c, a, m->list.at[j].copy.at)) {
        *found = (Coincidence){c, a, m->list.at[j].copy.at};
        return true;
      }
  }
  return false;
}

Context with_decision(const Context *x, const Coincidence *k, bool same) {
  Decision *d = NEW(x->d->arena, Decision);
  *d = (Decision){k->c, named_copy(x, k->c, k->a), named_copy(x, k->c, k->b), same, x->decisions};
  Context y = *x;
  y.decisions = d;
  return y;
}

Val are_one(Context *x, const Coincidence *k) {
  Val same = 0;
  for (uint32_t i = 0; i < k->c->plates.n; i++) same = build_and(B(x), same, build_2(B(x), IR_EQ, k->a[i], k->b[i]));
  return same;
}

Val expect_coincidence(Context *x, const Coincidence *k, const Term *t) {
  Builder *b = B(x);
  Val same = are_one(x, k);
  const Instr *i = ir_at(b->k, same);
  bool always = i->op == IR_CONST && i->integer, never = i->op == IR_CONST && !i->integer;
  Context one = with_decision(x, k, true), two = with_decision(x, k, false);
  if (always) return expect(&one, t);
  if (never) return expect(&two, t);
  one = with_guard(&one, same);
  two = with_guard(&two, build_1(b, IR_NOT, same));
  Val if_one = part(&one, t);
  return build_select(b, same, if_one, part(&two, t));
}
