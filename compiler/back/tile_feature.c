/* tile_feature: the feature loops of a tile: sums along d for all its pairs, in registers.
 *
 * The values go around the loop in registers and are then kept in buffers of pairs.  Beside the first loop other work
 * may stand, taken apart and put back piece by piece among the multiply-adds. */
#include "back/tile.h"
#include "back/whole.h"
#include "base/ice.h"

/* ---- feature loops ------------------------------------------------------------------------------ */

LLVMValueRef tile_identity(const Tile *t, const Acc *a) {
  AccKind k = a->kind;
  IrType type = a->type;
  if (type == IR_BOOL) return lanes_splat(&t->l, LLVMConstInt(t->e->t.i1, k == ACC_ALL, false));
  if (type == IR_INT) {
    int64_t v = k == ACC_PROD ? 1 : k == ACC_MAX ? INT64_MIN : k == ACC_MIN ? INT64_MAX : 0;
    return lanes_splat(&t->l, const_int(t->e, v));
  }
  return lanes_float(&t->l, k == ACC_PROD ? 1 : k == ACC_MAX ? -__builtin_inf() : k == ACC_MIN ? __builtin_inf() : 0);
}

static Val through_converts(const Kernel *k, Val v) {
  const Instr *i = ir_at(k, v);
  while (i->op == IR_CONVERT && ir_at(k, i->arg[0])->type == IR_REAL) v = i->arg[0], i = ir_at(k, v);
  return v;
}

static LLVMValueRef combine(Tile *t, const Acc *a, LLVMValueRef old, LLVMValueRef x) {
  LLVMBuilderRef b = t->e->b;
  bool is_int = a->type == IR_INT;
  switch (a->kind) {
    case ACC_SUM: return is_int ? LLVMBuildAdd(b, old, x, "") : LLVMBuildFAdd(b, old, x, "");
    case ACC_PROD: return is_int ? LLVMBuildMul(b, old, x, "") : LLVMBuildFMul(b, old, x, "");
    case ACC_MAX:
    case ACC_MIN:
      if (is_int) {
        LLVMIntPredicate p = a->kind == ACC_MAX ? LLVMIntSGT : LLVMIntSLT;
        return LLVMBuildSelect(b, LLVMBuildICmp(b, p, old, x, ""), old, x, "");
      }
      return op_extreme(t->e, IR_REAL, a->kind == ACC_MAX, old, x);
    case ACC_ANY: return LLVMBuildOr(b, old, x, "");
    case ACC_ALL: return LLVMBuildAnd(b, old, x, "");
    default: ICE("accumulator '%s' in a tile", ir_acc_name(a->kind));
  }
}

/* A sum of multiples is the multiple of the sum: x without constant factors, which *by takes; not where sums are taken
 * up again after they were kept (tile_place.c). */
static Val without_constants(const Tile *t, const TileFeature *f, const Acc *a, double *by) {
  const Kernel *k = t->e->k;
  Val v = through_converts(k, tile_feature_summed(f, a));
  *by = 1;
  if (tile_place_can(t)) return v;
  while (a->kind == ACC_SUM && a->type == IR_WIDE && !f->is_log && !f->is_dot && ir_at(k, v)->op == IR_MUL &&
         !t->operand[v].from) {
    const Instr *i = ir_at(k, v);
    uint32_t n = 0;
    while (n < 2 && ir_at(k, through_converts(k, i->arg[n]))->op != IR_CONST) n++;
    if (n == 2) break;
    *by *= ir_at(k, through_converts(k, i->arg[n]))->number;
    v = through_converts(k, i->arg[1 - n]);
  }
  return v;
}

/* A sum of products is fused. */
LLVMValueRef tile_feature_step(Tile *t, const TileFeature *f, const Acc *a, LLVMValueRef old, uint32_t row,
                               uint32_t vec) {
  if (f->is_log) return lanes_fma(&t->l, tile_value(t, f->log_row, row, vec), tile_value(t, f->log_col, row, vec), old);
  if (f->is_dot)
    return lanes_dot_bf16(&t->l, old, tile_value(t, f->dot_row, row, vec), tile_value(t, f->dot_col, row, vec));
  double by;
  Val product = without_constants(t, f, a, &by);
  const Instr *i = ir_at(t->e->k, product);
  bool of_pairs = (t->rows->dep[product] & DEP_BOTH) == DEP_BOTH; /* else it is an operand itself */
  if (a->kind == ACC_SUM && i->op == IR_MUL && i->type != IR_INT && of_pairs)
    return lanes_fma(&t->l, tile_value(t, i->arg[0], row, vec), tile_value(t, i->arg[1], row, vec), old);
  LLVMValueRef x = tile_value(t, by == 1 ? tile_feature_summed(f, a) : product, row, vec);
  return combine(t, a, old, x);
}

