/* print: terms and whole models as text close to the language's own.
 *
 * A term is printed as an expression that means the same: brackets only where precedence needs them,
 * conversions left out (the language inserts them again), every edge and latent with all its indices.
 * A vector's axis is an ordinary index, so `dot(a, b)` appears as `sum(d in D) a[d] * b[d]`. */
#include "model/term.h"

#include <math.h>
#include <stdlib.h>

#include "base/text.h"

/* An axis that is left off: the vector's components are meant all at once. */
typedef struct Dropped { const Index *index; const struct Dropped *next; } Dropped;
typedef struct Printer { const Model *m; FILE *to; const TermStyle *style; const Dropped *dropped; } Printer;

/* Binding strengths, loosest first. */
enum { LOOSE, OR_, AND_, NOT_, COMPARE, SUM, PRODUCT, MINUS, POWER, ATOM };

static void print(Printer *p, const Term *t, int around);

static const char *text(Printer *p, Sym s) { return sym_text(p->m->names, s); }

static void list(Printer *p, const TermVec *v, const char *open, const char *close) {
  fputs(open, p->to);
  for (uint32_t i = 0; i < v->n; i++) {
    if (i) fputs(", ", p->to);
    print(p, v->at[i], LOOSE);
  }
  fputs(close, p->to);
}

static bool is_dropped(const Dropped *d, const Term *t) {
  for (; d; d = d->next)
    if (t->kind == TERM_INDEX && t->index == d->index) return true;
  return false;
}

/* How many indices are written. */
static uint32_t kept_indices(const Dropped *d, const TermVec *indices) {
  uint32_t n = indices->n;
  while (n && is_dropped(d, indices->at[n - 1])) n--;
  return n;
}

static void element(Printer *p, Sym name, const TermVec *indices) {
  TermVec kept = *indices;
  kept.n = kept_indices(p->dropped, indices);
  fputs(text(p, name), p->to);
  if (kept.n) list(p, &kept, "[", "]");
}

static bool is_element(const Term *t) { return t->kind == TERM_INPUT || t->kind == TERM_LET || t->kind == TERM_LATENT; }

/* Does d->index stand in t, and only where an element would leave it off? */
static bool only_trailing(const Dropped *d, const Term *t, bool *found) {
  if (t->kind == TERM_INDEX) return t->index != d->index;
  uint32_t n = is_element(t) ? kept_indices(d, &t->args) : t->args.n;
  for (uint32_t i = n; i < t->args.n; i++) *found |= t->args.at[i]->index == d->index;
  for (uint32_t i = 0; i < n; i++)
    if (!only_trailing(d, t->args.at[i], found)) return false;
  if (t->kind != TERM_REDUCE || t->index->range.kind != RANGE_INTERVAL) return true;
  return only_trailing(d, t->index->range.lo, found) && only_trailing(d, t->index->range.hi, found);
}

static bool can_drop(const Dropped *d, const Term *t) {
  bool found = false;
  return only_trailing(d, t, &found) && found;
}

/* A sum over a vector's axis that is written as dot(x, y) or sum(x). */
static bool is_whole_sum(const Printer *p, const Term *t) {
  if (!p->style || t->kind != TERM_REDUCE || t->reduce != REDUCE_SUM || t->index->role != INDEX_AXIS) return false;
  return can_drop(&(Dropped){t->index, p->dropped}, t->args.at[0]);
}

static void whole_sum(Printer *p, const Term *t) {
  const Term *x = t->args.at[0];
  Dropped d = {t->index, p->dropped};
  bool dot = x->kind == TERM_OP && x->op == OP_MUL && can_drop(&d, x->args.at[0]) && can_drop(&d, x->args.at[1]) &&
             !(x->args.at[0]->kind == TERM_OP && x->args.at[0]->op == OP_MUL);
  p->dropped = &d;
  if (dot) {
    fputs("dot", p->to);
    list(p, &x->args, "(", ")");
  } else {
    fputs("sum(", p->to);
    print(p, x, LOOSE);
    fputs(")", p->to);
  }
  p->dropped = d.next;
}

