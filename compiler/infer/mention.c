/* mention: what a bracket mentions, as far as it is known.
 *
 * A reference names a copy once its index values are known; until then the copy is *reached* through the value of an
 * edge, or named by the variable of a sum.  What is mentioned falls into parts that are independent given what is
 * known. */
#include "infer/chain.h"
#include "infer/expect.h"
#include "infer/network.h"
#include "infer/structure.h"
#include "model/term.h"

/* ---- what a bracket mentions ----------------------------------------------------------------------------- */

/* Does t use an index that has no value here? */
static bool unbound(const Context *x, const Term *t) {
  if (t->kind == TERM_INDEX) return !find_bound(x, t->index);
  for (uint32_t i = 0; i < t->args.n; i++)
    if (unbound(x, t->args.at[i])) return true;
  return false;
}

bool range_unresolved(Context *x, const Range *r) {
  return (r->lo && unresolved(x, r->lo)) || (r->hi && unresolved(x, r->hi)) || (r->row && unresolved(x, r->row));
}

bool args_unresolved(Context *x, const Term *t) {
  for (uint32_t i = 0; i < t->args.n; i++)
    if (unresolved(x, t->args.at[i])) return true;
  return false;
}

bool args_unbound(Context *x, const Term *t) {
  for (uint32_t i = 0; i < t->args.n; i++)
    if (unbound(x, t->args.at[i])) return true;
  return false;
}

bool names_by_binder(Context *x, const Term *t) {
  const Range *r = t->kind == TERM_REDUCE ? &t->index->range : NULL;
  if (r && ((r->lo && names_by_binder(x, r->lo)) || (r->hi && names_by_binder(x, r->hi)) ||
            (r->row && names_by_binder(x, r->row))))
    return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (names_by_binder(x, t->args.at[i])) return true;
  return t->kind == TERM_EDGE && !args_unresolved(x, t) && args_unbound(x, t);
}

Copy silent_copy(Context *x, const Term *ref) {
  Context y = with_guard(x, build_bool(B(x), false));
  return copy_of(&y, ref);
}

static bool has_point(const Context *x, const Term *ref) {
  return x->points && point_of(x, x->d->plan->of_edge[ref->edge->id]);
}

bool unresolved(Context *x, const Term *t) {
  if (t->kind == TERM_EDGE) {
    if (args_unresolved(x, t)) return true;
    if (has_point(x, t)) return false;
    if (args_unbound(x, t)) return true;
    Copy copy = silent_copy(x, t);
    return !find_known(x, copy.c, t->edge, copy.at);
  }
  return args_unresolved(x, t) || (t->kind == TERM_REDUCE && range_unresolved(x, &t->index->range));
}

static void add_component(Context *x, Mentions *m, Component *c) {
  for (uint32_t i = 0; i < m->reached_in.n; i++)
    if (m->reached_in.at[i] == c) return;
  vec_push(x->d->arena, &m->reached_in, c);
}

static void add_mention(Context *x, Mentions *m, Copy copy, const Term *ref) {
  for (uint32_t i = 0; i < m->list.n; i++)
    if (m->list.at[i].edge == ref->edge && same_copy(x, copy.c, m->list.at[i].copy.at, copy.at)) return;
  vec_push(x->d->arena, &m->list, (Mention){copy, ref->edge, ref});
}

void collect(Context *x, Mentions *m, const Term *t) {
  for (uint32_t i = 0; i < t->args.n; i++) collect(x, m, t->args.at[i]);
  if (t->kind == TERM_REDUCE) {
    const Range *r = &t->index->range;
    if (r->lo) collect(x, m, r->lo);
    if (r->hi) collect(x, m, r->hi);
    if (r->row) collect(x, m, r->row);
  }
  if (t->kind != TERM_EDGE) return;
  Component *c = x->d->plan->of_edge[t->edge->id];
  if (args_unresolved(x, t)) {
    m->reached = true;
    add_component(x, m, c);
  } else if (has_point(x, t)) {
    return;
  } else if (args_unbound(x, t)) {
    m->under_binder = true;
    add_component(x, m, c);
  } else {
    Copy copy = silent_copy(x, t);
    if (!find_known(x, c, t->edge, copy.at)) add_mention(x, m, copy, t);
  }
}

Mentions mentions_of(Context *x, const Term *t) {
  Mentions m = {0};
  collect(x, &m, t);
  return m;
}

/* ---- parts of a component that are independent given what is known --------------------------------------- */

static const Node *node_of(const Node *n, const Edge *e) {
  if (n->edge == e) return n;
  for (uint32_t i = 0; i < n->children.n; i++) {
    const Node *found = node_of(n->children.at[i], e);
    if (found) return found;
  }
  return NULL;
}

const Node *top_unknown(Context *x, const Mention *m) {
  if (m->copy.c->chain) return m->copy.c->nodes[component_place(m->copy.c, m->edge)];
  const Node *n = node_of(m->copy.c->root, m->edge), *top = n;
  for (; n; n = n->parent)
    if (!find_known(x, m->copy.c, n->edge, m->copy.at)) top = n;
  return top;
}

static bool same_part(Context *x, const Mention *a, const Mention *b) {
  if (a->copy.c->structure) return are_of_one(x, a->copy, b->copy);
  return a->copy.c == b->copy.c && same_copy(x, a->copy.c, a->copy.at, b->copy.at) &&
         (a->copy.c->chain || top_unknown(x, a) == top_unknown(x, b));
}

bool may_depend(Context *x, const Mention *a, const Mention *b) {
  return is_joined_to_others(a->copy.c) ? may_be_of_one(x, a->copy, b->copy) : same_part(x, a, b);
}

bool single_part(Context *x, const Mentions *m) {
  if (m->under_binder) return false;
  for (uint32_t i = 1; i < m->list.n; i++)
    if (!same_part(x, &m->list.at[0], &m->list.at[i])) return false;
  return true;
}

/* ---- what is known of conditions and copies ----------------------------------------------------------------- */

bool is_known_here(Context *x, const Term *t) { return !unresolved(x, t) && !unbound(x, t); }

bool is_logic(const Term *t) { return t->kind == TERM_OP && (t->op == OP_AND || t->op == OP_OR); }

bool left_is_known(Context *x, const Term *t) { return is_logic(t) && is_known_here(x, t->args.at[0]); }

bool is_partly_known(const Context *x, Copy copy) {
  if (copy.c->chain) return chain_known((Context *)x, copy);
  if (copy.c->network) return network_known((Context *)x, copy);
  for (uint32_t i = 0; i < copy.c->edges.n; i++)
    if (find_known(x, copy.c, copy.c->edges.at[i], copy.at)) return true;
  return false;
}

bool has_choice_by(const Term *t, const Index *j) {
  bool choice = t->kind == TERM_IF || is_logic(t);
  if (choice && term_mentions_index(t->args.at[0], j) && term_mentions_edge(t, NULL)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (has_choice_by(t->args.at[i], j)) return true;
  return false;
}

bool range_unbound(const Context *x, const Range *r) {
  return (r->lo && unbound(x, r->lo)) || (r->hi && unbound(x, r->hi)) || (r->row && unbound(x, r->row));
}

bool sum_chooses(const Term *t) {
  if (t->kind == TERM_REDUCE && has_choice_by(t->args.at[0], t->index)) return true;
  for (uint32_t i = 0; i < t->args.n; i++)
    if (sum_chooses(t->args.at[i])) return true;
  return false;
}
