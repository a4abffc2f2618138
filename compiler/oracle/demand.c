/* demand: walks every term of the model once, telling each input what stands above it asks of it.
 *
 * A first walk learns what dimension each bound variable (index or edge) is used to index; a second one
 * hands those dimensions to the ints that bound the variables' ranges. */
#include "oracle/demand.h"

typedef struct Walker {
  Arena *arena;
  const Model *model;
  Demand *demands;
  const Term **index_limit, **edge_limit; /* what dimension the variable indexes */
  bool *seen_index, *seen_let;
  bool second;
} Walker;

typedef struct Ask { Role role; const Term *limit; bool inclusive; } Ask;

static const Ask nothing = {ROLE_FREE, NULL, false};
static Ask ask(Role role) { return (Ask){role, NULL, false}; }

static void walk(Walker *w, const Term *t, Ask a);

/* ---- ranges ------------------------------------------------------------------------------------------- */

static const Input *root_input(const Term *t) {
  if (t->kind == TERM_INPUT) return t->input;
  if (t->kind == TERM_OP && (t->op == OP_ADD || t->op == OP_SUB)) return root_input(t->args.at[0]);
  return NULL;
}

static void walk_range(Walker *w, const Range *r, const Term *limit) {
  if (r->kind == RANGE_ROW) {
    walk(w, r->row, (Ask){ROLE_FREE, r->graph->dims.at[0], false});
    return;
  }
  Ask a = {ROLE_FREE, limit, true};
  walk(w, r->lo, a);
  walk(w, r->hi, a);
  const Input *lo = root_input(r->lo), *hi = root_input(r->hi);
  if (lo && lo == hi) w->demands[lo->id].sorted = true;
}

static void walk_index(Walker *w, const Index *x) {
  if (w->seen_index[x->id]) return;
  w->seen_index[x->id] = true;
  walk_range(w, &x->range, w->second ? w->index_limit[x->id] : NULL);
}

static void walk_indices(Walker *w, const IndexVec *v) {
  for (uint32_t k = 0; k < v->n; k++) walk_index(w, v->at[k]);
}

/* ---- references ------------------------------------------------------------------------------------------ */

static const Term *end_of(const Index *x) { return x->range.kind == RANGE_INTERVAL ? x->range.hi : NULL; }

static void note_limit(Walker *w, const Term *arg, const Term *limit) {
  if (arg->kind == TERM_INDEX && !w->index_limit[arg->index->id]) w->index_limit[arg->index->id] = limit;
  if (arg->kind == TERM_EDGE && !w->edge_limit[arg->edge->id]) w->edge_limit[arg->edge->id] = limit;
}

static void walk_argument(Walker *w, const Term *arg, const Term *limit) {
  if (limit) note_limit(w, arg, limit);
  walk(w, arg, (Ask){ROLE_FREE, limit, false});
}

static void walk_arguments(Walker *w, const Term *t, const IndexVec *a, const IndexVec *b, const IndexVec *c) {
  uint32_t n = 0;
  const IndexVec *groups[3] = {a, b, c};
  for (int g = 0; g < 3; g++)
    for (uint32_t k = 0; groups[g] && k < groups[g]->n && n < t->args.n; k++, n++)
      walk_argument(w, t->args.at[n], end_of(groups[g]->at[k]));
  for (; n < t->args.n; n++) walk_argument(w, t->args.at[n], NULL);
}

static void walk_input(Walker *w, const Term *t, Ask a) {
  Demand *d = &w->demands[t->input->id];
  if (a.role != ROLE_FREE && (d->role == ROLE_FREE || d->role == ROLE_POSITIVE)) d->role = a.role;
  bool known =
      a.limit && !(a.limit->mentions & (MENTIONS_INPUT | MENTIONS_LET)); /* other inputs may not be drawn yet */
  if (known && w->second) vec_push(w->arena, &d->limits, (Limit){a.limit, a.inclusive});
  for (uint32_t k = 0; k < t->args.n; k++) walk_argument(w, t->args.at[k], t->input->dims.at[k]);
}

/* ---- operators -------------------------------------------------------------------------------------------- */

/* The end of the range of a variable that is compared as it is, or NULL. */
static const Term *compared_end(const Term *t) {
  if (t->kind == TERM_OP && (t->op == OP_ADD || t->op == OP_SUB)) {
    const Term *end = compared_end(t->args.at[0]);
    return end ? end : compared_end(t->args.at[1]);
  }
  if (t->kind == TERM_INDEX) return end_of(t->index);
  if (t->kind == TERM_EDGE && t->edge->domain == DOMAIN_RANGE && t->edge->range.kind == RANGE_INTERVAL)
    return t->edge->range.hi;
  return NULL;
}