static void range(Printer *p, const Range *r) {
  if (r->kind == RANGE_ROW) {
    fprintf(p->to, "%s[", text(p, r->graph->name));
    print(p, r->row, LOOSE);
    fputs("]", p->to);
  } else if (r->lo->kind == TERM_INT && r->lo->integer == 0) {
    print(p, r->hi, SUM);
  } else {
    print(p, r->lo, SUM);
    fputs("..", p->to);
    print(p, r->hi, SUM);
  }
}

/* Whole numbers below this have no exponent. */
static const double WHOLE = 1e7;

/* The shortest decimal that reads back as the same double, never one that reads as an integer. */
static void real_literal(FILE *to, double v) {
  char buf[40];
  if (isinf(v)) {
    fputs(v < 0 ? "-inf" : "inf", to);
    return;
  }
  if (v == floor(v) && fabs(v) < WHOLE) {
    fprintf(to, "%.1f", v);
    return;
  }
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(buf, sizeof buf, "%.*g", digits, v);
    if (strtod(buf, NULL) == v) break;
  }
  fputs(buf, to);
  if (!strpbrk(buf, ".en")) fputs(".0", to);
}

static int op_strength(OpKind op) {
  switch ((int)op) {
    case OP_OR: return OR_;
    case OP_AND: return AND_;
    case OP_NOT: return NOT_;
    case OP_EQ: case OP_NE: case OP_LT: case OP_LE: case OP_GT: case OP_GE: return COMPARE;
    case OP_ADD: case OP_SUB: return SUM;
    case OP_MUL: case OP_DIV: case OP_FLOORDIV: case OP_MOD: return PRODUCT;
    case OP_NEG: return MINUS;
    case OP_POW: return POWER;
    default: return ATOM;
  }
}

static int strength(const Term *t) {
  if (t->kind == TERM_OP && t->op == OP_TO_REAL) return strength(t->args.at[0]);
  if (t->kind == TERM_OP) return op_strength(t->op);
  if (t->kind == TERM_IF) return LOOSE;
  if (t->kind == TERM_REDUCE) return SUM;
  if ((t->kind == TERM_INT && t->integer < 0) || (t->kind == TERM_REAL && signbit(t->real))) return MINUS;
  return ATOM;
}

static void binary(Printer *p, const Term *t) {
  int s = op_strength(t->op);
  bool right = t->op == OP_POW, chains = s != COMPARE;
  print(p, t->args.at[0], right || !chains ? s + 1 : s);
  fprintf(p->to, right ? "%s" : " %s ", op_name(t->op));
  print(p, t->args.at[1], right ? s : s + 1);
}

static void op(Printer *p, const Term *t) {
  if (t->op == OP_TO_REAL) {
    print(p, t->args.at[0], LOOSE);
  } else if (t->op == OP_NEG || t->op == OP_NOT) {
    fputs(t->op == OP_NEG ? "-" : "not ", p->to);
    print(p, t->args.at[0], op_strength(t->op));
  } else if (op_strength(t->op) != ATOM) {
    binary(p, t);
  } else {
    fputs(op_name(t->op), p->to);
    list(p, &t->args, "(", ")");
  }
}

static void conditional(Printer *p, const Term *t) {
  fputs("if ", p->to);
  print(p, t->args.at[0], LOOSE);
  fputs(" then ", p->to);
  print(p, t->args.at[1], LOOSE);
  fputs(" else ", p->to);
  print(p, t->args.at[2], LOOSE);
}

static void reduce(Printer *p, const Term *t) {
  static const char *const NAMES[] = {"sum", "prod", "max", "min"};
  fprintf(p->to, "%s(%s in ", NAMES[t->reduce], text(p, t->index->name));
  range(p, &t->index->range);
  fputs(") ", p->to);
  print(p, t->args.at[0], t->args.at[0]->kind == TERM_REDUCE ? SUM : PRODUCT);
}

