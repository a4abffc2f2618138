/* solve: some of the unknowns of a system, the others being held.
 *
 *   A z = b,   A = L D L'
 * by elimination column by column, then forwards and backwards.  A direction without curvature keeps its value: a
 * pivot that is 0, up to rounding, leaves the unknown as it is.  There is no top where a pivot is negative, where what
 * is left beside one that is 0 is not (|A_ip|^2 > A_ii A_pp: a saddle), or where something pulls along a direction
 * without curvature.  NaN is no reason: it spreads. */
#include <math.h>

#include "infer/arith.h"
#include "infer/system.h"

static Val number(Context *x, int64_t v) { return build_int(B(x), v); }

static void mark_bad(Context *x, const System *s, const Val *outer, Val bad) {
  if (s->bad) build_store(B(x), s->bad, build_2(B(x), IR_OR, build_load(B(x), s->bad, outer), bad), outer);
}

/* ---- the block's own system ------------------------------------------------------------------------------------ */

/* sum of A_rj z_j over the unknowns lo .. hi, all of them before r, or all behind it. */
static Val held(Context *x, const System *s, const Val *outer, Val r, Block others, bool before) {
  Loop *l = build_open(B(x), LOOP_REDUCE, others.lo, others.hi);
  Acc *sum = build_acc(B(x), l, ACC_SUM, IR_WIDE, 0, NULL);
  Val a = before ? load_system(x, s, outer, l->index, r) : load_system(x, s, outer, r, l->index);
  sum->body = (Contribution){.x = mul(x, a, load_unknown(x, s, s->z, outer, l->index))};
  return build_close(B(x), l)->accs.at[0]->result;
}

/* Below the diagonal and on it A as it was, which is above; y = b less what the others' values contribute. */
static void begin(Context *x, const System *s, const Val *outer, Block block) {
  Loop *row = build_open(B(x), LOOP_PAR, block.lo, block.hi);
  Val r = row->index, before = held(x, s, outer, r, (Block){number(x, 0), block.lo}, true),
      behind = held(x, s, outer, r, (Block){block.hi, s->n}, false);
  Loop *column = build_open(B(x), LOOP_PAR, block.lo, r);
  store_system(x, s, outer, r, column->index, load_system(x, s, outer, column->index, r));
  build_close(B(x), column);
  store_system(x, s, outer, r, r, load_unknown(x, s, s->diagonal, outer, r));
  store_unknown(x, s, s->y, outer, r, sub(x, load_unknown(x, s, s->b, outer, r), add(x, before, behind)));
  build_close(B(x), row);
}

/* ---- elimination ------------------------------------------------------------------------------------------------ */

enum {
  FLAT = 40,      /* pivots below 2^-40 of the diagonal are 0 */
  STRAIGHT = -12, /* and what pulls along them is a slope above 2^-12 of its terms */
};

/* 1 / pivot; 0 where it is flat. */
static Val inverse_pivot(Context *x, const System *s, const Val *outer, Val p) {
  Val pivot = load_system(x, s, outer, p, p), zero = wide(x, 0);
  Val tiny =
      mul(x, wide(x, ldexp(1, -FLAT)), build_1(B(x), IR_ABS, load_unknown(x, s, s->diagonal, outer, p)));
  Val flat = build_2(B(x), IR_LE, s->bad ? build_1(B(x), IR_ABS, pivot) : pivot, tiny);
  return build_select(B(x), flat, zero, divide(x, wide(x, 1), pivot));
}

/* Is something left of the flat column p? */
static Val bends_both_ways(Context *x, const System *s, const Val *outer, Val p, Block below) {
  Loop *l = build_open(B(x), LOOP_REDUCE, below.lo, below.hi);
  Acc *any = build_acc(B(x), l, ACC_ANY, IR_BOOL, 0, NULL);
  Val left = load_system(x, s, outer, l->index, p);
  Val size = mul(x, load_unknown(x, s, s->diagonal, outer, l->index), load_unknown(x, s, s->diagonal, outer, p));
  any->body = (Contribution){
      .x = greater(x, mul(x, left, left), mul(x, wide(x, ldexp(1, -FLAT)), build_1(B(x), IR_ABS, size)))};
  return build_close(B(x), l)->accs.at[0]->result;
}

static void check_pivot(Context *x, const System *s, const Val *outer, Val p, Val inverse, Block below) {
  if (!s->bad) return;
  Val flat = equal(x, inverse, wide(x, 0)), saddle = bends_both_ways(x, s, outer, p, below);
  mark_bad(x, s, outer,
           build_2(B(x), IR_OR, build_2(B(x), IR_LT, inverse, wide(x, 0)), build_2(B(x), IR_AND, flat, saddle)));
}

