/* constant: see constant.h.  The scalar functions are the oracle's, which are their definitions. */
#include "driver/constant.h"

#include "model/term.h"
#include "oracle/functions.h"
#include "random.h"

enum { MAX_STEPS = 10000000, MAX_ARGS = 16 };

Known constant_known(Arena *arena, const Model *m, const int64_t *sizes) {
  return (Known){.model = m, .sizes = sizes, .index = NEW_ARRAY(arena, int64_t, m->index_count),
                 .bound = NEW_ARRAY(arena, bool, m->index_count)};
}

static ConstantStatus worse(ConstantStatus a, ConstantStatus b) { return a > b ? a : b; }

static bool power_overflows(int64_t base, int64_t exponent, int64_t *value) {
  *value = 1;
  if (base == 0 || base == 1 || base == -1) {
    *value = exponent == 0 || (base == -1 && exponent % 2 == 0) ? 1 : base;
    return exponent < 0;
  }
  for (int64_t k = 0; k < exponent; k++)
    if (__builtin_mul_overflow(*value, base, value)) return true;
  return exponent < 0;
}

static ConstantStatus int_op(OpKind op, const int64_t *x, int64_t *value) {
  bool bad = false;
  switch ((int)op) {
  case OP_ADD: bad = __builtin_add_overflow(x[0], x[1], value); break;
  case OP_SUB: bad = __builtin_sub_overflow(x[0], x[1], value); break;
  case OP_MUL: bad = __builtin_mul_overflow(x[0], x[1], value); break;
  case OP_NEG: bad = __builtin_sub_overflow((int64_t)0, x[0], value); break;
  case OP_SQ: bad = __builtin_mul_overflow(x[0], x[0], value); break;
  case OP_POW: bad = power_overflows(x[0], x[1], value); break;
  case OP_FLOORDIV: case OP_MOD:
    bad = x[1] == 0 || (x[1] == -1 && x[0] == INT64_MIN);
    if (!bad) *value = oracle_int_function(op, x);
    break;
  default: *value = oracle_int_function(op, x);
  }
  return bad ? CONSTANT_FAULT : CONSTANT_KNOWN;
}

#define COMPARE(a, b)                                                                                                \
  op == OP_EQ ? (a) == (b) : op == OP_NE ? (a) != (b) : op == OP_LT ? (a) < (b) : op == OP_LE ? (a) <= (b)           \
  : op == OP_GT ? (a) > (b) : (a) >= (b)

static bool compare(OpKind op, ScalarType type, const Constant *x) {
  return type == TYPE_REAL ? COMPARE(x[0].r, x[1].r) : COMPARE(x[0].i, x[1].i);
}

static ConstantStatus apply(const Term *t, const Constant *x, Constant *value) {
  double r[MAX_ARGS];
  int64_t i[MAX_ARGS];
  for (uint32_t k = 0; k < t->args.n; k++) r[k] = x[k].r, i[k] = x[k].i;
  ScalarType of = t->args.at[0]->type;
  if (t->op == OP_RANDOM) value->r = attn_rt_random_uniform(i[0], t->args.n - 1, i + 1);
  else if (t->op == OP_NOT) value->i = !i[0];
  else if (t->op == OP_TO_REAL) value->r = (double)i[0];
  else if (op_types(t->op) == 'c') value->i = compare(t->op, of, x);
  else if (op_types(t->op) == 'f') value->i = oracle_real_to_int(t->op, r[0]);
  else if (t->type == TYPE_REAL) value->r = oracle_real_function(t->op, r);
  else return int_op(t->op, i, &value->i);
  return CONSTANT_KNOWN;
}

/* `and`, `or` stop early: an unknown second argument does not matter then. */
static ConstantStatus logic(Known *k, const Term *t, Constant *value) {
  ConstantStatus s = constant_eval(k, t->args.at[0], value);
  if (s != CONSTANT_KNOWN || (value->i != 0) == (t->op == OP_OR)) return s;
  return constant_eval(k, t->args.at[1], value);
}

static ConstantStatus operation(Known *k, const Term *t, Constant *value) {
  if (t->op == OP_AND || t->op == OP_OR) return logic(k, t, value);
  Constant x[MAX_ARGS] = {{0, 0}};
  ConstantStatus s = t->args.n && t->args.n <= MAX_ARGS ? CONSTANT_KNOWN : CONSTANT_UNKNOWN;
  for (uint32_t i = 0; i < t->args.n && s != CONSTANT_UNKNOWN; i++)
    s = worse(s, constant_eval(k, t->args.at[i], &x[i]));
  return s == CONSTANT_KNOWN ? apply(t, x, value) : s;
}

