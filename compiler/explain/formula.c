/* formula: see formula.h.  Everything goes through the term printer with a style that replaces references to edges
 * and queries. */
#include "explain/formula_parts.h"

#include "base/text.h"
#include "model/term.h"

static const char *name(const Facts *f, Sym s) { return sym_text(f->m->names, s); }

/* ---- letters ----------------------------------------------------------------------------------------------------- */

static bool is_taken(const Facts *f, const char *text) {
  const Model *m = f->m;
  for (uint32_t i = 0; i < f->names.n; i++)
    if (!strcmp(f->names.at[i].name, text)) return true;
  for (uint32_t i = 0; i < m->inputs.n; i++)
    if (!strcmp(name(f, m->inputs.at[i]->name), text)) return true;
  for (uint32_t i = 0; i < m->lets.n; i++)
    if (!strcmp(name(f, m->lets.at[i]->name), text)) return true;
  for (uint32_t i = 0; i < m->latents.n; i++)
    if (!strcmp(name(f, m->latents.at[i]->name), text)) return true;
  for (uint32_t i = 0; i < m->sizes.n; i++)
    if (!strcmp(name(f, m->sizes.at[i]->name), text)) return true;
  return false;
}

/* `skip` letters are left for others. */
static const char *free_letter(const Facts *f, uint32_t skip) {
  static const char *const LETTERS[] = {"j", "l", "r", "s", "t", "u", "m", "n", "a", "b", "c", "d", "e", "g", "h"};
  for (uint32_t i = 0; i < sizeof LETTERS / sizeof *LETTERS; i++)
    if (!is_taken(f, LETTERS[i]) && skip-- == 0) return LETTERS[i];
  return arena_printf(f->arena, "value%u", skip + 1);
}

/* for its values */
static const char *letter_of(const Facts *f, const Edge *e) { return free_letter(f, e->id); }

/* ---- references to edges ----------------------------------------------------------------------------------------- */

static bool is_own(const Term *t) {
  for (uint32_t i = 0; i < t->edge->plates.n; i++)
    if (t->args.at[i]->kind != TERM_INDEX || t->args.at[i]->index != t->edge->plates.at[i]) return false;
  return true;
}

static int known_place(const Say *s, const Term *t) {
  for (uint32_t i = 0; i < s->known.n; i++)
    if (term_equal(s->known.at[i], t)) return (int)i;
  return -1;
}

const char *say_letter(const Say *s, const Term *t) {
  if (s->letters && s->f->plan->of_edge[t->edge->id] == s->letters && is_own(t) && !edge_is_structured(t->edge))
    return letter_of(s->f, t->edge);
  int at = known_place(s, t);
  if (at < 0) return NULL;
  bool first = true; /* another reference to the same edge needs another letter */
  for (int i = 0; i < at; i++) first &= s->known.at[i]->edge != t->edge;
  return first ? letter_of(s->f, t->edge) : free_letter(s->f, s->f->m->edges.n + (uint32_t)at - 1);
}

void say_reference(Say *s, const Term *t, FILE *to) {
  fputs(name(s->f, t->edge->name), to);
  uint32_t from = !s->letters && !s->known.n && is_own(t) && !s->root ? t->edge->plates.n : 0;
  for (uint32_t i = from; i < t->args.n; i++) {
    fputs(i == from ? "[" : ", ", to);
    say_term(s, t->args.at[i], NULL, to);
  }
  if (t->args.n > from) fputs("]", to);
}

static const char *moment_text(const Term *t) {
  switch (t->moment) {
  case MOMENT_VALUE: case MOMENT_MEAN: return NULL;
  case MOMENT_VARIANCE: return "Var[%s]";
  case MOMENT_LOG: return "E[log %s]";
  case MOMENT_LOG1M: return "E[log(1 - %s)]";
  }
  return NULL;
}

static void print_moment(Say *s, const Term *t, FILE *to) {
  Term plain = *t;
  plain.moment = MOMENT_VALUE;
  const char *text = moment_text(t), *hole = strstr(text, "%s");
  fprintf(to, "%.*s", (int)(hole - text), text);
  say_term(s, &plain, NULL, to);
  fputs(hole + 2, to);
}

