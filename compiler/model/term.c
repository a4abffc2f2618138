/* term: constructors of scalar terms.
 *
 * Terms are immutable trees that may share subtrees.  Each constructor keeps the summary fields of the
 * result (mentions, depth, size, nonnegative) from those of its parts, so that a question such as "is
 * there an edge in it" costs nothing and a tree that sharing has made huge is noticed before it is walked.
 * Folding is limited to what keeps sizes and bounds readable: int constants, x + 0, x * 1, literal
 * conditions, and the square of a root of what is proved >= 0.  An int fold that would overflow is left
 * unfolded for the run to report. */
#include "model/term.h"

#include <limits.h>

static const struct { const char *name; int arity; char types[2]; } OPS[] = {
#define OP(ID, name, arity, types) {name, arity, #types},
#include "model/op.def"
#undef OP
};

static const struct { const char *name; int arity; } DISTS[] = {
#define DIST(ID, name, n, on) {name, n},
#include "model/dist.def"
#undef DIST
};

const char *op_name(OpKind op) { return OPS[op].name; }
int op_arity(OpKind op) { return OPS[op].arity; }
char op_types(OpKind op) { return OPS[op].types[0]; }
const char *dist_name(Dist d) { return DISTS[d].name; }
int dist_arity(Dist d) { return DISTS[d].arity; }

/* ---- summaries ---------------------------------------------------------------------------------- */

static void absorb(Term *t, const Term *part) {
  if (!part) return;
  t->mentions |= part->mentions;
  if (part->depth >= t->depth) t->depth = part->depth + 1;
  t->nodes = part->nodes > UINT32_MAX - t->nodes ? UINT32_MAX : t->nodes + part->nodes;
}

static void absorb_range(Term *t, const Range *r) {
  absorb(t, r->lo);
  absorb(t, r->hi);
  absorb(t, r->row);
  if (r->graph) t->mentions |= MENTIONS_INPUT;
}

static uint8_t own_mentions(const Term *t) {
  switch (t->kind) {
    case TERM_INPUT: return MENTIONS_INPUT;
    case TERM_LET: return MENTIONS_LET | (t->let->has_query ? MENTIONS_QUERY : 0);
    case TERM_EDGE: return MENTIONS_EDGE | MENTIONS_FREE_EDGE;
    case TERM_LATENT: return MENTIONS_LATENT | MENTIONS_FREE_LATENT;
    case TERM_INDEX: return MENTIONS_INDEX;
    case TERM_QUERY: return MENTIONS_QUERY;
    case TERM_INT: case TERM_REAL: case TERM_BOOL: case TERM_NONE: case TERM_SIZE: case TERM_OP: case TERM_IF:
    case TERM_REDUCE: return 0;
  }
  return 0;
}

Term *term_finish(Term *t) {
  t->depth = t->nodes = 1;
  t->mentions = own_mentions(t);
  for (uint32_t i = 0; i < t->args.n; i++) absorb(t, t->args.at[i]);
  for (uint32_t i = 0; i < t->copies.n; i++) {
    t->mentions |= MENTIONS_EDGE;
    for (uint32_t k = 0; k < t->copies.at[i].fixed.n; k++) absorb(t, t->copies.at[i].fixed.at[k]);
  }
  if (t->kind == TERM_REDUCE) absorb_range(t, &t->index->range);
  if (t->kind == TERM_QUERY) t->mentions &= (uint8_t)~(MENTIONS_FREE_EDGE | MENTIONS_FREE_LATENT);
  t->nonnegative = term_is_nonnegative(t);
  return t;
}

static Term *make(Arena *a, TermKind kind, ScalarType type, Span span) {
  Term *t = NEW(a, Term);
  t->kind = kind;
  t->type = type;
  t->span = span;
  return t;
}

/* ---- leaves ------------------------------------------------------------------------------------- */

Term *term_int(Arena *a, int64_t value, Span span) {
  Term *t = make(a, TERM_INT, TYPE_INT, span);
  t->integer = value;
  return term_finish(t);
}

Term *term_real(Arena *a, double value, Span span) {
  Term *t = make(a, TERM_REAL, TYPE_REAL, span);
  t->real = value;
  return term_finish(t);
}

Term *term_bool(Arena *a, bool value, Span span) {
  Term *t = make(a, TERM_BOOL, TYPE_BOOL, span);
  t->truth = value;
  return term_finish(t);
}

Term *term_none(Arena *a, Span span) { return term_finish(make(a, TERM_NONE, TYPE_INT, span)); }

Term *term_size(Arena *a, Size *s, Span span) {
  Term *t = make(a, TERM_SIZE, TYPE_INT, span);
  t->size = s;
  return term_finish(t);
}