static ConstantStatus combine(const Term *t, Constant *sum, Constant x) {
  static const OpKind op[] = {
      [REDUCE_SUM] = OP_ADD, [REDUCE_PROD] = OP_MUL, [REDUCE_MAX] = OP_MAX, [REDUCE_MIN] = OP_MIN};
  if (t->type == TYPE_REAL) {
    sum->r = oracle_real_function(op[t->reduce], (double[]){sum->r, x.r});
    return CONSTANT_KNOWN;
  }
  return int_op(op[t->reduce], (int64_t[]){sum->i, x.i}, &sum->i);
}

static ConstantStatus reduction(Known *k, const Term *t, Constant *value) {
  const Index *index = t->index;
  if (index->range.kind != RANGE_INTERVAL) return CONSTANT_UNKNOWN;
  Constant lo, hi, x;
  ConstantStatus s = worse(constant_eval(k, index->range.lo, &lo), constant_eval(k, index->range.hi, &hi));
  double empty[] = {[REDUCE_SUM] = 0, [REDUCE_PROD] = 1, [REDUCE_MAX] = -1.0 / 0.0, [REDUCE_MIN] = 1.0 / 0.0};
  int64_t empty_int[] = {[REDUCE_SUM] = 0, [REDUCE_PROD] = 1, [REDUCE_MAX] = INT64_MIN, [REDUCE_MIN] = INT64_MAX};
  *value = (Constant){empty_int[t->reduce], empty[t->reduce]};
  for (int64_t i = lo.i; s == CONSTANT_KNOWN && i < hi.i; i++) {
    k->index[index->id] = i;
    k->bound[index->id] = true;
    s = constant_eval(k, t->args.at[0], &x);
    if (s == CONSTANT_KNOWN) s = combine(t, value, x);
  }
  k->bound[index->id] = false;
  return s;
}

static ConstantStatus element(Known *k, const Term *t, Constant *value) {
  const AttnArray *a = k->array ? &k->array[t->input->id] : NULL;
  int64_t at[ARRAY_RANK_MAX];
  ConstantStatus s = a && a->data && a->rank == (int)t->args.n ? CONSTANT_KNOWN : CONSTANT_UNKNOWN;
  for (uint32_t i = 0; i < t->args.n && s == CONSTANT_KNOWN; i++) {
    Constant index;
    s = constant_eval(k, t->args.at[i], &index);
    at[i] = index.i;
    if (s == CONSTANT_KNOWN && (index.i < 0 || index.i >= a->shape[i])) s = CONSTANT_FAULT;
  }
  if (s != CONSTANT_KNOWN) return s;
  if (elem_is_float(a->type)) value->r = array_get_f64(a, at);
  else value->i = array_get_i64(a, at);
  return s;
}

static ConstantStatus input(Known *k, const Term *t, Constant *value) {
  const Input *in = t->input;
  if (t->args.n) return element(k, t, value);
  if (!k->has || !k->has[in->id] || in->dims.n || in->elem == ELEM_GRAPH) return CONSTANT_UNKNOWN;
  *value = (Constant){k->integer[in->id], k->real[in->id]};
  return CONSTANT_KNOWN;
}

bool constant_own_copy(const Term *t) {
  for (uint32_t i = 0; i < t->args.n; i++)
    if (i >= t->edge->plates.n || t->args.at[i]->kind != TERM_INDEX || t->args.at[i]->index != t->edge->plates.at[i])
      return false;
  return true;
}

ConstantStatus constant_eval(Known *k, const Term *t, Constant *value) {
  *value = (Constant){0, 0};
  if (++k->steps > MAX_STEPS) return CONSTANT_UNKNOWN;
  switch (t->kind) {
  case TERM_INT: value->i = t->integer; return CONSTANT_KNOWN;
  case TERM_REAL: value->r = t->real; return CONSTANT_KNOWN;
  case TERM_BOOL: value->i = t->truth; return CONSTANT_KNOWN;
  case TERM_SIZE:
    value->i = k->sizes[t->size->id];
    return value->i < 0 ? CONSTANT_UNKNOWN : CONSTANT_KNOWN;
  case TERM_INDEX:
    value->i = k->index[t->index->id];
    return k->bound[t->index->id] ? CONSTANT_KNOWN : CONSTANT_UNKNOWN;
  case TERM_INPUT: return input(k, t, value);
  case TERM_OP: return operation(k, t, value);
  case TERM_IF: {
    ConstantStatus s = constant_eval(k, t->args.at[0], value);
    return s == CONSTANT_KNOWN ? constant_eval(k, t->args.at[value->i ? 1 : 2], value) : s;
  }
  case TERM_REDUCE: return reduction(k, t, value);
  case TERM_EDGE:
    if (!k->edge || !k->has_edge[t->edge->id] || !constant_own_copy(t)) return CONSTANT_UNKNOWN;
    value->i = k->edge[t->edge->id];
    return CONSTANT_KNOWN;
  case TERM_NONE: case TERM_LET: case TERM_LATENT: case TERM_QUERY: return CONSTANT_UNKNOWN;
  }
  return CONSTANT_UNKNOWN;
}