static void copies(Printer *p, const Term *t) {
  fputs("(", p->to);
  for (uint32_t i = 0; i < t->copies.n; i++) {
    const CopySet *c = &t->copies.at[i];
    fprintf(p->to, "%s%s", i ? ", " : "", text(p, c->edge->name));
    if (c->fixed.n) list(p, &c->fixed, "[", c->fixed.n < edge_rank(c->edge) ? ", ...]" : "]");
  }
  fputs(")", p->to);
}

const char *query_name(QueryKind q) {
  static const char *const NAMES[] = {"E",    "P",  "mode", "sample", "entropy", "count",
                                      "logZ", "kl", "elbo", "param",  "share"};
  return NAMES[q];
}

static void query(Printer *p, const Term *t) {
  fputs(query_name(t->query), p->to);
  switch (t->query) {
    case QUERY_E: case QUERY_P: list(p, &t->args, "[", "]"); break;
    case QUERY_ENTROPY: case QUERY_COUNT: case QUERY_KL: copies(p, t); break;
    case QUERY_MODE: case QUERY_SAMPLE: case QUERY_SHARE: list(p, &t->args, "(", ")"); break;
    case QUERY_ELBO:
      if (t->args.n) list(p, &t->args, "(", ")");
      break;
    case QUERY_PARAM:
      fputs("(", p->to);
      print(p, t->args.at[0], LOOSE);
      fprintf(p->to, ", %lld)", (long long)t->args.at[1]->integer + 1);
      break;
    case QUERY_LOGZ: break;
  }
}

static void body(Printer *p, const Term *t) {
  switch (t->kind) {
    case TERM_INT: fprintf(p->to, "%lld", (long long)t->integer); return;
    case TERM_REAL: real_literal(p->to, t->real); return;
    case TERM_BOOL: fputs(t->truth ? "true" : "false", p->to); return;
    case TERM_NONE: fputs("none", p->to); return;
    case TERM_SIZE: fputs(text(p, t->size->name), p->to); return;
    case TERM_INDEX: fputs(text(p, t->index->name), p->to); return;
    case TERM_INPUT: element(p, t->input->name, &t->args); return;
    case TERM_LET: element(p, t->let->name, &t->args); return;
    case TERM_EDGE: element(p, t->edge->name, &t->args); return;
    case TERM_LATENT: element(p, t->latent->name, &t->args); return;
    case TERM_OP: op(p, t); return;
    case TERM_IF: conditional(p, t); return;
    case TERM_REDUCE: reduce(p, t); return;
    case TERM_QUERY: query(p, t); return;
  }
}

static void print(Printer *p, const Term *t, int around) {
  if (p->style && p->style->term && p->style->term(p->style->ctx, t, p->to)) return;
  if (is_whole_sum(p, t)) {
    whole_sum(p, t);
    return;
  }
  bool brackets = strength(t) < around;
  if (brackets) fputc('(', p->to);
  body(p, t);
  if (brackets) fputc(')', p->to);
}

void term_print(const Model *m, const Term *t, FILE *to) { print(&(Printer){.m = m, .to = to}, t, LOOSE); }

static void print_whole(Printer *p, const Term *t, const IndexVec *axes, uint32_t n) {
  if (n == 0) {
    print(p, t, LOOSE);
    return;
  }
  Dropped d = {axes->at[n - 1], p->dropped};
  if (can_drop(&d, t)) p->dropped = &d;
  print_whole(p, t, axes, n - 1);
  p->dropped = d.next;
}

void term_print_styled(const Model *m, const Term *t, const TermStyle *style, const IndexVec *axes, FILE *to) {
  print_whole(&(Printer){.m = m, .to = to, .style = style}, t, axes, axes ? axes->n : 0);
}

static void add_trailing(Arena *a, const Term *t, const IndexVec *axes, uint32_t n, const Dropped *dropped,
                         IndexVec *left_off) {
  if (n == 0) return;
  Dropped d = {axes->at[n - 1], dropped};
  bool drop = can_drop(&d, t);
  if (drop) vec_push(a, left_off, axes->at[n - 1]);
  add_trailing(a, t, axes, n - 1, drop ? &d : dropped, left_off);
}