/* A_ij -= A_ip A_jp / A_pp for i, j > p; column p keeps L_ip A_pp. */
static void eliminate(Context *x, const System *s, const Val *outer, Block block) {
  Builder *b = B(x);
  Loop *l = build_open(b, LOOP_SEQ, block.lo, block.hi);
  Val p = l->index, next = add(x, p, number(x, 1)), inverse = inverse_pivot(x, s, outer, p);
  check_pivot(x, s, outer, p, inverse, (Block){next, block.hi});
  Loop *row = build_open(b, LOOP_PAR, next, block.hi);
  Val i = row->index, factor = mul(x, inverse, load_system(x, s, outer, i, p));
  Loop *column = build_open(b, LOOP_PAR, next, add(x, i, number(x, 1)));
  Val j = column->index, taken = mul(x, factor, load_system(x, s, outer, j, p));
  store_system(x, s, outer, i, j, sub(x, load_system(x, s, outer, i, j), taken));
  build_close(b, column);
  build_close(b, row);
  build_close(b, l);
}

/* y_p -= sum_{j<p} A_pj / A_jj y_j */
static void forwards(Context *x, const System *s, const Val *outer, Block block) {
  Builder *b = B(x);
  Loop *l = build_open(b, LOOP_SEQ, block.lo, block.hi);
  Loop *terms = build_open(b, LOOP_REDUCE, block.lo, l->index);
  Acc *sum = build_acc(b, terms, ACC_SUM, IR_WIDE, 0, NULL),
      *size = s->bad ? build_acc(b, terms, ACC_SUM, IR_WIDE, 0, NULL) : NULL;
  Val j = terms->index, y = load_unknown(x, s, s->y, outer, j);
  Val part = mul(x, mul(x, load_system(x, s, outer, l->index, j), inverse_pivot(x, s, outer, j)), y);
  sum->body = (Contribution){.x = part};
  if (size) size->body = (Contribution){.x = build_1(b, IR_ABS, part)};
  terms = build_close(b, terms);
  Val before = load_unknown(x, s, s->y, outer, l->index), now = sub(x, before, terms->accs.at[0]->result);
  store_unknown(x, s, s->y, outer, l->index, now);
  if (size) {
    Val flat = equal(x, inverse_pivot(x, s, outer, l->index), wide(x, 0));
    Val terms_size = add(x, build_1(b, IR_ABS, before), terms->accs.at[1]->result);
    Val pulled = greater(x, build_1(b, IR_ABS, now), mul(x, wide(x, ldexp(1, STRAIGHT)), terms_size));
    mark_bad(x, s, outer, build_2(b, IR_AND, flat, pulled));
  }
  build_close(b, l);
}

/* z_p = (y_p - sum_{j>p} A_jp z_j) / A_pp, or as it was. */
static void backwards(Context *x, const System *s, const Val *outer, Block block) {
  Builder *b = B(x);
  Loop *l = build_open(b, LOOP_SEQ, block.lo, block.hi);
  Val last = sub(x, block.hi, number(x, 1)), p = sub(x, last, sub(x, l->index, block.lo));
  Val inverse = inverse_pivot(x, s, outer, p);
  Loop *terms = build_open(b, LOOP_REDUCE, add(x, p, number(x, 1)), block.hi);
  Acc *sum = build_acc(b, terms, ACC_SUM, IR_WIDE, 0, NULL);
  Val y = load_unknown(x, s, s->y, outer, terms->index);
  sum->body = (Contribution){.x = mul(x, load_system(x, s, outer, terms->index, p), y)};
  terms = build_close(b, terms);
  Val z = mul(x, inverse, sub(x, load_unknown(x, s, s->y, outer, p), terms->accs.at[0]->result));
  Val flat = equal(x, inverse, wide(x, 0));
  store_unknown(x, s, s->y, outer, p, build_select(b, flat, load_unknown(x, s, s->z, outer, p), z));
  build_close(b, l);
}

void solve_block(Context *x, const System *s, const Val *outer, Block block) {
  begin(x, s, outer, block);
  eliminate(x, s, outer, block);
  forwards(x, s, outer, block);
  backwards(x, s, outer, block);
}

Val slope_of(Context *x, const System *s, const Val *outer, Val r) {
  Val own = mul(x, load_unknown(x, s, s->diagonal, outer, r), load_unknown(x, s, s->z, outer, r)),
      before = held(x, s, outer, r, (Block){number(x, 0), r}, true),
      behind = held(x, s, outer, r, (Block){add(x, r, number(x, 1)), s->n}, false);
  return sub(x, load_unknown(x, s, s->b, outer, r), add(x, own, add(x, before, behind)));
}