static void walk_compare(Walker *w, const Term *t) {
  const Term *l = t->args.at[0], *r = t->args.at[1];
  walk(w, l, (Ask){ROLE_FREE, l->type == TYPE_INT ? compared_end(r) : NULL, true});
  walk(w, r, (Ask){ROLE_FREE, l->type == TYPE_INT ? compared_end(l) : NULL, true});
}

static void walk_op(Walker *w, const Term *t, Ask a) {
  Ask inner = nothing;
  switch ((int)t->op) {
  case OP_EQ: case OP_NE: case OP_LT: case OP_LE: case OP_GT: case OP_GE: walk_compare(w, t); return;
  case OP_ADD: case OP_SUB: case OP_MUL: case OP_TO_REAL: case OP_MIN: case OP_MAX: case OP_CLAMP:
    inner = a.role == ROLE_SIMPLEX ? ask(ROLE_POSITIVE) : a;
    break;
  case OP_DIV:
    walk(w, t->args.at[0], a.role == ROLE_SIMPLEX ? ask(ROLE_POSITIVE) : a);
    walk(w, t->args.at[1], ask(ROLE_POSITIVE));
    return;
  case OP_FLOORDIV: case OP_MOD:
    walk(w, t->args.at[0], nothing);
    walk(w, t->args.at[1], ask(ROLE_DIVISOR));
    return;
  case OP_LOG: case OP_SQRT: case OP_LGAMMA: case OP_DIGAMMA: inner = ask(ROLE_POSITIVE); break;
  case OP_POW:
    walk(w, t->args.at[0], t->args.at[1]->kind == TERM_INT ? a : ask(ROLE_POSITIVE));
    walk(w, t->args.at[1], nothing);
    return;
  default: break;
  }
  for (uint32_t k = 0; k < t->args.n; k++) walk(w, t->args.at[k], inner);
}

static void walk_copies(Walker *w, const Term *t) {
  for (uint32_t k = 0; k < t->copies.n; k++)
    for (uint32_t i = 0; i < t->copies.at[k].fixed.n; i++) walk(w, t->copies.at[k].fixed.at[i], nothing);
}

static void walk_let(Walker *w, const Let *l, Ask a) {
  if (w->seen_let[l->id] && a.role == ROLE_FREE && !a.limit) return;
  w->seen_let[l->id] = true;
  walk_indices(w, &l->plates);
  walk_indices(w, &l->own);
  walk_indices(w, &l->axes);
  walk(w, l->value, a);
}

static void walk(Walker *w, const Term *t, Ask a) {
  if (!t) return;
  switch (t->kind) {
  case TERM_INT: case TERM_REAL: case TERM_BOOL: case TERM_NONE: case TERM_SIZE: return;
  case TERM_INDEX: walk_index(w, t->index); return;
  case TERM_INPUT: walk_input(w, t, a); return;
  case TERM_LET:
    walk_arguments(w, t, &t->let->plates, &t->let->own, &t->let->axes);
    walk_let(w, t->let, a);
    return;
  case TERM_EDGE: walk_arguments(w, t, &t->edge->plates, NULL, NULL); return;
  case TERM_LATENT: walk_arguments(w, t, &t->latent->plates, &t->latent->own, &t->latent->axes); return;
  case TERM_OP: walk_op(w, t, a); return;
  case TERM_IF:
    walk(w, t->args.at[0], nothing);
    walk(w, t->args.at[1], a);
    walk(w, t->args.at[2], a);
    return;
  case TERM_REDUCE:
    walk_index(w, t->index);
    walk(w, t->args.at[0], a);
    return;
  case TERM_QUERY:
    walk_copies(w, t);
    for (uint32_t k = 0; k < t->args.n; k++) walk(w, t->args.at[k], nothing);
    return;
  }
}

/* ---- statements -------------------------------------------------------------------------------------------- */

static Role param_role(Dist d, uint32_t k) {
  switch (d) {
  case DIST_BERNOULLI: case DIST_GEOMETRIC: case DIST_STICK_BREAKING: return ROLE_PROBABILITY;
  case DIST_BINOMIAL: return k ? ROLE_PROBABILITY : ROLE_COUNT;
  case DIST_NORMAL: case DIST_LAPLACE: return k ? ROLE_POSITIVE : ROLE_FREE;
  case DIST_STUDENT_T: return k == 1 ? ROLE_FREE : ROLE_POSITIVE;
  case DIST_WEIGHTS: case DIST_BETA_GEOMETRIC: case DIST_POISSON: case DIST_EXPONENTIAL: case DIST_GAMMA:
  case DIST_BETA: case DIST_DIRICHLET: return ROLE_POSITIVE;
  case DIST_UNIFORM: case DIST_LOGITS: case DIST_BERNOULLI_LOGIT: break;
  }
  return ROLE_FREE;
}

