/* product: E[f(phi) g(psi)] = E[f(phi)] E[g(psi)] for parts that are independent given what is known.
 *
 * An indicator of a conjunction is the product of indicators. */
#include "infer/expect.h"
#include "model/term.h"

void flatten(Context *x, Factors *f, const Term *t) {
  bool product = t->kind == TERM_OP && (t->op == OP_MUL || t->op == OP_AND);
  bool passes = t->kind == TERM_OP && t->op == OP_TO_REAL && t->args.at[0]->kind == TERM_OP &&
                (t->args.at[0]->op == OP_AND || t->args.at[0]->op == OP_MUL);
  if (!product && !passes) {
    vec_push(x->d->arena, f, t);
    return;
  }
  for (uint32_t i = 0; i < t->args.n; i++) flatten(x, f, t->args.at[i]);
}

static bool reaches(const Mentions *m, const Component *c) {
  for (uint32_t i = 0; i < m->reached_in.n; i++)
    if (m->reached_in.at[i] == c || (c->network && m->reached_in.at[i]->network == c->network)) return true;
  return false;
}

static bool dependent(Context *x, const Mentions *a, const Mentions *b) {
  for (uint32_t i = 0; i < a->list.n; i++) {
    if (reaches(b, a->list.at[i].copy.c)) return true;
    for (uint32_t j = 0; j < b->list.n; j++)
      if (may_depend(x, &a->list.at[i], &b->list.at[j])) return true;
  }
  for (uint32_t j = 0; j < b->list.n; j++)
    if (reaches(a, b->list.at[j].copy.c)) return true;
  for (uint32_t i = 0; i < a->reached_in.n; i++)
    if (reaches(b, a->reached_in.at[i])) return true;
  return false;
}

const Term *product_of(Context *x, const Factors *f, const bool *in, bool want) {
  const Term *p = NULL;
  for (uint32_t i = 0; i < f->n; i++) {
    if (in[i] != want) continue;
    Term *q = (Term *)f->at[i];
    if (!p) p = q;
    else if (p->type == TYPE_BOOL && q->type == TYPE_BOOL) p = term_op2(x->d->arena, OP_AND, (Term *)p, q, q->span);
    else p = term_op2(x->d->arena, OP_MUL, term_to_real(x->d->arena, (Term *)p), term_to_real(x->d->arena, q), q->span);
  }
  return p;
}

bool split_product(Context *x, const Term *t, const Term **first, const Term **others) {
  Factors f = {0};
  flatten(x, &f, t);
  if (f.n < 2) return false;
  bool *in = NEW_ARRAY(x->d->arena, bool, f.n);
  Mentions *m = NEW_ARRAY(x->d->arena, Mentions, f.n);
  for (uint32_t i = 0; i < f.n; i++) m[i] = mentions_of(x, f.at[i]);
  in[0] = true;
  for (bool grown = true; grown;) {
    grown = false;
    for (uint32_t i = 0; i < f.n; i++)
      for (uint32_t j = 0; j < f.n && !in[i]; j++)
        if (in[j] && dependent(x, &m[i], &m[j])) in[i] = grown = true;
  }
  *first = product_of(x, &f, in, true);
  *others = product_of(x, &f, in, false);
  return *others != NULL;
}
