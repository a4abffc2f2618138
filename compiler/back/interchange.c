/* interchange: a sequence of steps over many parallel iterations, taken a few iterations at a time.
 *
 *     seq s { par b { A } ; par b { B } }
 *     ->  for every run of b:  seq s { par b of the run { A } ; par b of it { B } }
 *
 * What iterations read again in each step then is still in the cache.  Iterations of a sequence's loops commute with
 * those of other b where they meet in no element.  So it is if the sequence holds parallel loops over one range and
 * pure operations alone, and every array that is stored into there has, in all that is loaded and stored of it there, b
 * at one place among the indices.  What belongs to several b (a sum over all of them in each step) is stored by
 * something else, and the order stays.
 *
 * An error would be that of another iteration, so that nothing in the sequence may fail. */
#include "back/emit.h"
#include "back/whole.h"
#include "ir/build.h"
#include "ir/walk.h"

enum { CACHE = 1 << 19 }; /* bytes that a thread keeps from step to step: of a second cache, what others leave */

/* place: by Array.id, the index that is b, plus 1; 0: none yet.  stored: whether the sequence stores into it. */
typedef struct Sequence {
  const Kernel *k;
  const Loop *own;  /* the parallel loop looked at; NULL: the sequence itself */
  uint32_t *place;
  bool *stored, *loaded, fails;
} Sequence;

static void note_stored(void *ctx, Val v) {
  Sequence *s = ctx;
  const Instr *i = ir_at(s->k, v);
  if (i->op == IR_STORE) s->stored[i->array->id] = true;
  s->fails |= i->op == IR_SOLVE || ir_is_check(i->op);
}

static bool meets_at(const Sequence *s, const Instr *i, uint32_t from, uint32_t at) {
  return from + at < i->narg && i->arg[from + at] == s->own->index;
}

/* Whether the access has b where the ones before it had it; the first one chooses. */
static bool is_apart(Sequence *s, const Instr *i) {
  uint32_t from = i->op == IR_STORE ? 1 : 0, *place = &s->place[i->array->id];
  for (uint32_t at = 0; !*place && from + at < i->narg; at++)
    if (meets_at(s, i, from, at)) *place = at + 1;
  return *place && meets_at(s, i, from, *place - 1);
}

static void note_access(void *ctx, Val v) {
  Sequence *s = ctx;
  const Instr *i = ir_at(s->k, v);
  if ((i->op != IR_LOAD && i->op != IR_STORE) || i->array->kind == ARRAY_LOCAL) return;
  s->loaded[i->array->id] |= is_apart(s, i);
  if (s->stored[i->array->id] && !is_apart(s, i)) s->fails = true;
}

static bool known_before(const Emit *e, const Loop *seq, Val v) {
  return !region_contains(seq->body, ir_at(e->k, v)->home);
}

/* The loops' ranges are one; NULL: the order of the sequence matters. */
static const Loop *first_loop(Emit *e, const Loop *seq, Sequence *s) {
  const Loop *first = NULL;
  walk_code(e->k, seq->body, note_stored, s);
  for (uint32_t n = 0; n < seq->body->code.n && !s->fails; n++) {
    Val v = seq->body->code.at[n];
    const Instr *i = ir_at(e->k, v);
    if (i->op == IR_ARRAY || i->op == IR_STORE || (i->op == IR_LOAD && s->stored[i->array->id])) return NULL;
    if (i->op != IR_LOOP) continue;
    const Loop *l = i->loop;
    if (l->kind != LOOP_PAR || !parallel_takes_runs(e, l)) return NULL;
    if (!first) first = l;
    if (l->lo != first->lo || l->hi != first->hi || !known_before(e, seq, l->lo) || !known_before(e, seq, l->hi))
      return NULL;
    s->own = l;
    walk_code(e->k, l->body, note_access, s);
  }
  return s->fails ? NULL : first;
}

/* Bytes of an array that are one iteration's. */
static LLVMValueRef each_of(Emit *e, const Array *a, LLVMValueRef extent) {
  return LLVMBuildUDiv(e->b, array_bytes(e, a), greatest(e, extent, const_int(e, 1)), "");
}

/* So many iterations as a run has: all, where threads would have less than two. */
static LLVMValueRef run_of(Emit *e, const Sequence *s, LLVMValueRef extent) {
  LLVMValueRef bytes = const_int(e, 1), one = const_int(e, 1);
  for (uint32_t n = 0; n < e->k->arrays.n; n++)
    if (s->loaded[n]) bytes = plus(e, bytes, each_of(e, e->k->arrays.at[n], extent));
  LLVMValueRef each = greatest(e, LLVMBuildUDiv(e->b, const_int(e, CACHE), bytes, ""), one);
  LLVMValueRef run = least(e, LLVMBuildMul(e->b, each, e->threads, ""), greatest(e, extent, one));
  LLVMValueRef few = LLVMBuildICmp(e->b, LLVMIntSLT, extent, times(e, e->threads, 2), "");
  return LLVMBuildSelect(e->b, few, greatest(e, extent, one), run, "");
}

bool interchange(Emit *e, const Loop *seq) {
  uint32_t arrays = e->k->arrays.n + 1;
  Sequence s = {.k = e->k, .place = NEW_ARRAY(e->arena, uint32_t, arrays), .stored = NEW_ARRAY(e->arena, bool, arrays),
                .loaded = NEW_ARRAY(e->arena, bool, arrays)};
  const Loop *par = first_loop(e, seq, &s);
  if (!par) return false;
  LLVMValueRef extent = greatest(e, minus(e, e->val[par->hi], e->val[par->lo]), const_int(e, 0));
  LLVMValueRef run = run_of(e, &s, extent);
  LLVMValueRef runs = LLVMBuildUDiv(e->b, minus(e, plus(e, extent, run), const_int(e, 1)), run, "");
  Count c = count_enter(e, const_int(e, 0), runs);
  e->run_first = LLVMBuildMul(e->b, c.index, run, "");
  e->run_count = least(e, run, minus(e, extent, e->run_first));
  Count step = loop_enter(e, seq);
  emit_code(e, seq->body, NULL, false);
  count_leave(e, &step);
  e->run_first = e->run_count = NULL;
  count_leave(e, &c);
  return true;
}