static double constant_of(const Tile *t, Val result) {
  const TileFeature *f = &t->s->features.at[t->operand[result].feature];
  double by = 1;
  for (uint32_t n = 0; n < f->loop->accs.n; n++)
    if (tile_feature_result(f, n) == result) without_constants(t, f, f->loop->accs.at[n], &by);
  return by;
}

void tile_keep_result(Tile *t, Val v, uint32_t row, uint32_t vec, LLVMValueRef x) {
  double by = constant_of(t, v);
  if (by != 1) x = LLVMBuildFMul(t->e->b, x, lanes_float(&t->l, by), "");
  if (ir_at(t->e->k, v)->type == IR_BOOL) x = LLVMBuildZExt(t->e->b, x, t->l.i32, "");
  tile_put(t->e, t->operand[v].at, tile_pair_place(t, row, vec), x);
}

typedef struct Points {
  LLVMValueRef *at;
  LLVMBasicBlockRef from;
} Points; /* one value for each element and accumulator */

static uint32_t points_of(const Tile *t, const Loop *l) { return t->nrow * t->nvec * l->accs.n; }

static Points points_phi(Tile *t, const Loop *l, const Points *first) {
  Points p = {NEW_ARRAY(t->e->arena, LLVMValueRef, points_of(t, l) + 1), NULL};
  for (uint32_t n = 0; n < points_of(t, l); n++) {
    p.at[n] = LLVMBuildPhi(t->e->b, LLVMTypeOf(first->at[n]), "");
    LLVMAddIncoming(p.at[n], &first->at[n], (LLVMBasicBlockRef *)&first->from, 1);
  }
  return p;
}

static void points_incoming(Tile *t, const Loop *l, const Points *phi, const Points *next) {
  for (uint32_t n = 0; n < points_of(t, l); n++)
    LLVMAddIncoming(phi->at[n], &next->at[n], (LLVMBasicBlockRef *)&next->from, 1);
}

/* Features lo .. hi: first -> what they come to. */
static Points feature_range(Tile *t, uint32_t k, LLVMValueRef lo, LLVMValueRef hi, Points first) {
  Emit *e = t->e;
  const TileFeature *f = &t->s->features.at[k];
  const Loop *l = f->loop;
  uint32_t points = t->nrow * t->nvec;
  first.from = LLVMGetInsertBlock(e->b);
  Count c = count_enter(e, lo, hi);
  uint32_t mark = tile_mark(t);
  t->feature = c.index;
  Points phi = points_phi(t, l, &first), next = {NEW_ARRAY(e->arena, LLVMValueRef, points_of(t, l) + 1), NULL};
  for (uint32_t n = 0; n < points_of(t, l); n++)
    next.at[n] = tile_feature_step(t, f, l->accs.at[n / points], phi.at[n], n % points / t->nvec, n % t->nvec);
  next.from = LLVMGetInsertBlock(e->b);
  points_incoming(t, l, &phi, &next);
  tile_forget(t, mark);
  count_leave(e, &c);
  Points out = points_phi(t, l, &first);
  points_incoming(t, l, &out, &next);
  return out;
}

static Points no_features(Tile *t, const Loop *l) {
  uint32_t points = t->nrow * t->nvec;
  Points p = {NEW_ARRAY(t->e->arena, LLVMValueRef, points_of(t, l) + 1), NULL};
  for (uint32_t n = 0; n < points_of(t, l); n++) p.at[n] = tile_identity(t, l->accs.at[n / points]);
  return p;
}

/* ---- features with other work beside them ----------------------------------------------------------- */

/* Straight code that is taken out of its block, to be put back piece by piece. */
typedef struct Pieces { VEC(LLVMValueRef) at; uint32_t next; } Pieces;

/* What beside(t, part) emits; nothing where that branches: then it stays where it is. */
static Pieces pieces_of(Tile *t, void (*beside)(Tile *t, LLVMValueRef part), LLVMValueRef part) {
  Emit *e = t->e;
  Pieces p = {0};
  LLVMBasicBlockRef block = LLVMGetInsertBlock(e->b);
  LLVMValueRef before = LLVMGetLastInstruction(block);
  beside(t, part);
  if (LLVMGetInsertBlock(e->b) != block) return p;
  LLVMValueRef i = before ? LLVMGetNextInstruction(before) : LLVMGetFirstInstruction(block);
  for (; i; i = LLVMGetNextInstruction(i)) vec_push(e->arena, &p.at, i);
  for (uint32_t n = 0; n < p.at.n; n++) LLVMInstructionRemoveFromParent(p.at.at[n]);
  return p;
}

/* Piece `k` of `count`. */
static void put_piece(Tile *t, Pieces *p, uint32_t k, uint32_t count) {
  for (uint32_t end = p->at.n * (k + 1) / count; p->next < end; p->next++)
    LLVMInsertIntoBuilder(t->e->b, p->at.at[p->next]);
}

