/* check_range: what indices run over, and the domains of edges. */
#include "model/checker.h"

/* adj[i], where adj is a graph; false: it is none. */
static bool is_row(Checker *c, const Expr *e, Entity **graph) {
  const Expr *base = e->kind == EXPR_INDEX ? e->index.base : e;
  if (base->kind != EXPR_NAME) return false;
  *graph = lookup_quietly(c, base->name);
  return *graph && (*graph)->kind == ENTITY_INPUT && (*graph)->input->elem == ELEM_GRAPH;
}

static bool elab_row(Checker *c, const Expr *e, Entity *graph, Range *to) {
  c->input_used.at[graph->input->id] = true;
  if (e->kind != EXPR_INDEX || e->index.args.n != 1) {
    Diag *d = diag_error(c->diags, e->span, "a graph is read by row: expected '%s[i]'", name_text(c, graph->name));
    diag_note(c->diags, d, graph->span, "'%s' is declared here", name_text(c, graph->name));
    return false;
  }
  TermVec row = {0};
  if (!index_terms(c, &e->index.args, &row) || !indices_begin(c, &row, NULL)) return false;
  *to = (Range){.kind = RANGE_ROW, .span = e->span, .graph = graph->input, .row = row.at[0]};
  return true;
}

static bool elab_interval(Checker *c, const Domain *d, const char *what, Range *to) {
  Term *lo = d->hi ? scalar_int(c, d->lo, what) : term_int(c->arena, 0, d->span);
  Term *hi = scalar_int(c, d->hi ? d->hi : d->lo, what);
  if (!lo || !hi) return false;
  *to = (Range){.kind = RANGE_INTERVAL, .span = d->span, .lo = lo, .hi = hi};
  return true;
}

static bool elab_range(Checker *c, const Domain *d, const char *what, Range *to) {
  Entity *graph;
  if (!d->hi && is_row(c, d->lo, &graph)) return elab_row(c, d->lo, graph, to);
  return elab_interval(c, d, what, to);
}

static bool over_sizes(const Term *t) {
  return !(t->mentions &
           (MENTIONS_EDGE | MENTIONS_LATENT | MENTIONS_QUERY | MENTIONS_INPUT | MENTIONS_INDEX | MENTIONS_LET));
}

bool range_is_static(const Range *r) { return r->kind == RANGE_INTERVAL && over_sizes(r->lo) && over_sizes(r->hi); }

Term *range_extent(Checker *c, const Range *r) {
  if (r->kind == RANGE_ROW) return term_int(c->arena, 0, r->span);
  return term_op2(c->arena, OP_SUB, r->hi, r->lo, r->span);
}

Term *range_origin(Checker *c, const Range *r) { return r->kind == RANGE_ROW ? term_int(c->arena, 0, r->span) : r->lo; }

static bool range_allowed(Checker *c, const Range *r, MentionPlace place) {
  bool good = !r->lo || mention_allowed(c, r->lo, place, r->span);
  if (good && r->hi) good = mention_allowed(c, r->hi, place, r->span);
  return good && r->row ? mention_allowed(c, r->row, place, r->span) : good;
}

Index *bind_index(Checker *c, const Binder *b, IndexRole role, const char *what) {
  Range r;
  MentionPlace place = role == INDEX_REDUCE ? PLACE_REDUCE_BOUND : PLACE_BOUND;
  if (!elab_range(c, &b->domain, what, &r) || !range_allowed(c, &r, place)) {
    declare_name(c, ENTITY_POISON, b->name, NULL);
    return NULL;
  }
  Index *i = new_index(c, b->name.sym, role, r, b->name.span);
  declare_name(c, ENTITY_INDEX, b->name, i);
  return i;
}

/* ---- domains of edges --------------------------------------------------------------------------- */

static const struct { const char *word; DomainKind kind; uint32_t arity; } DOMAINS[] = {
  {"tree", DOMAIN_TREE, 1},
  {"projective_tree", DOMAIN_PROJECTIVE_TREE, 1},
  {"permutation", DOMAIN_PERMUTATION, 1},
  {"matching", DOMAIN_MATCHING, 2},
};
enum { DOMAIN_COUNT = sizeof DOMAINS / sizeof *DOMAINS };

static const struct { const char *word, *what; } NOT_YET[] = {
  {"dpp", "determinantal point processes are"}, {"determinantal", "determinantal point processes are"},
  {"k_dpp", "determinantal point processes are"}, {"constituency", "constituency trees are"},
  {"constituency_tree", "constituency trees are"}, {"undirected_tree", "undirected trees are"},
  {"spanning_tree", "undirected trees are"}, {"subset", NULL},
};

