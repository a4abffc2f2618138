/* coincide: two references are one copy exactly when their index values agree.
 *
 * E[f(phi[a]) g(phi[b])] = a == b ? E[f g of one copy] : E[f(phi[a]) g(phi[b])]: both cases are derived, each under
 * its decision, and the values of the indices select.  Nodes of structures, and copies of chains, ask twice: are they
 * of one, and then, are they one node?  Those of two are independent. */
#include "infer/expect.h"

static bool taken_apart(const Context *x, const Decision *d, Val *a, Val *b) {
  return (same_copy(x, d->c, d->x, a) && same_copy(x, d->c, d->y, b)) ||
         (same_copy(x, d->c, d->x, b) && same_copy(x, d->c, d->y, a));
}

static bool of_two(const Context *x, const Decision *d, Val *a, Val *b) {
  return (are_of_one(x, d->c, d->x, a) && are_of_one(x, d->c, d->y, b)) ||
         (are_of_one(x, d->c, d->x, b) && are_of_one(x, d->c, d->y, a));
}

/* Do index values, but that of one plate, differ whatever the indices are? */
static bool never_agree(const Context *x, const Component *c, uint32_t but, const Val *a, const Val *b) {
  int64_t d;
  for (uint32_t k = 0; k < c->plates.n; k++)
    if (k != but && a[k] != b[k] && constant_distance(B(x)->k, a[k], b[k], &d) && d) return true;
  return false;
}

bool may_be_of_one(const Context *x, const Component *c, Val *a, Val *b) {
  uint32_t along = joined_plate(c);
  if (along == NO_PLATE || never_agree(x, c, along, named_copy(x, c, a), named_copy(x, c, b))) return false;
  for (const Decision *d = x->decisions; d; d = d->next)
    if (d->c == c && !d->same && d->but == along && of_two(x, d, a, b)) return false;
  return true;
}

static bool are_apart(const Context *x, const Component *c, Val *a, Val *b) {
  if (never_agree(x, c, NO_PLATE, a, b) || (joined_plate(c) != NO_PLATE && !may_be_of_one(x, c, a, b))) return true;
  for (const Decision *d = x->decisions; d; d = d->next)
    if (d->c == c && !d->same && d->but == NO_PLATE && taken_apart(x, d, a, b)) return true;
  return false;
}

/* Nothing is asked once there have been too many steps: what comes of it is refused. */
bool find_question(const Context *x, Component *c, Val *a, Val *b, Coincidence *found) {
  if (same_copy(x, c, a, b) || x->d->steps > DERIVE_MAX_STEPS || are_apart(x, c, a, b)) return false;
  *found = (Coincidence){c, a, b, are_of_one(x, c, a, b) ? NO_PLATE : joined_plate(c)};
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
  *d = (Decision){k->c, named_copy(x, k->c, k->a), named_copy(x, k->c, k->b), k->but, same, x->decisions};
  Context y = *x;
  y.decisions = d;
  return y;
}

Val either_case(Context *x, const Coincidence *k, CaseFn fn, const void *arg) {
  Builder *b = B(x);
  Val same = 0;
  for (uint32_t i = 0; i < k->c->plates.n; i++)
    if (i != k->but) same = build_and(b, same, build_2(b, IR_EQ, k->a[i], k->b[i]));
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