Term *term_index(Arena *a, Index *i, Span span) {
  Term *t = make(a, TERM_INDEX, TYPE_INT, span);
  t->index = i;
  return term_finish(t);
}

static ScalarType elem_type(ElemKind e) {
  switch (e) {
    case ELEM_REAL: case ELEM_F64: case ELEM_F32: case ELEM_F16: case ELEM_BF16: return TYPE_REAL;
    case ELEM_INT: case ELEM_GRAPH: return TYPE_INT;
    case ELEM_BOOL: return TYPE_BOOL;
  }
  return TYPE_REAL;
}

Term *term_ref(Arena *a, TermKind kind, void *what, const TermVec *indices, Span span) {
  Term *t = make(a, kind, TYPE_REAL, span);
  if (kind == TERM_INPUT) t->input = what, t->type = elem_type(t->input->elem);
  if (kind == TERM_LET) t->let = what, t->type = t->let->value->type;
  if (kind == TERM_EDGE) t->edge = what, t->type = TYPE_INT;
  if (kind == TERM_LATENT) t->latent = what;
  for (uint32_t i = 0; i < indices->n; i++) vec_push(a, &t->args, indices->at[i]);
  return term_finish(t);
}

/* ---- operators ---------------------------------------------------------------------------------- */

static ScalarType result_type(OpKind op, const Term *first) {
  switch (op_types(op)) {
    case 'n': return first->type;
    case 'i': case 'f': return TYPE_INT;
    case 'c': case 'b': return TYPE_BOOL;
    default: return TYPE_REAL;
  }
}

static int64_t floor_div(int64_t x, int64_t y) { return x / y - (x % y != 0 && (x < 0) != (y < 0)); }

/* False: not foldable (overflow, division by zero, another op). */
static bool fold_int(OpKind op, int64_t x, int64_t y, int64_t *v) {
  if (op == OP_ADD) return !__builtin_add_overflow(x, y, v);
  if (op == OP_SUB) return !__builtin_sub_overflow(x, y, v);
  if (op == OP_MUL) return !__builtin_mul_overflow(x, y, v);
  if (op == OP_MIN) return *v = x < y ? x : y, true;
  if (op == OP_MAX) return *v = x > y ? x : y, true;
  if (op != OP_FLOORDIV && op != OP_MOD) return false;
  if (y == 0 || (x == INT64_MIN && y == -1)) return false;
  *v = op == OP_FLOORDIV ? floor_div(x, y) : x - y * floor_div(x, y);
  return true;
}

static bool fold_compare(OpKind op, int64_t x, int64_t y, bool *v) {
  switch ((int)op) {
    case OP_EQ: return *v = x == y, true;
    case OP_NE: return *v = x != y, true;
    case OP_LT: return *v = x < y, true;
    case OP_LE: return *v = x <= y, true;
    case OP_GT: return *v = x > y, true;
    case OP_GE: return *v = x >= y, true;
    default: return false;
  }
}

static bool is_int(const Term *t, int64_t v) { return t->kind == TERM_INT && t->integer == v; }

/* x + 0 and the like; NULL: none applies. */
static Term *int_identity(OpKind op, Term *x, Term *y) {
  if (x->type != TYPE_INT) return NULL;
  if ((op == OP_ADD || op == OP_SUB) && is_int(y, 0)) return x;
  if (op == OP_ADD && is_int(x, 0)) return y;
  if ((op == OP_MUL || op == OP_FLOORDIV) && is_int(y, 1)) return x;
  if (op == OP_MUL && is_int(x, 1)) return y;
  return NULL;
}

static Term *bool_identity(OpKind op, Term *x, Term *y) {
  if (op != OP_AND && op != OP_OR) return NULL;
  bool neutral = op == OP_AND;
  if (x->kind == TERM_BOOL) return x->truth == neutral ? y : x;
  if (y->kind == TERM_BOOL && y->truth == neutral) return x;
  return NULL;
}

static Term *fold2(Arena *a, OpKind op, Term *x, Term *y, Span span) {
  int64_t v;
  bool truth;
  if (x->kind == TERM_INT && y->kind == TERM_INT) {
    if (fold_int(op, x->integer, y->integer, &v)) return term_int(a, v, span);
    if (fold_compare(op, x->integer, y->integer, &truth)) return term_bool(a, truth, span);
  }
  Term *same = int_identity(op, x, y);
  return same ? same : bool_identity(op, x, y);
}