static bool unknown_domain(Checker *c, Name name) {
  const char *word = name_text(c, name.sym);
  for (size_t i = 0; i < sizeof NOT_YET / sizeof *NOT_YET; i++) {
    if (strcmp(NOT_YET[i].word, word)) continue;
    if (NOT_YET[i].what) {
      diag_error(c->diags, name.span, "%s not in version 1 of the language", NOT_YET[i].what);
    } else {
      Diag *d = diag_error(c->diags, name.span, "there is no domain '%s'", word);
      diag_hint(c->diags, d, "a subset is an 'edge a in bit' in a plate with 'require sum(j in N) a[j] == K'");
    }
    return false;
  }
  const char *words[DOMAIN_COUNT];
  for (size_t i = 0; i < DOMAIN_COUNT; i++) words[i] = DOMAINS[i].word;
  const char *near = nearest_word(word, words, DOMAIN_COUNT);
  Diag *d = diag_error(c->diags, name.span,
                       "there is no domain '%s'; expected a size, lo..hi, a row of a graph, bit, tree(N), "
                       "projective_tree(N), permutation(N) or matching(M, N)",
                       word);
  if (near) diag_hint(c->diags, d, "did you mean '%s'?", near);
  else if (!strcmp(word, "range")) diag_hint(c->diags, d, "write 'lo..hi'");
  return false;
}

/* roots = any, or roots = one (the default). */
static bool roots(Checker *c, const Arg *a, Edge *e) {
  const char *word = a->value->kind == EXPR_NAME ? name_text(c, a->value->name) : "";
  bool named = !strcmp(name_text(c, a->name.sym), "roots");
  if (named && e->domain == DOMAIN_TREE && !strcmp(word, "any")) return e->many_roots = true;
  if (named && e->domain == DOMAIN_TREE && a->value->kind == EXPR_INT && a->value->integer == 1) return true;
  diag_error(c->diags, a->name.span, "unknown argument '%s' of a domain; only tree(N, roots = any) has one",
             name_text(c, a->name.sym));
  return false;
}

static bool structured_sizes(Checker *c, const Expr *call, uint32_t arity, Edge *e) {
  Term *sizes[2] = {NULL, NULL};
  uint32_t n = 0;
  for (uint32_t i = 0; i < call->call.args.n; i++) {
    const Arg *a = &call->call.args.at[i];
    if (a->name.sym) {
      if (!roots(c, a, e)) return false;
      continue;
    }
    Term *t = n < 2 ? scalar_int(c, a->value, "the size of a domain") : NULL;
    if (n < 2 && !t) return false;
    if (n < 2 && !mention_allowed(c, t, PLACE_BOUND, a->value->span)) return false;
    if (n < 2) sizes[n] = t;
    n++;
  }
  if (n != arity) {
    diag_error(c->diags, call->span, "'%s' takes %u size%s; %u given", name_text(c, call->call.callee.sym), arity,
               arity == 1 ? "" : "s", n);
    return false;
  }
  e->m = arity == 2 ? sizes[0] : NULL;
  e->n = sizes[arity - 1];
  return true;
}

static bool structured(Checker *c, const Expr *call, Edge *e) {
  const char *word = name_text(c, call->call.callee.sym);
  for (size_t i = 0; i < DOMAIN_COUNT; i++) {
    if (strcmp(DOMAINS[i].word, word)) continue;
    e->domain = DOMAINS[i].kind;
    return structured_sizes(c, call, DOMAINS[i].arity, e);
  }
  return unknown_domain(c, call->call.callee);
}

static bool is_bit(Checker *c, const Expr *e) {
  return e->kind == EXPR_NAME && !strcmp(name_text(c, e->name), "bit") && !lookup_quietly(c, e->name);
}

/* A structured word without its brackets. */
static bool bare_word(Checker *c, const Expr *e) {
  if (e->kind != EXPR_NAME || lookup_quietly(c, e->name)) return false;
  for (size_t i = 0; i < DOMAIN_COUNT; i++)
    if (!strcmp(DOMAINS[i].word, name_text(c, e->name))) {
      diag_error(c->diags, e->span, "'%s' needs its size%s in brackets", DOMAINS[i].word,
                 DOMAINS[i].arity > 1 ? "s" : "");
      return true;
    }
  return false;
}

static bool is_function(Checker *c, const Expr *e) {
  return lookup_def(c, e->call.callee.sym) || is_builtin(name_text(c, e->call.callee.sym));
}

bool elab_edge_domain(Checker *c, const Domain *d, Edge *e) {
  if (!d->hi && is_bit(c, d->lo)) return e->domain = DOMAIN_BIT, true;
  if (!d->hi && d->lo->kind == EXPR_CALL && !is_function(c, d->lo)) return structured(c, d->lo, e);
  if (!d->hi && bare_word(c, d->lo)) return false;
  e->domain = DOMAIN_RANGE;
  return elab_range(c, d, "the domain of an edge", &e->range) && range_allowed(c, &e->range, PLACE_SUPPORT);
}