IndexVec term_trailing_axes(Arena *a, const Term *t, const IndexVec *axes) {
  IndexVec last_first = {0}, v = {0};
  add_trailing(a, t, axes, axes->n, NULL, &last_first);
  for (uint32_t i = last_first.n; i-- > 0;) vec_push(a, &v, last_first.at[i]);
  return v;
}

char *term_text(const Model *m, Arena *a, const Term *t) {
  Text *text = text_open(a);
  term_print(m, t, text->to);
  return text_close(text, NULL);
}

/* ---- the whole model ---------------------------------------------------------------------------- */

static void binders(Printer *p, const IndexVec *v, const char *open, const char *close) {
  if (!v->n) return;
  fputs(open, p->to);
  for (uint32_t i = 0; i < v->n; i++) {
    fprintf(p->to, "%s%s in ", i ? ", " : "", text(p, v->at[i]->name));
    range(p, &v->at[i]->range);
  }
  fputs(close, p->to);
}

static void input(Printer *p, const Input *in) {
  static const char *const ELEMS[] = {"real", "f64", "f32", "f16", "bf16", "int", "bool", "graph"};
  fprintf(p->to, "  %s %s: %s", in->is_param ? "param" : "data", text(p, in->name), ELEMS[in->elem]);
  if (in->dims.n) list(p, &in->dims, "[", "]");
  if (in->init) {
    binders(p, &in->init_at, " = [", "] ");
    fputs(in->init_at.n ? "" : " = ", p->to);
    print(p, in->init, LOOSE);
  }
  fputc('\n', p->to);
}

static void let(Printer *p, const Let *l) {
  fprintf(p->to, "  let %s", text(p, l->name));
  binders(p, &l->plates, "{", "}");
  binders(p, &l->own, "[", "]");
  binders(p, &l->axes, ": [", "]");
  fputs(" = ", p->to);
  print(p, l->value, LOOSE);
  fputc('\n', p->to);
}

static void edge(Printer *p, const Edge *e) {
  fprintf(p->to, "  edge %s", text(p, e->name));
  binders(p, &e->plates, "[", "]");
  fputs(" in ", p->to);
  TermVec sizes = {0};
  Term *mn[2] = {e->m ? e->m : e->n, e->n};
  sizes.at = mn;
  sizes.n = e->m ? 2 : 1;
  switch (e->domain) {
    case DOMAIN_RANGE: range(p, &e->range); break;
    case DOMAIN_BIT: fputs("bit", p->to); break;
    case DOMAIN_TREE: list(p, &sizes, "tree(", e->many_roots ? ", roots = any)" : ")"); break;
    case DOMAIN_PROJECTIVE_TREE: list(p, &sizes, "projective_tree(", ")"); break;
    case DOMAIN_PERMUTATION: list(p, &sizes, "permutation(", ")"); break;
    case DOMAIN_MATCHING: list(p, &sizes, "matching(", ")"); break;
  }
  if (e->or_none) fputs(" or none", p->to);
  if (e->where) {
    fputs(" where ", p->to);
    print(p, e->where, LOOSE);
  }
  fputc('\n', p->to);
}

static void latent(Printer *p, const Latent *z) {
  fprintf(p->to, "  latent %s", text(p, z->name));
  binders(p, &z->plates, "{", "}");
  binders(p, &z->own, "[", "]");
  binders(p, &z->axes, ": [", "]");
  fputc('\n', p->to);
}

