/* split: a potential of many copies that is a product over them is a weight of each.
 *
 *   exp(a + sum_j b_j) = exp(a) prod_j exp(b_j)          c sum_j b_j = sum_j c b_j          prod_j f_j
 *
 * The index of the sum, or product, becomes one of the statement's plates: what it joins is then what its terms join,
 * but for one thing, that all of it has a value or nothing of it: bond.h.
 * A question's own weight (conditioned.c) stays whole if a part of it would be no edge's: E[f] = Z(f) / Z is of all f.
 * Other weights stay as they are, and so do these where it could be seen that they were one: a `none` that is used
 * makes the whole weight 1, and evidence in plates asks which copies a statement joins. */
#include <string.h>

#include "infer/plan.h"
#include "model/term.h"

typedef struct Part {
  IndexVec plates; /* beyond those of the statement */
  Term *value;
} Part;

typedef struct Split {
  Arena *arena;
  VEC(Part) parts;
  Term *rest; /* of an exponent: what is no sum over copies */
  bool found;
} Split;

static Term *product(Arena *a, Term *x, Term *y) {
  if (!x || !y) return x ? x : y;
  return term_op2(a, OP_MUL, term_to_real(a, x), term_to_real(a, y), y->span);
}

static bool names_by(const Term *t, const Index *j) {
  if (t->kind == TERM_EDGE && term_mentions_index(t, j)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (names_by(t->args.at[i], j)) return true;
  return false;
}

static bool is_over_copies(const Term *t, ReduceKind kind) {
  if (t->kind != TERM_REDUCE || t->reduce != kind || !names_by(t->args.at[0], t->index)) return false;
  const Range *r = &t->index->range;
  return !(r->lo && term_mentions_edge(r->lo, NULL)) && !(r->hi && term_mentions_edge(r->hi, NULL)) &&
         !(r->row && term_mentions_edge(r->row, NULL));
}

static bool has_edge(const Term *t) { return term_mentions_edge(t, NULL); }

static IndexVec with_plate(Arena *a, const IndexVec *plates, Index *j) {
  IndexVec r = {0};
  for (uint32_t i = 0; i < plates->n; i++) vec_push(a, &r, plates->at[i]);
  vec_push(a, &r, j);
  return r;
}

static void add_part(Split *s, const IndexVec *plates, Term *value) {
  vec_push(s->arena, &s->parts, (Part){*plates, value});
}

static Term *exp_of(Arena *a, Term *t) { return term_op1(a, OP_EXP, term_to_real(a, t), t->span); }

/* The terms of an exponent, each multiplied by `by` (NULL: 1).  Those without a sum over copies add up in rest. */
static void split_exponent(Split *s, const IndexVec *plates, Term *t, Term *by, Term **rest) {
  Arena *a = s->arena;
  if (is_over_copies(t, REDUCE_SUM)) {
    IndexVec inner = with_plate(a, plates, t->index);
    Term *own = NULL;
    s->found = true;
    split_exponent(s, &inner, t->args.at[0], by, &own);
    if (own) add_part(s, &inner, exp_of(a, own));
    return;
  }
  if (t->kind == TERM_OP && has_edge(t)) {
    Term *x = t->args.at[0], *y = t->args.n > 1 ? t->args.at[1] : NULL, *minus = term_real(a, -1, t->span);
    switch ((int)t->op) {
    case OP_TO_REAL: split_exponent(s, plates, x, by, rest); return;
    case OP_NEG: split_exponent(s, plates, x, product(a, by, minus), rest); return;
    case OP_ADD:
    case OP_SUB:
      split_exponent(s, plates, x, by, rest);
      split_exponent(s, plates, y, t->op == OP_SUB ? product(a, by, minus) : by, rest);
      return;
    case OP_MUL:
      if (!has_edge(x))
        split_exponent(s, plates, y, product(a, by, x), rest);
      else if (!has_edge(y))
        split_exponent(s, plates, x, product(a, by, y), rest);
      else
        break;
      return;
    case OP_DIV: {
      if (has_edge(y)) break;
      Term *inverse = term_op2(a, OP_DIV, term_real(a, 1, y->span), term_to_real(a, y), y->span);
      split_exponent(s, plates, x, product(a, by, inverse), rest);
      return;
    }
    }
  }
  Term *own = product(a, by, t);
  *rest = *rest ? term_op2(a, OP_ADD, term_to_real(a, *rest), term_to_real(a, own), t->span) : own;
}

static void split_value(Split *s, const IndexVec *plates, Term *t) {
  if (is_over_copies(t, REDUCE_PROD)) {
    IndexVec inner = with_plate(s->arena, plates, t->index);
    s->found = true;
    split_value(s, &inner, t->args.at[0]);
  } else if (t->kind == TERM_OP && t->op == OP_MUL) {
    split_value(s, plates, t->args.at[0]);
    split_value(s, plates, t->args.at[1]);
  } else if (t->kind == TERM_OP && t->op == OP_TO_REAL) {
    split_value(s, plates, t->args.at[0]);
  } else if (t->kind == TERM_OP && t->op == OP_EXP) {
    Split inner = {.arena = s->arena};
    Term *rest = NULL;
    split_exponent(&inner, plates, t->args.at[0], NULL, &rest);
    if (!inner.found) {
      add_part(s, plates, t);
      return;
    }
    s->found = true;
    for (uint32_t i = 0; i < inner.parts.n; i++) vec_push(s->arena, &s->parts, inner.parts.at[i]);
    if (rest) add_part(s, plates, exp_of(s->arena, rest));
  } else {
    add_part(s, plates, t);
  }
}

/* ---- where one statement cannot be told from several ------------------------------------------------------------ */

typedef struct Present {
  const Term *ref;
  const struct Present *next;
} Present;

static bool is_test(const Term *t, OpKind op) {
  return t->kind == TERM_OP && t->op == op && t->args.at[0]->kind == TERM_EDGE && t->args.at[1]->kind == TERM_NONE;
}

/* May evaluating t use a none, other than in == and !=?  present: references that are known to be none no more. */
static bool may_use_none(const Term *t, const Present *present) {
  if (t->kind == TERM_EDGE && edge_has_none(t->edge)) {
    bool known = false;
    for (const Present *p = present; p; p = p->next) known |= term_equal(p->ref, t);
    if (!known) return true;
  }
  if (t->kind == TERM_IF) {
    const Term *c = t->args.at[0];
    Present here = {.ref = c->args.n ? c->args.at[0] : NULL, .next = present};
    return may_use_none(c, present) || may_use_none(t->args.at[1], is_test(c, OP_NE) ? &here : present) ||
           may_use_none(t->args.at[2], is_test(c, OP_EQ) ? &here : present);
  }
  bool looks = t->kind == TERM_OP && (t->op == OP_EQ || t->op == OP_NE);
  for (uint32_t i = 0; i < t->args.n; i++)
    if (!(looks && t->args.at[i]->kind == TERM_EDGE) && may_use_none(t->args.at[i], present)) return true;
  return false;
}

static bool asks_for_evidence(const Term *t) {
  if (t->kind == TERM_QUERY && (t->query == QUERY_LOGZ || t->query == QUERY_ELBO)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (asks_for_evidence(t->args.at[i])) return true;
  return false;
}

/* Is evidence asked for in a plate that the statement reaches across? */
static bool is_reached_across(const Model *m, const Weight *w) {
  for (uint32_t i = 0; i < m->outs.n; i++) {
    const Out *o = m->outs.at[i];
    for (uint32_t k = 0; k < o->plates.n; k++)
      if (!indices_hold(&w->plates, o->plates.at[k]) && asks_for_evidence(o->value)) return true;
  }
  return false;
}

/* ---- the model -------------------------------------------------------------------------------------------------- */

static Weight *part_of(Arena *a, const Weight *w, const Part *p, uint32_t id) {
  Weight *r = NEW(a, Weight);
  *r = *w;
  r->id = id;
  r->value = term_to_real(a, p->value);
  r->plates = (IndexVec){0};
  for (uint32_t i = 0; i < w->plates.n; i++) vec_push(a, &r->plates, w->plates.at[i]);
  for (uint32_t i = 0; i < p->plates.n; i++) vec_push(a, &r->plates, p->plates.at[i]);
  return r;
}

/* What mentions no edge goes with a part that is of all copies, where there is one: if it is 0 they have no value.
 * False: there is none, and it remains. */
static bool merge_constants(Split *s) {
  Part *all = NULL;
  bool left = false;
  for (uint32_t i = 0; i < s->parts.n; i++)
    if (!s->parts.at[i].plates.n && has_edge(s->parts.at[i].value)) all = &s->parts.at[i];
  uint32_t n = 0;
  for (uint32_t i = 0; i < s->parts.n; i++) {
    Part *part = &s->parts.at[i];
    bool constant = !has_edge(part->value);
    left |= constant && (part->plates.n || !all);
    if (!constant || part->plates.n || !all) continue;
    all->value = product(s->arena, part->value, all->value);
    part->value = NULL;
  }
  for (uint32_t i = 0; i < s->parts.n; i++)
    if (s->parts.at[i].value) s->parts.at[n++] = s->parts.at[i];
  s->parts.n = n;
  return !left;
}

const Model *split_weights(Arena *arena, const Model *m, uint32_t own, SplitWeights *splits) {
  Model *r = NULL;
  for (uint32_t i = 0; i < m->weights.n; i++) {
    const Weight *w = m->weights.at[i];
    Split s = {.arena = arena};
    if (w->kind != WEIGHT_POTENTIAL) continue;
    split_value(&s, &(IndexVec){0}, w->value);
    bool whole = !merge_constants(&s) && i >= own;
    if (whole || !s.found || !s.parts.n || may_use_none(w->value, NULL) || is_reached_across(m, w)) continue;
    if (!r) {
      r = NEW(arena, Model);
      *r = *m;
      memset(&r->weights, 0, sizeof r->weights);
      for (uint32_t k = 0; k < m->weights.n; k++) vec_push(arena, &r->weights, m->weights.at[k]);
    }
    SplitWeight note = {.whole = w};
    r->weights.at[i] = part_of(arena, w, &s.parts.at[0], w->id);
    vec_push(arena, &note.parts, r->weights.at[i]);
    for (uint32_t k = 1; k < s.parts.n; k++) {
      uint32_t id = r->weights.n;
      vec_push(arena, &r->weights, part_of(arena, w, &s.parts.at[k], id));
      vec_push(arena, &note.parts, vec_last(&r->weights));
    }
    if (i < own) vec_push(arena, splits, note);
  }
  return r ? r : m;
}