/* One feature, straight. */
static Points feature_once(Tile *t, uint32_t k, LLVMValueRef feature, const Points *old) {
  const TileFeature *f = &t->s->features.at[k];
  const Loop *l = f->loop;
  uint32_t points = t->nrow * t->nvec, mark = tile_mark(t);
  Points next = {NEW_ARRAY(t->e->arena, LLVMValueRef, points_of(t, l) + 1), NULL};
  t->feature = feature;
  for (uint32_t n = 0; n < points_of(t, l); n++)
    next.at[n] = tile_feature_step(t, f, l->accs.at[n / points], old->at[n], n % points / t->nvec, n % t->nvec);
  tile_forget(t, mark);
  return next;
}

enum { STRAIGHT_FEATURES = 16 };

/* How many features each of `parts` parts takes, the rest apart; 0: that is not known, or they are too many or too few.
 */
static uint32_t straight_features(const Tile *t, uint32_t k, uint32_t parts) {
  if (!LLVMIsAConstantInt(t->extent[k])) return 0;
  uint64_t each = LLVMConstIntGetZExtValue(t->extent[k]) / parts;
  return each <= STRAIGHT_FEATURES ? (uint32_t)each : 0;
}

/* Features of part `n` of `count`, as evenly as they can be shared. */
static Points feature_part(Tile *t, uint32_t k, LLVMValueRef n, uint64_t count, Points first) {
  Emit *e = t->e;
  LLVMValueRef extent = t->extent[k], parts = const_int(e, (int64_t)count), next = plus(e, n, const_int(e, 1));
  LLVMValueRef lo = LLVMBuildUDiv(e->b, LLVMBuildMul(e->b, extent, n, ""), parts, "");
  return feature_range(t, k, lo, LLVMBuildUDiv(e->b, LLVMBuildMul(e->b, extent, next, ""), parts, ""), first);
}

enum { PIECES = 4 };

void tile_hold_loads(const Tile *t) {
  static const char memory[] = "~{memory}";
  LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(t->e->cx), NULL, 0, false);
  LLVMValueRef nothing =
      LLVMGetInlineAsm(type, "", 0, memory, sizeof memory - 1, true, false, LLVMInlineAsmDialectATT, false);
  LLVMBuildCall2(t->e->b, type, nothing, NULL, 0, "");
}

/* In parts, beside each of which other work stands, spread among the features: its instructions wait for each other,
 * and multiply-adds behind many of them would wait too. */
static Points features_beside(Tile *t, uint32_t k, void (*beside)(Tile *t, LLVMValueRef part)) {
  Emit *e = t->e;
  const Loop *l = t->s->features.at[k].loop;
  uint32_t count = t->nrow * t->nvec / t->unit, each = straight_features(t, k, count), pieces = each ? each : PIECES;
  Points first = no_features(t, l), next;
  first.from = LLVMGetInsertBlock(e->b);
  Count c = count_enter(e, const_int(e, 0), const_int(e, count));
  Points phi = next = points_phi(t, l, &first);
  Pieces work = pieces_of(t, beside, c.index);
  for (uint32_t n = 0; n < pieces; n++) {
    LLVMValueRef at = plus(e, times(e, c.index, pieces), const_int(e, n));
    tile_hold_loads(t); /* of all features at once: half of them would be stored again, a fifth of the time */
    put_piece(t, &work, n, pieces);
    next = each ? feature_once(t, k, at, &next) : feature_part(t, k, at, (uint64_t)count * pieces, next);
  }
  next.from = LLVMGetInsertBlock(e->b);
  points_incoming(t, l, &phi, &next);
  count_leave(e, &c);
  Points out = points_phi(t, l, &first);
  points_incoming(t, l, &out, &next);
  return each ? feature_range(t, k, const_int(e, (int64_t)each * count), t->extent[k], out) : out;
}

/* All accumulators of the loop for all elements of the tile, as values that go around the loop; then they are kept in
 * buffers of pairs. */
static void tile_feature(Tile *t, uint32_t k, void (*beside)(Tile *t, LLVMValueRef part)) {
  const TileFeature *f = &t->s->features.at[k];
  const Loop *l = f->loop;
  uint32_t points = t->nrow * t->nvec;
  Points p =
      beside ? features_beside(t, k, beside) : feature_range(t, k, const_int(t->e, 0), t->extent[k], no_features(t, l));
  for (uint32_t n = 0; n < points_of(t, l); n++)
    tile_keep_result(t, tile_feature_result(f, n / points), n % points / t->nvec, n % t->nvec, p.at[n]);
}

void tile_features(Tile *t, void (*beside)(Tile *t, LLVMValueRef part)) {
  const Region *r = t->s->loop->body;
  for (uint32_t n = 0; n < r->code.n; n++) {
    const Instr *i = ir_at(t->e->k, r->code.at[n]);
    for (uint32_t k = 0; i->op == IR_LOOP && k < t->s->features.n; k++) {
      if (tile_feature_whole(&t->s->features.at[k]) != i->loop) continue;
      tile_feature(t, k, beside);
      beside = NULL;
    }
  }
}
