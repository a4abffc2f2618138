/* formula_query: queries written out as sums over the values of edges, by the laws of formula.h. */
#include "base/text.h"
#include "explain/formula_parts.h"
#include "model/term.h"

static void expect(Say *s, const Term *t, FILE *to);

static bool has_edge(const Term *t) { return t->mentions & MENTIONS_FREE_EDGE; }

static const Term *bare(const Term *t) {
  while (t->kind == TERM_OP && t->op == OP_TO_REAL) t = t->args.at[0];
  return t;
}

static bool is_bit(const Term *t) { return bare(t)->kind == TERM_EDGE && bare(t)->edge->domain == DOMAIN_BIT; }

/* References to edges, those inside the indices of others first; each once. */
static void collect(const Facts *f, const Term *t, RefVec *refs) {
  for (uint32_t i = 0; i < t->args.n; i++) collect(f, t->args.at[i], refs);
  if (t->kind != TERM_EDGE) return;
  for (uint32_t i = 0; i < refs->n; i++)
    if (term_equal(refs->at[i], t)) return;
  vec_push(f->arena, refs, t);
}

static bool same_copy(const Say *s, const Term *a, const Term *b) {
  if (s->f->plan->of_edge[a->edge->id] != s->f->plan->of_edge[b->edge->id] || a->args.n != b->args.n) return false;
  for (uint32_t i = 0; i < a->args.n; i++)
    if (!term_equal(a->args.at[i], b->args.at[i])) return false;
  return true;
}

static const Infer *method_of(const RefVec *refs) {
  for (uint32_t i = 0; i < refs->n; i++) {
    const Infer *by = refs->at[i]->edge->infer;
    if (by && by->method != INFER_EXACT) return by;
  }
  return NULL;
}

static void print_probability(Say *s, const RefVec *refs, uint32_t from, uint32_t until, FILE *to) {
  fputs("p(", to);
  for (uint32_t i = from; i < until; i++) {
    if (i > from) fputs(", ", to);
    uint32_t all = s->known.n;
    s->known.n = from; /* the copy is named by what came before */
    say_reference(s, refs->at[i], to);
    s->known.n = all;
    fprintf(to, " = %s", say_letter(s, refs->at[i]));
  }
  fputs(")", to);
}

/* sum(j in N) p(phi[i] = j) * ..., one sum for each copy. */
static void expect_by_sums(Say *s, const Term *t, const RefVec *refs, FILE *to) {
  RefVec outside = s->known;
  s->known = *refs;
  for (uint32_t i = 0, until; i < refs->n; i = until) {
    for (until = i + 1; until < refs->n && same_copy(s, refs->at[i], refs->at[until]);) until++;
    for (uint32_t k = i; k < until; k++) fprintf(to, "%s%s", k == i ? "sum_" : ",", say_letter(s, refs->at[k]));
    fputs(" ", to);
    print_probability(s, refs, i, until, to);
    fputs(until < refs->n ? " " : " * ", to);
  }
  bool brackets = t->kind == TERM_OP && (t->op == OP_ADD || t->op == OP_SUB);
  fputs(brackets ? "(" : "", to);
  say_term(s, t, NULL, to);
  fputs(brackets ? ")" : "", to);
  s->known = outside;
}

static void expect_leaf(Say *s, const Term *t, FILE *to) {
  RefVec refs = {0};
  collect(s->f, t, &refs);
  const Infer *by = method_of(&refs);
  if (by) {
    say_term(s, t, NULL, to);
    fputs(by->method == INFER_MODE     ? " at the most probable value"
          : by->method == INFER_SAMPLE ? ", mean over draws"
                                       : ", approximated",
          to);
    return;
  }
  expect_by_sums(s, t, &refs, to);
}

static void bit_probability(Say *s, const Term *t, FILE *to) {
  fputs("p(", to);
  say_reference(s, bare(t), to);
  fputs(" = 1)", to);
}

static void expect_binary(Say *s, const Term *t, FILE *to) {
  const char *between = t->op == OP_ADD ? " + " : t->op == OP_SUB ? " - " : t->op == OP_MUL ? " * " : " / ";
  const Term *b = bare(t->args.at[1]);
  bool sum = b->kind == TERM_OP && (b->op == OP_ADD || b->op == OP_SUB), brackets = t->op != OP_ADD && sum;
  const Term *a = bare(t->args.at[0]);
  bool left = (t->op == OP_MUL || t->op == OP_DIV) && a->kind == TERM_OP && (a->op == OP_ADD || a->op == OP_SUB);
  fputs(left ? "(" : "", to);
  expect(s, t->args.at[0], to);
  fprintf(to, "%s%s%s", left ? ")" : "", between, brackets ? "(" : "");
  expect(s, t->args.at[1], to);
  fputs(brackets ? ")" : "", to);
}