static bool special(void *ctx, const Term *t, FILE *to) {
  Say *s = ctx;
  if (t->kind == TERM_LATENT && moment_text(t)) {
    print_moment(s, t, to);
    return true;
  }
  if (t->kind == TERM_EDGE) {
    const char *letter = say_letter(s, t);
    if (letter) fputs(letter, to);
    else say_reference(s, t, to);
    return true;
  }
  if (t->kind != TERM_QUERY) return false;
  if (!s->root) return say_existence(s, t, "P[", "]", to);
  bool brackets = t != s->root;
  if (brackets) fputs("(", to);
  say_query(s, t, to);
  if (brackets) fputs(")", to);
  return true;
}

void say_term(Say *s, const Term *t, const IndexVec *axes, FILE *to) {
  TermStyle style = {special, s};
  term_print_styled(s->f->m, t, &style, axes ? axes : s->axes, to);
}

const char *room_text(const Facts *f, const TermVec *room) {
  const char *text = plain_text(f, room->at[0], NULL);
  for (uint32_t i = 1; i < room->n; i++)
    text = arena_printf(f->arena, "max(%s, %s)", text, plain_text(f, room->at[i], NULL));
  return text;
}

const char *plain_text(const Facts *f, const Term *t, const IndexVec *axes) {
  Text *text = text_open(f->arena);
  say_term(&(Say){.f = f}, t, axes, text->to);
  return text_close(text, NULL);
}

const char *range_text(const Facts *f, const Range *r) {
  if (r->kind == RANGE_ROW)
    return arena_printf(f->arena, "%s[%s]", name(f, r->graph->name), plain_text(f, r->row, NULL));
  if (r->lo->kind == TERM_INT && r->lo->integer == 0) return plain_text(f, r->hi, NULL);
  return arena_printf(f->arena, "%s..%s", plain_text(f, r->lo, NULL), plain_text(f, r->hi, NULL));
}

static const char *indices_text(const Facts *f, const IndexVec *v) {
  const char *text = "";
  for (uint32_t i = 0; i < v->n; i++)
    text = arena_printf(f->arena, "%s%s%s", text, i ? ", " : "", name(f, v->at[i]->name));
  return text;
}

const char *edge_ref_text(const Facts *f, const Edge *e) {
  if (!e->plates.n) return name(f, e->name);
  return arena_printf(f->arena, "%s[%s]", name(f, e->name), indices_text(f, &e->plates));
}

/* ---- weights and supports ---------------------------------------------------------------------------------------- */

static const char *letters_text(const Facts *f, const Component *c, const Term *t) {
  Text *text = text_open(f->arena);
  say_term(&(Say){.f = f, .letters = c}, t, NULL, text->to);
  return text_close(text, NULL);
}

static const char *params_text(const Facts *f, const Component *c, const Weight *w) {
  const char *text = "";
  for (uint32_t i = 0; i < w->params.n; i++) {
    const char *p = c ? letters_text(f, c, w->params.at[i]) : plain_text(f, w->params.at[i], &w->axes);
    text = arena_printf(f->arena, "%s%s%s", text, i ? ", " : "", p);
  }
  return text;
}

const char *prior_text(const Facts *f, const Edge *e) {
  if (!e->prior || e->prior->dist == DIST_UNIFORM) return e->domain == DOMAIN_BIT ? "uniform (1/2 each)" : "uniform";
  const Weight *w = e->prior;
  const char *dist = arena_printf(f->arena, "%s(%s)", dist_name(w->dist), params_text(f, NULL, w));
  return w->left->kind == TERM_EDGE ? dist : arena_printf(f->arena, "%s of %s", dist, plain_text(f, w->left, NULL));
}

const char *weight_text(const Facts *f, const Weight *w) {
  switch (w->kind) {
  case WEIGHT_POTENTIAL: return arena_printf(f->arena, "weighted by %s", plain_text(f, w->value, &w->axes));
  case WEIGHT_REQUIRE: return arena_printf(f->arena, "only where %s", plain_text(f, w->value, NULL));
  case WEIGHT_OBSERVE:
    return arena_printf(f->arena, "observed: %s ~ %s(%s)", plain_text(f, w->left, &w->axes), dist_name(w->dist),
                        params_text(f, NULL, w));
  case WEIGHT_PRIOR:
    return arena_printf(f->arena, "prior: %s ~ %s(%s)", plain_text(f, w->left, &w->axes), dist_name(w->dist),
                        params_text(f, NULL, w));
  }
  return "?";
}