static Role value_role(Dist d) {
  switch (d) {
  case DIST_BERNOULLI: case DIST_BERNOULLI_LOGIT: return ROLE_BINARY;
  case DIST_GEOMETRIC: case DIST_BETA_GEOMETRIC: case DIST_POISSON: case DIST_BINOMIAL: return ROLE_COUNT;
  case DIST_EXPONENTIAL: case DIST_GAMMA: return ROLE_POSITIVE;
  case DIST_BETA: return ROLE_PROBABILITY;
  case DIST_DIRICHLET: return ROLE_SIMPLEX;
  case DIST_NORMAL: case DIST_LAPLACE: case DIST_STUDENT_T: case DIST_UNIFORM: case DIST_WEIGHTS: case DIST_LOGITS:
  case DIST_STICK_BREAKING: break;
  }
  return ROLE_FREE;
}

static void walk_weight(Walker *w, const Weight *x) {
  walk_indices(w, &x->plates);
  walk_indices(w, &x->axes);
  if (x->kind == WEIGHT_POTENTIAL) walk(w, x->value, ask(ROLE_POSITIVE));
  if (x->kind == WEIGHT_REQUIRE) walk(w, x->value, nothing);
  if (x->kind == WEIGHT_POTENTIAL || x->kind == WEIGHT_REQUIRE) return;
  walk(w, x->left, x->kind == WEIGHT_OBSERVE ? ask(value_role(x->dist)) : nothing);
  for (uint32_t k = 0; k < x->params.n; k++) walk(w, x->params.at[k], ask(param_role(x->dist, k)));
}

static void walk_infer(Walker *w, const Infer *x) {
  walk(w, x->steps, ask(ROLE_COUNT));
  walk(w, x->n, ask(ROLE_DIVISOR));
  walk(w, x->k, ask(ROLE_DIVISOR));
  walk(w, x->tau, ask(ROLE_POSITIVE));
  walk(w, x->rate, ask(ROLE_PROBABILITY));
  walk(w, x->damping, ask(ROLE_PROBABILITY));
  for (uint32_t k = 0; k < x->init.n && k < x->latents.n; k++) {
    const Weight *prior = x->latents.at[k]->prior;
    walk(w, x->init.at[k], prior ? ask(value_role(prior->dist)) : nothing);
  }
}

static void walk_model(Walker *w) {
  const Model *m = w->model;
  memset(w->seen_index, 0, m->index_count);
  memset(w->seen_let, 0, m->lets.n);
  for (uint32_t k = 0; k < m->lets.n; k++) walk_let(w, m->lets.at[k], nothing);
  for (uint32_t k = 0; k < m->weights.n; k++) walk_weight(w, m->weights.at[k]);
  for (uint32_t k = 0; k < m->infers.n; k++) walk_infer(w, m->infers.at[k]);
  for (uint32_t k = 0; k < m->outs.n; k++) {
    walk_indices(w, &m->outs.at[k]->plates);
    walk_indices(w, &m->outs.at[k]->slots);
    walk_indices(w, &m->outs.at[k]->axes);
    walk(w, m->outs.at[k]->value, nothing);
  }
  for (uint32_t k = 0; k < m->edges.n; k++) {
    const Edge *e = m->edges.at[k];
    walk_indices(w, &e->plates);
    if (e->domain == DOMAIN_RANGE) walk_range(w, &e->range, w->second ? w->edge_limit[e->id] : NULL);
    walk(w, e->where, nothing);
  }
}

Demand *draw_demands(Arena *arena, const Model *m) {
  Walker w = {.arena = arena, .model = m};
  w.demands = NEW_ARRAY(arena, Demand, m->inputs.n);
  w.index_limit = NEW_ARRAY(arena, const Term *, m->index_count);
  w.edge_limit = NEW_ARRAY(arena, const Term *, m->edges.n);
  w.seen_index = NEW_ARRAY(arena, bool, m->index_count);
  w.seen_let = NEW_ARRAY(arena, bool, m->lets.n);
  walk_model(&w);
  w.second = true;
  walk_model(&w);
  return w.demands;
}