/* Is it linear in what has edges? */
static bool is_linear(const Term *t) {
  if (t->kind != TERM_OP || t->args.n != 2) return false;
  bool x = has_edge(t->args.at[0]), y = has_edge(t->args.at[1]);
  if (t->op == OP_ADD || t->op == OP_SUB) return true;
  if (t->op == OP_DIV) return !y;
  return t->op == OP_MUL && (!x || !y || (is_bit(t->args.at[0]) && !y) || (is_bit(t->args.at[1]) && !x));
}

static void expect(Say *s, const Term *t, FILE *to) {
  t = bare(t);
  bool approximate = false;
  RefVec refs = {0};
  collect(s->f, t, &refs);
  approximate = method_of(&refs) != NULL;
  if (!has_edge(t)) {
    say_term(s, t, NULL, to);
  } else if (is_bit(t) && !approximate) {
    bit_probability(s, t, to);
  } else if (is_linear(t) && !approximate) {
    expect_binary(s, t, to);
  } else if (t->kind == TERM_REDUCE && t->reduce == REDUCE_SUM && !approximate && t->index->role != INDEX_AXIS) {
    fprintf(to, "sum(%s in %s) ", sym_text(s->f->m->names, t->index->name), range_text(s->f, &t->index->range));
    expect(s, t->args.at[0], to);
  } else {
    expect_leaf(s, t, to);
  }
}

/* An event phi == t is a probability as it stands. */
static void print_event(Say *s, const Term *t, FILE *to) {
  fputs("p(", to);
  const Term *x = t->kind == TERM_OP && t->op == OP_EQ ? t->args.at[0] : NULL;
  if (x && x->kind == TERM_EDGE && !has_edge(t->args.at[1])) {
    say_reference(s, x, to);
    fputs(" = ", to);
    say_term(s, t->args.at[1], NULL, to);
  } else {
    say_term(s, t, NULL, to);
  }
  fputs(")", to);
}

static void print_copies(const Say *s, const Term *t, FILE *to) {
  for (uint32_t i = 0; i < t->copies.n; i++)
    fprintf(to, "%s%s", i ? ", " : "",
            t->copies.at[i].fixed.n ? edge_ref_text(s->f, t->copies.at[i].edge)
                                    : sym_text(s->f->m->names, t->copies.at[i].edge->name));
}

bool say_existence(Say *s, const Term *t, const char *open, const char *close, FILE *to) {
  const Term *ref = t->query == QUERY_E || t->query == QUERY_P ? term_of_existence(t->args.at[0]) : NULL;
  if (!ref) return false;
  fputs(open, to);
  say_reference(s, ref, to);
  fprintf(to, " exists%s", close);
  return true;
}

void say_query(Say *s, const Term *t, FILE *to) {
  if (say_existence(s, t, "p(", ")", to)) return;
  switch (t->query) {
  case QUERY_E: expect(s, t->args.at[0], to); return;
  case QUERY_P: print_event(s, t->args.at[0], to); return;
  case QUERY_MODE: fputs("most probable value of ", to); break;
  case QUERY_SAMPLE: fputs("one draw of ", to); break;
  case QUERY_ENTROPY: fputs("-E[log p] of ", to); break;
  case QUERY_COUNT: fputs("number of values of ", to); break;
  case QUERY_KL: fputs("E[log(p / prior)] of ", to); break;
  case QUERY_SHARE: fputs("Z(A) / Z of ", to); break;
  case QUERY_LOGZ: fputs("log Z", to); return;
  case QUERY_ELBO: fputs("lower bound on log Z", to); return;
  case QUERY_PARAM: fputs("a parameter of the latent's distribution", to); return;
  }
  if (t->copies.n) print_copies(s, t, to);
  else say_reference(s, t->args.at[0], to);
}

const char *out_text(const Facts *f, const Out *o) {
  Text *text = text_open(f->arena);
  IndexVec axes = term_trailing_axes(f->arena, o->value, &o->axes);
  Say s = {.f = f, .root = o->value, .axes = &axes};
  say_term(&s, o->value, NULL, text->to);
  return text_close(text, NULL);
}