static const char *domain_text(const Facts *f, const Edge *e) {
  const char *letter = letter_of(f, e);
  switch (e->domain) {
  case DOMAIN_BIT: return "on or off (1 or 0)";
  case DOMAIN_RANGE: {
    const char *range = range_text(f, &e->range);
    if (e->range.kind == RANGE_ROW) return arena_printf(f->arena, "one neighbour %s in %s", letter, range);
    bool from_zero = e->range.lo->kind == TERM_INT && e->range.lo->integer == 0;
    return from_zero ? arena_printf(f->arena, "one of %s values %s", range, letter)
                     : arena_printf(f->arena, "one value %s in %s", letter, range);
  }
  case DOMAIN_TREE: return arena_printf(f->arena, "a parent for each of %s nodes", plain_text(f, e->n, NULL));
  case DOMAIN_PROJECTIVE_TREE:
    return arena_printf(f->arena, "a parent for each of %s nodes, no two arcs crossing", plain_text(f, e->n, NULL));
  case DOMAIN_PERMUTATION: return arena_printf(f->arena, "a permutation of %s", plain_text(f, e->n, NULL));
  case DOMAIN_MATCHING:
    return arena_printf(f->arena, "different partners for %s among %s", plain_text(f, e->m, NULL),
                        plain_text(f, e->n, NULL));
  }
  return "?";
}

const char *support_text(const Facts *f, const Edge *e) {
  const char *text = domain_text(f, e);
  if (e->or_none) text = arena_printf(f->arena, "%s, or none", text);
  if (!e->where) return text;
  const char *cond = letters_text(f, f->plan->of_edge[e->id], e->where);
  return arena_printf(f->arena, e->domain == DOMAIN_BIT ? "%s; off unless %s" : "%s with %s", text, cond);
}

const char *infer_text(const Facts *f, const Infer *i) {
  switch (i->method) {
  case INFER_EXACT: return "exact";
  case INFER_MODE: return "all probability on the most probable joint value (mode)";
  case INFER_SAMPLE: return arena_printf(f->arena, "the mean over %s exact draws (sample)", plain_text(f, i->n, NULL));
  case INFER_TOP:
    return arena_printf(f->arena, "the %s largest weights of each copy, renormalised (top)", plain_text(f, i->k, NULL));
  case INFER_ENTMAX: return arena_printf(f->arena, "entmax with alpha = %s", plain_text(f, i->alpha, NULL));
  case INFER_SINKHORN:
    return arena_printf(f->arena, "Sinkhorn's approximation, %s steps", plain_text(f, i->steps, NULL));
  case INFER_BETHE:
    return arena_printf(f->arena, "the Bethe approximation, %s steps", i->steps ? plain_text(f, i->steps, NULL) : "?");
  case INFER_COLLAPSED:
    return arena_printf(f->arena, "collapsed variational inference, %s steps", plain_text(f, i->steps, NULL));
  }
  return "?";
}

/* ---- posteriors -------------------------------------------------------------------------------------------------- */

typedef struct Mentioned { const Facts *f; const Component *c; bool any, other_copy; } Mentioned;

static void note_edge(const Term *t, void *ctx) {
  Mentioned *m = ctx;
  if (t->kind != TERM_EDGE || m->f->plan->of_edge[t->edge->id] != m->c) return;
  m->any = true;
  m->other_copy |= !is_own(t) || edge_is_structured(t->edge);
}

static Mentioned mentioned_in(const Facts *f, const Component *c, const Weight *w) {
  Mentioned m = {.f = f, .c = c};
  const Term *parts[] = {w->value, w->left, w->edge_ref};
  for (uint32_t i = 0; i < 3; i++)
    if (parts[i]) term_walk(parts[i], note_edge, &m);
  for (uint32_t i = 0; i < w->params.n; i++) term_walk(w->params.at[i], note_edge, &m);
  return m;
}

static const char *factor_text(const Facts *f, const Component *c, const Weight *w) {
  switch (w->kind) {
  case WEIGHT_POTENTIAL: {
    const char *text = letters_text(f, c, w->value);
    return w->value->kind == TERM_IF || w->value->kind == TERM_REDUCE ? arena_printf(f->arena, "(%s)", text) : text;
  }
  case WEIGHT_REQUIRE: return arena_printf(f->arena, "[%s]", letters_text(f, c, w->value));
  case WEIGHT_PRIOR:
    if (w->dist == DIST_WEIGHTS) return arena_printf(f->arena, "(%s)", params_text(f, c, w));
    if (w->dist == DIST_LOGITS) return arena_printf(f->arena, "exp(%s)", params_text(f, c, w));
    break;
  case WEIGHT_OBSERVE: break;
  }
  const char *between = w->params.n ? "; " : "";
  return arena_printf(f->arena, "%s(%s%s%s)", dist_name(w->dist), letters_text(f, c, w->left), between,
                      params_text(f, c, w));
}

