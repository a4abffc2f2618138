/* coincide: two references are one copy exactly when their index values agree.
 *
 * E[f(phi[a]) g(phi[b])] = a == b ? E[f g of one copy] : E[f(phi[a]) g(phi[b])]: both cases are derived, each under
 * its decision, and the values of the indices select.  Nodes of structures, and copies of chains and of networks, ask
 * twice: are they of one, and then, are they one node?  Those of two are independent. */
#include "infer/expect.h"

static bool taken_apart(const Context *x, const Decision *d, Val *a, Val *b) {
  return (same_copy(x, d->c, d->x, a) && same_copy(x, d->c, d->y, b)) ||
         (same_copy(x, d->c, d->x, b) && same_copy(x, d->c, d->y, a));
}

static bool of_two(const Context *x, const Decision *d, Copy a, Copy b) {
  Copy p = {(Component *)d->c, d->x}, q = {(Component *)d->c, d->y};
  return (are_of_one(x, p, a) && are_of_one(x, q, b)) || (are_of_one(x, p, b) && are_of_one(x, q, a));
}

/* Do index values of plates that tell copies, or `whole`, what they belong to, differ whatever the indices are? */
static bool never_agree(const Context *x, const Component *c, bool whole, const Val *a, const Val *b) {
  int64_t d;
  for (uint32_t k = 0; k < c->plates.n; k++)
    if ((!whole || tells_apart(c, k)) && a[k] != b[k] && constant_distance(B(x)->k, a[k], b[k], &d) && d) return true;
  return false;
}

bool may_be_of_one(const Context *x, Copy a, Copy b) {
  const Component *whole = whole_of(a.c);
  if (!is_joined_to_others(a.c) || whole != whole_of(b.c)) return false;
  if (never_agree(x, whole, true, named_copy(x, a.c, a.at), named_copy(x, b.c, b.at))) return false;
  for (const Decision *d = x->decisions; d; d = d->next)
    if (d->c == whole && !d->same && d->of_one && of_two(x, d, a, b)) return false;
  return true;
}

static bool are_apart(const Context *x, Copy a, Copy b) {
  if (is_joined_to_others(a.c) && !may_be_of_one(x, a, b)) return true;
  if (a.c != b.c) return false;
  if (never_agree(x, a.c, false, a.at, b.at)) return true;
  for (const Decision *d = x->decisions; d; d = d->next)
    if (d->c == a.c && !d->same && !d->of_one && taken_apart(x, d, a.at, b.at)) return true;
  return false;
}

/* Nothing is asked once there have been too many steps: what comes of it is refused. */
bool find_question(const Context *x, Copy a, Copy b, Coincidence *found) {
  if (whole_of(a.c) != whole_of(b.c) || x->d->steps > DERIVE_MAX_STEPS) return false;
  if ((a.c == b.c && same_copy(x, a.c, a.at, b.at)) || are_apart(x, a, b)) return false;
  *found = (Coincidence){a, b, is_joined_to_others(a.c) && !are_of_one(x, a, b)};
  return found->of_one || a.c == b.c; /* copies of different edges of a network: nothing else is asked of them */
}

bool find_coincidence(Context *x, const Mentions *m, Coincidence *found) {
  for (uint32_t i = 0; i < m->list.n; i++) {
    Copy a = m->list.at[i].copy;
    for (const Known *k = x->known; k; k = k->next)
      if (find_question(x, a, (Copy){k->c, k->copy}, found)) return true;
    for (uint32_t j = 0; j < i; j++)
      if (find_question(x, a, m->list.at[j].copy, found)) return true;
  }
  return false;
}

static Context with_decision(const Context *x, const Coincidence *k, bool same) {
  Decision *d = NEW(x->d->arena, Decision);
  *d = (Decision){.c = k->of_one ? whole_of(k->a.c) : k->a.c,
                  .x = named_copy(x, k->a.c, k->a.at),
                  .y = named_copy(x, k->b.c, k->b.at),
                  .of_one = k->of_one,
                  .same = same,
                  .next = x->decisions};
  Context y = *x;
  y.decisions = d;
  return y;
}

Val either_case(Context *x, const Coincidence *k, CaseFn fn, const void *arg) {
  Builder *b = B(x);
  const Component *c = k->of_one ? whole_of(k->a.c) : k->a.c;
  Val same = 0;
  for (uint32_t i = 0; i < c->plates.n; i++)
    if (!k->of_one || tells_apart(c, i)) same = build_and(b, same, build_2(b, IR_EQ, k->a.at[i], k->b.at[i]));
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
