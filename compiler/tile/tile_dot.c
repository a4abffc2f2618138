/* tile_dot: see tile_dot.h.
 *
 * A product of two bf16 is exact in f32, so a sum of products may be taken from the bits as they lie, whatever the
 * score then is.  Factors that are the same for all pairs are multiplied to the sum: they distribute over it.
 *
 * A mean of bf16 values takes rounded weights: that changes it by no more than the values' own rounding would.  But
 * means of one weight may cancel each other (a variance): either all of them round it, or none. */
#include "tile/tile_dot.h"

enum { MOST_FACTORS = 8 }; /* how deep they may be nested */

typedef struct Finder { Arena *arena; const Kernel *k; const TileRows *rows; } Finder;

static uint8_t dep_of(const Finder *p, Val v) { return p->rows->dep[v]; }

/* What a value is before it is widened. */
static Val through_converts(const Finder *p, Val v) {
  const Instr *i = ir_at(p->k, v);
  while (dep_of(p, v) && i->op == IR_CONVERT) {
    IrType from = ir_at(p->k, i->arg[0])->type;
    if (from != IR_REAL && from != IR_WIDE) break;
    v = i->arg[0], i = ir_at(p->k, v);
  }
  return v;
}

/* An element of a bf16 input along a feature. */
static bool is_half(const Finder *p, Val v) {
  const Instr *i = ir_at(p->k, v);
  return i->op == IR_LOAD && i->array->kind == ARRAY_IN && i->array->elem == STORE_BF16 && dep_of(p, v) & DEP_FEATURE;
}

static bool checks_features(const Finder *p, const Region *r) {
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(p->k, r->code.at[n]);
    if (ir_is_check(i->op) && (dep_of(p, i->arg[1]) | dep_of(p, i->arg[2])) & DEP_FEATURE) return true;
  }
  return false;
}

/* The one of its side. */
static bool take_half(const Finder *p, Val v, TileFeature *to) {
  uint8_t side = dep_of(p, v) & DEP_BOTH;
  Val *place = side == DEP_ROW ? &to->dot_row : &to->dot_col;
  if (*place || !side || side == DEP_BOTH) return false;
  *place = v;
  return true;
}

/* A product's factors: `to` takes them. */
static bool take_factors(const Finder *p, Val v, bool divides, TileFeature *to, uint32_t depth) {
  v = through_converts(p, v);
  const Instr *i = ir_at(p->k, v);
  if (depth > MOST_FACTORS || i->type == IR_INT || i->type == IR_BOOL) return false;
  if (!dep_of(p, v)) {
    vec_push(p->arena, &to->by, (TileBy){v, divides});
    return true;
  }
  if (is_half(p, v)) return !divides && take_half(p, v, to);
  if (i->op == IR_NEG) {
    to->is_negative = !to->is_negative;
    return take_factors(p, i->arg[0], divides, to, depth + 1);
  }
  if (i->op != IR_MUL && i->op != IR_DIV) return false;
  bool other = divides != (i->op == IR_DIV);
  return take_factors(p, i->arg[0], divides, to, depth + 1) && take_factors(p, i->arg[1], other, to, depth + 1);
}

bool tile_dot_find(Arena *arena, const Kernel *k, const TileRows *rows, const Loop *l, TileFeature *to) {
  const Acc *a = l->accs.at[0];
  Finder p = {arena, k, rows};
  TileFeature found = {0};
  if (l->accs.n != 1 || a->kind != ACC_SUM || a->naxis || a->type == IR_INT) return false;
  if (checks_features(&p, l->body)) return false;
  if (!take_factors(&p, a->body.x, false, &found, 0) || !found.dot_row || !found.dot_col) return false;
  to->is_dot = true, to->is_negative = found.is_negative, to->by = found.by;
  to->dot_row = found.dot_row, to->dot_col = found.dot_col;
  return true;
}

static bool may_round(const Finder *p, const TileAcc *a) {
  if (a->use != USE_CONTRACT || a->acc->kind != ACC_EXPECT || a->factor || !a->panel) return false;
  return is_half(p, a->panel) && !checks_features(p, a->acc->body.at);
}

void tile_dot_rounding(const Kernel *k, const TileRows *rows, TileStream *s) {
  Finder p = {.k = k, .rows = rows};
  for (uint32_t n = 0; n < s->accs.n; n++) s->accs.at[n].rounds = may_round(&p, &s->accs.at[n]);
  for (uint32_t n = 0; n < s->accs.n; n++)
    for (uint32_t m = 0; m < s->accs.n; m++) {
      const TileAcc *a = &s->accs.at[n];
      TileAcc *b = &s->accs.at[m];
      if (a->acc->kind == ACC_EXPECT && !a->rounds && a->weight == b->weight) b->rounds = false;
    }
}

static bool stream_has_dots(const TileStream *s) {
  for (uint32_t n = 0; n < s->features.n; n++)
    if (s->features.at[n].is_dot) return true;
  for (uint32_t n = 0; n < s->accs.n; n++)
    if (s->accs.at[n].rounds) return true;
  return false;
}

bool tile_has_dots(const TilePlan *p) {
  for (uint32_t r = 0; r < p->rows.n; r++)
    for (uint32_t s = 0; s < p->rows.at[r]->streams.n; s++)
      if (!p->rows.at[r]->streams.at[s]->why && stream_has_dots(p->rows.at[r]->streams.at[s])) return true;
  return false;
}