static void weight(Printer *p, const Weight *w) {
  static const char *const WORDS[] = {"prior", "potential", "observe", "require"};
  fprintf(p->to, "  %s", WORDS[w->kind]);
  binders(p, &w->plates, " {", "}");
  binders(p, &w->axes, " [", "]");
  fputc(' ', p->to);
  if (w->kind == WEIGHT_POTENTIAL || w->kind == WEIGHT_REQUIRE) {
    print(p, w->value, LOOSE);
    if (w->value->nonnegative && w->kind == WEIGHT_POTENTIAL) fputs("   # >= 0", p->to);
  } else {
    print(p, w->left, LOOSE);
    fprintf(p->to, " ~ %s", dist_name(w->dist));
    list(p, &w->params, "(", ")");
    if (w->edge_ref && w->edge_ref != w->left) {
      fputs("   # of ", p->to);
      print(p, w->edge_ref, LOOSE);
    }
  }
  fputc('\n', p->to);
}

static void argument(Printer *p, const char *name, const Term *t, bool *first) {
  if (!t) return;
  fprintf(p->to, "%s%s = ", *first ? "(" : ", ", name);
  print(p, t, LOOSE);
  *first = false;
}

static void infer(Printer *p, const Infer *f) {
  static const char *const METHODS[] = {"exact", "mode", "sample", "top", "entmax", "sinkhorn", "bethe", "collapsed"};
  static const char *const QS[] = {"point", "gaussian", "conjugate"}, *const STEPS[] = {"auto", "closed", "gradient"};
  fputs("  infer", p->to);
  for (uint32_t i = 0; i < f->edges.n; i++) fprintf(p->to, "%s%s", i ? ", " : " ", text(p, f->edges.at[i]->name));
  for (uint32_t i = 0; i < f->latents.n; i++) fprintf(p->to, "%s%s", i ? ", " : " ", text(p, f->latents.at[i]->name));
  fprintf(p->to, " by %s", METHODS[f->method]);
  bool first = true;
  argument(p, "steps", f->steps, &first);
  argument(p, "n", f->n, &first);
  argument(p, "seed", f->seed, &first);
  argument(p, "k", f->k, &first);
  argument(p, "alpha", f->alpha, &first);
  argument(p, "tau", f->tau, &first);
  if (f->method == INFER_COLLAPSED) fprintf(p->to, ", q = %s, method = %s", QS[f->q], STEPS[f->step]);
  argument(p, "rate", f->rate, &first);
  argument(p, "damping", f->damping, &first);
  argument(p, "tol", f->tol, &first);
  for (uint32_t i = 0; i < f->init.n; i++) argument(p, "init", f->init.at[i], &first);
  fputs(first ? "\n" : ")\n", p->to);
}

static void out(Printer *p, const Out *o) {
  fprintf(p->to, "  out %s", text(p, o->name));
  binders(p, &o->slots, "[", "]");
  binders(p, &o->axes, ": [", "]");
  fputs(" = ", p->to);
  print(p, o->value, LOOSE);
  static const char *const TYPES[] = {"bool", "int", "real"};
  fprintf(p->to, "   # %s%s\n", TYPES[o->type], o->is_count ? ", a count" : "");
}

void model_print(const Model *m, FILE *to) {
  Printer p = {.m = m, .to = to};
  fprintf(to, "model %s(", sym_text(m->names, m->name));
  for (uint32_t i = 0; i < m->sizes.n; i++)
    fprintf(to, "%s%s", i ? ", " : "", sym_text(m->names, m->sizes.at[i]->name));
  fputs(") {\n", to);
  for (uint32_t i = 0; i < m->inputs.n; i++) input(&p, m->inputs.at[i]);
  for (uint32_t i = 0; i < m->lets.n; i++) let(&p, m->lets.at[i]);
  for (uint32_t i = 0; i < m->edges.n; i++) edge(&p, m->edges.at[i]);
  for (uint32_t i = 0; i < m->latents.n; i++) latent(&p, m->latents.at[i]);
  for (uint32_t i = 0; i < m->weights.n; i++) weight(&p, m->weights.at[i]);
  for (uint32_t i = 0; i < m->infers.n; i++) infer(&p, m->infers.at[i]);
  for (uint32_t i = 0; i < m->outs.n; i++) out(&p, m->outs.at[i]);
  fputs("}\n", to);
}