/* The plates of w that the component has not: a product over them. */
static const char *product_over(const Facts *f, const Component *c, const Weight *w, bool is_joint) {
  const char *text = "";
  for (uint32_t i = 0; i < w->plates.n; i++) {
    bool shared = false;
    for (uint32_t k = 0; k < c->plates.n && !is_joint; k++) shared |= c->plates.at[k] == w->plates.at[i];
    if (shared) continue;
    const char *range = range_text(f, &w->plates.at[i]->range);
    text = arena_printf(f->arena, "%sprod(%s in %s) ", text, name(f, w->plates.at[i]->name), range);
  }
  return text;
}

static const char *posterior_left(const Facts *f, const Component *c, bool is_joint) {
  const char *text = "p(";
  for (uint32_t i = 0; i < c->edges.n; i++) {
    const Edge *e = c->edges.at[i];
    text = is_joint ? arena_printf(f->arena, "%s%s%s", text, i ? ", " : "", name(f, e->name))
                    : arena_printf(f->arena, "%s%s%s = %s", text, i ? ", " : "", edge_ref_text(f, e), letter_of(f, e));
  }
  return arena_printf(f->arena, "%s | x)", text);
}

static const char *values_text(const Facts *f, const Component *c, bool is_joint) {
  const char *text = "";
  for (uint32_t i = 0; i < c->edges.n; i++) {
    const Edge *e = c->edges.at[i];
    const char *range = e->domain == DOMAIN_BIT     ? "{0, 1}"
                        : e->domain == DOMAIN_RANGE ? range_text(f, &e->range)
                                                    : domain_text(f, e);
    const char *left = is_joint ? edge_ref_text(f, e) : letter_of(f, e);
    const char *relation = edge_is_structured(e) ? "is" : "in";
    text = arena_printf(f->arena, "%s%s%s %s %s", text, i ? "; " : is_joint ? "all " : "", left, relation, range);
    if (e->where) text = arena_printf(f->arena, "%s with %s", text, letters_text(f, is_joint ? NULL : c, e->where));
    if (e->or_none) text = arena_printf(f->arena, "%s, or none (there, a weight that uses %s is 1)", text, left);
  }
  return text;
}

static bool all_uniform(const Component *c) {
  for (uint32_t i = 0; i < c->edges.n; i++)
    if (c->edges.at[i]->priors.n) return false;
  return true;
}

static const char *log_z_text(const Facts *f, const Component *c, bool is_joint) {
  const char *at = c->plates.n && !is_joint ? arena_printf(f->arena, "[%s]", indices_text(f, &c->plates)) : "";
  if (is_joint) return "log Z = log of the sum over all joint values of the normalised priors times the weights";
  const char *letters = "";
  for (uint32_t i = 0; i < c->edges.n; i++)
    letters = arena_printf(f->arena, "%s%s%s", letters, i ? ", " : "", letter_of(f, c->edges.at[i]));
  const char *what =
      all_uniform(c) ? "(the mean of this weight over" : "(the sum of normalised prior times potentials over";
  return arena_printf(f->arena, "log Z%s = log %s %s)", at, what, letters);
}

Posterior posterior_of(const Facts *f, const Component *c) {
  Posterior p = {0};
  for (uint32_t i = 0; i < c->edges.n; i++) p.is_joint |= edge_is_structured(c->edges.at[i]);
  for (uint32_t i = 0; i < f->m->weights.n; i++) p.is_joint |= mentioned_in(f, c, f->m->weights.at[i]).other_copy;
  for (uint32_t i = 0; i < f->m->weights.n; i++) {
    const Weight *w = f->m->weights.at[i];
    if (!mentioned_in(f, c, w).any || (w->kind == WEIGHT_PRIOR && w->dist == DIST_UNIFORM)) continue;
    const char *text = factor_text(f, p.is_joint ? NULL : c, w);
    vec_push(f->arena, &p.factors, arena_printf(f->arena, "%s%s", product_over(f, c, w, p.is_joint), text));
  }
  if (!p.factors.n) vec_push(f->arena, &p.factors, "1");
  p.left = posterior_left(f, c, p.is_joint);
  p.values = values_text(f, c, p.is_joint);
  p.log_z = log_z_text(f, c, p.is_joint);
  return p;
}