static Term *fold1(Arena *a, OpKind op, Term *x, Span span) {
  if (op == OP_NEG && x->kind == TERM_INT && x->integer != INT64_MIN) return term_int(a, -x->integer, span);
  if (op == OP_NEG && x->kind == TERM_REAL) return term_real(a, -x->real, span);
  if (op == OP_TO_REAL && x->kind == TERM_INT) return term_real(a, (double)x->integer, span);
  if (op == OP_NOT && x->kind == TERM_BOOL) return term_bool(a, !x->truth, span);
  return NULL;
}

/* What the square of x is where x is a root: sq(norm(v)) is a sum of squares, which is a quadratic in v. */
static Term *under_root(const Term *x) {
  bool root = x->kind == TERM_OP && x->op == OP_SQRT && x->args.at[0]->nonnegative;
  return root ? x->args.at[0] : NULL;
}

static bool is_two(const Term *t) {
  return (t->kind == TERM_REAL && t->real == 2) || (t->kind == TERM_INT && t->integer == 2);
}

Term *term_op1(Arena *a, OpKind op, Term *x, Span span) {
  Term *folded = op == OP_SQ ? under_root(x) : NULL;
  if (!folded) folded = fold1(a, op, x, span);
  if (folded) return folded;
  Term *t = make(a, TERM_OP, result_type(op, x), span);
  t->op = op;
  vec_push(a, &t->args, x);
  return term_finish(t);
}

Term *term_op2(Arena *a, OpKind op, Term *x, Term *y, Span span) {
  bool square = (op == OP_POW && is_two(y)) || (op == OP_MUL && under_root(x) && term_equal(x, y));
  Term *folded = square ? under_root(x) : NULL;
  if (!folded) folded = fold2(a, op, x, y, span);
  if (folded) return folded;
  Term *t = make(a, TERM_OP, result_type(op, x), span);
  t->op = op;
  vec_push(a, &t->args, x);
  vec_push(a, &t->args, y);
  return term_finish(t);
}

Term *term_op(Arena *a, OpKind op, ScalarType type, const TermVec *args, Span span) {
  if (args->n == 1) return term_op1(a, op, args->at[0], span);
  if (args->n == 2 && op_arity(op) == 2) return term_op2(a, op, args->at[0], args->at[1], span);
  Term *t = make(a, TERM_OP, type, span);
  t->op = op;
  for (uint32_t i = 0; i < args->n; i++) vec_push(a, &t->args, args->at[i]);
  return term_finish(t);
}

Term *term_if(Arena *a, Term *cond, Term *then, Term *otherwise, Span span) {
  if (cond->kind == TERM_BOOL) return cond->truth ? then : otherwise;
  Term *t = make(a, TERM_IF, then->type, span);
  vec_push(a, &t->args, cond);
  vec_push(a, &t->args, then);
  vec_push(a, &t->args, otherwise);
  return term_finish(t);
}

Term *term_reduce(Arena *a, ReduceKind kind, Index *index, Term *body, Span span) {
  Term *t = make(a, TERM_REDUCE, body->type, span);
  t->reduce = kind;
  t->index = index;
  vec_push(a, &t->args, body);
  return term_finish(t);
}

Term *term_query(Arena *a, QueryKind query, ScalarType type, const TermVec *args, Span span) {
  Term *t = make(a, TERM_QUERY, type, span);
  t->query = query;
  for (uint32_t i = 0; args && i < args->n; i++) vec_push(a, &t->args, args->at[i]);
  return term_finish(t);
}

Term *term_to_real(Arena *a, Term *t) {
  return t->type == TYPE_REAL ? t : term_op1(a, OP_TO_REAL, t, t->span);
}

/* ---- sizes -------------------------------------------------------------------------------------- */

static bool eval_op(const Term *t, const int64_t *sizes, int64_t *v) {
  int64_t x, y = 0;
  if (t->args.n < 1 || t->args.n > 2 || !term_eval_size(t->args.at[0], sizes, &x)) return false;
  if (t->args.n == 2 && !term_eval_size(t->args.at[1], sizes, &y)) return false;
  if (t->op == OP_NEG) return !__builtin_sub_overflow((int64_t)0, x, v);
  if (t->op == OP_ABS) return x == INT64_MIN ? false : (*v = x < 0 ? -x : x, true);
  if (t->op != OP_POW) return t->args.n == 2 && fold_int(t->op, x, y, v);
  for (*v = 1; y > 0; y--) {
    if (x == 0 || x == 1) return *v = x, true;
    if (__builtin_mul_overflow(*v, x, v)) return false;
  }
  return true;
}

bool term_eval_size(const Term *t, const int64_t *sizes, int64_t *value) {
  if (t->kind == TERM_INT) return *value = t->integer, true;
  if (t->kind == TERM_SIZE) return *value = sizes[t->size->id], true;
  return t->kind == TERM_OP && t->type == TYPE_INT && eval_op(t, sizes, value);
}
