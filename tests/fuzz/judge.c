/* judge: see judge.h. */
#include "judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "back/back.h"
#include "bind.h"
#include "front/parse.h"
#include "infer/derive.h"
#include "ir/ir_eval.h"
#include "ir/pass.h"
#include "model/check.h"
#include "oracle/distance.h"
#include "oracle/oracle.h"
#include "family.h"
#include "random.h"
#include "special.h"

/* By Family. */
static attn_family_fn *const routines[] = {
#define FAMILY(ID, name, function, ints, inputs, outputs) function,
#include "ir/family.def"
#undef FAMILY
};

enum { CANARY = 64, SENSITIVITY_RUNS = 5, TIE_RUNS = 24 };

/* A few runs are a sample, not a bound. */
static const double F32_EXCUSE = 8, F32_ROUNDING = 6e-8, F64_ROUNDING = 0x1p-52;

typedef struct Case {
  Arena *arena;
  const Model *m;
  const Source *source;
  Binding bound;
  OutputArray **want;   /* by Out.id */
  bool fault;           /* the oracle stopped with an error of the model */
  bool *drawn;          /* by Out.id: the oracle does not judge it; f64 stages must agree among themselves */
  double max_log_w;     /* from the oracle */
  const OutputArray *plain; /* by Out.id: what the kernel as derived gives */
  double *moved;        /* by Out.id: how far rounding to f32 moves that; NULL: not asked yet */
  const Kernel *kernel; /* as derived */
  const JudgeOptions *options;
  char *why;
  size_t room;
} Case;

static Verdict say(Case *c, Verdict v, const char *text) {
  snprintf(c->why, c->room, "%s", text);
  return v;
}

/* ---- comparing ------------------------------------------------------------------------------------------- */

static double at(const OutputArray *a, int64_t k) { return a->real ? a->real[k] : (double)a->integer[k]; }

/* By oracle/distance.h; *worst as there. */
static double distance(const OutputArray *got, const OutputArray *want, bool single, int64_t *worst) {
  Distance d = {.worst = -1};
  for (int64_t k = 0; k < want->count; k++) distance_add(&d, k, at(got, k), at(want, k), single);
  *worst = d.worst;
  return want->real ? distance_of_reals(&d) : distance_of_ints(&d);
}

static double allowed_distance(const Case *c, const OutputArray *want, double moved, bool f64) {
  if (!want->real) return moved > 0 && !f64 ? 1 : 0;
  return f64 ? 1e-10 + 1e-7 * moved : distance_allowed_f32(c->max_log_w) + F32_EXCUSE * moved;
}

static bool same_shape(const OutputArray *a, const OutputArray *b) {
  if (a->rank != b->rank || a->count != b->count) return false;
  for (uint32_t k = 0; k < a->rank; k++)
    if (a->dims[k] != b->dims[k]) return false;
  return true;
}

static void print_sizes(const Case *c) {
  fprintf(c->options->to, "sizes:");
  for (uint32_t i = 0; i < c->m->sizes.n; i++)
    fprintf(c->options->to, " %s=%lld", sym_text(c->m->names, c->m->sizes.at[i]->name), (long long)c->bound.sizes[i]);
  fprintf(c->options->to, "\n");
}

static void print_array(FILE *to, const char *label, const OutputArray *a) {
  fprintf(to, "  %-10s", label);
  for (int64_t k = 0; k < a->count && k < 24; k++) fprintf(to, " %.9g", at(a, k));
  fprintf(to, "%s\n", a->count > 24 ? " ..." : "");
}

/* What the oracle was given, but for graphs. */
static void print_inputs(const Case *c) {
  for (uint32_t i = 0; i < c->m->inputs.n; i++) {
    const BoundInput *b = &c->bound.inputs[i];
    if (!b->real && !b->integer) continue;
    OutputArray a = {.count = b->count, .real = b->real, .integer = b->integer};
    print_array(c->options->to, sym_text(c->m->names, c->m->inputs.at[i]->name), &a);
  }
}

static bool interpret(Case *c, const Kernel *k, const Binding *bound, bool f64, int noise, OutputArray **got,
                      const char **error);

/* Is this place of a mode decided by rounding alone: another one where the inputs are rounded in f64?  Weights that are
 * equal only up to rounding have no lowest index. */
static bool is_tie(Case *c, uint32_t out, int64_t place) {
  OutputArray *plain, *moved;
  const char *error;
  if (c->want[out]->real || !interpret(c, c->kernel, &c->bound, true, 0, &plain, &error)) return false;
  for (uint64_t run = 0; run < TIE_RUNS; run++) {
    Binding b = bind_perturbed(c->arena, c->m, &c->bound, F64_ROUNDING * (double)(run + 1), c->bound.seed + run);
    if (interpret(c, c->kernel, &b, true, 0, &moved, &error) && at(&moved[out], place) != at(&plain[out], place))
      return true;
  }
  return false;
}

static bool all_ties(Case *c, uint32_t out, const OutputArray *got) {
  for (int64_t k = 0; k < got->count; k++)
    if (at(got, k) != at(c->want[out], k) && !is_tie(c, out, k)) return false;
  return true;
}

/* Of the inputs' rounding in the first run, of every operation's in the others. */
static void measure_sensitivity(Case *c) {
  Binding moved = bind_perturbed(c->arena, c->m, &c->bound, F32_ROUNDING, c->bound.seed);
  OutputArray *got;
  const char *error;
  c->moved = NEW_ARRAY(c->arena, double, c->m->outs.n);
  for (int run = 0; run < SENSITIVITY_RUNS; run++) {
    if (!interpret(c, c->kernel, run ? &c->bound : &moved, true, run, &got, &error)) continue;
    for (uint32_t i = 0; i < c->m->outs.n; i++) {
      int64_t worst;
      double d = distance(&got[i], &c->plain[i], true, &worst);
      if (d > c->moved[i]) c->moved[i] = d;
    }
  }
}

/* Of output `out`.  Takes longer than all else, and few distances ask for it. */
static double sensitivity(Case *c, uint32_t out) {
  if (!c->moved) measure_sensitivity(c);
  return c->moved[out];
}

static Verdict compare(Case *c, const char *stage, const OutputArray *got, bool f64) {
  for (uint32_t i = 0; i < c->m->outs.n; i++) {
    const OutputArray *want = c->want[i];
    const char *name = sym_text(c->m->names, c->m->outs.at[i]->name);
    if (!want || (c->drawn[i] && !f64)) continue;
    if (!same_shape(want, &got[i]))
      return say(c, VERDICT_MISMATCH, arena_printf(c->arena, "%s: shape of %s", stage, name));
    bool want_numbers = !want->count || want->real || want->integer,
         got_numbers = !got[i].count || got[i].real || got[i].integer;
    if (!want_numbers || !got_numbers)
      return say(c, VERDICT_MISMATCH,
                 arena_printf(c->arena, "%s: %s has %lld elements but no numbers in %s", stage, name,
                              (long long)want->count, want_numbers ? "the result" : "the oracle's"));
    int64_t worst;
    double d = distance(&got[i], want, !f64, &worst);
    if (worst < 0 || d <= allowed_distance(c, want, 0, f64)) continue;
    double moved = sensitivity(c, i), tol = allowed_distance(c, want, moved, f64);
    if (d <= tol || (!f64 && moved == INFINITY)) continue;
    if (all_ties(c, i, &got[i])) continue;
    if (c->options->to) {
      print_sizes(c);
      fprintf(c->options->to, "%s: output %s differs at %lld: %.17g, oracle %.17g (off by %.3g of %.3g)\n", stage, name,
              (long long)worst, at(&got[i], worst), at(want, worst), d, tol);
      print_inputs(c);
      print_array(c->options->to, "oracle", want);
      print_array(c->options->to, stage, &got[i]);
    }
    return say(
        c, VERDICT_MISMATCH,
        arena_printf(c->arena, "%s: %s is %.10g, oracle %.10g", stage, name, at(&got[i], worst), at(want, worst)));
  }
  return VERDICT_AGREE;
}

/* ---- the interpreter ----------------------------------------------------------------------------------------- */

static EvalInput *eval_inputs(Case *c, const Binding *bound) {
  EvalInput *to = NEW_ARRAY(c->arena, EvalInput, c->m->inputs.n * EVAL_PARTS);
  for (uint32_t i = 0; i < c->m->inputs.n; i++) {
    const BoundInput *b = &bound->inputs[i];
    if (c->m->inputs.at[i]->elem == ELEM_GRAPH) {
      int64_t *dims = NEW_ARRAY(c->arena, int64_t, 2);
      dims[0] = b->dims[0] + 1;
      dims[1] = b->nnz;
      to[i * EVAL_PARTS + PART_INDPTR] = (EvalInput){.integer = b->indptr, .dims = &dims[0]};
      to[i * EVAL_PARTS + PART_INDICES] = (EvalInput){.integer = b->indices, .dims = &dims[1]};
    } else to[i * EVAL_PARTS] = (EvalInput){b->real, b->integer, b->dims};
  }
  return to;
}

/* Sizes of the model, then what the kernel adds: stored neighbours of each graph, the seed of the run. */
static int64_t *kernel_sizes(Case *c, const Kernel *k) {
  int64_t *s = NEW_ARRAY(c->arena, int64_t, k->sizes.n);
  uint32_t n = c->m->sizes.n;
  for (uint32_t i = 0; i < n; i++) s[i] = c->bound.sizes[i];
  for (uint32_t i = 0; i < c->m->inputs.n; i++)
    if (c->m->inputs.at[i]->elem == ELEM_GRAPH) s[n++] = c->bound.inputs[i].nnz;
  if (n < k->sizes.n) s[n] = (int64_t)c->bound.seed;
  return s;
}

/* noise: the number of a run with random relative errors of f32 in every operation; 0: without. */
static bool interpret(Case *c, const Kernel *k, const Binding *bound, bool f64, int noise, OutputArray **got,
                      const char **error) {
  EvalArgs args = {.f64 = f64,
                   .noise = noise ? 0x1p-24 : 0,
                   .noise_state = (uint64_t)noise * 0x9E3779B97F4A7C15u,
                   .sizes = kernel_sizes(c, k),
                   .ninput = c->m->inputs.n,
                   .inputs = eval_inputs(c, bound),
                   .noutput = c->m->outs.n,
                   .outputs = NEW_ARRAY(c->arena, EvalOutput, c->m->outs.n),
                   .functions = {attn_rt_random_uniform, attn_rt_lgamma, attn_rt_digamma, attn_rt_lbeta, routines},
                   .max_steps = 400000000};
  bool ok = ir_eval(c->arena, k, &args);
  *error = ok ? NULL : args.error;
  *got = NEW_ARRAY(c->arena, OutputArray, c->m->outs.n);
  for (uint32_t i = 0; ok && i < c->m->outs.n; i++)
    (*got)[i] = (OutputArray){args.outputs[i].rank, args.outputs[i].dims, args.outputs[i].count, args.outputs[i].real,
                              args.outputs[i].integer};
  return ok;
}

/* ---- the back end ----------------------------------------------------------------------------------------------- */

static void fill_strides(attn_view *v, uint32_t rank, const int64_t *dims) {
  int64_t stride = 1;
  for (uint32_t k = rank; k-- > 0;) {
    v->size[k] = dims[k];
    v->stride[k] = stride;
    stride *= dims[k] > 0 ? dims[k] : 1;
  }
}

static size_t bytes_of(StoreType t, bool f64) {
  switch (t) {
  case STORE_BOOL: return 1;
  case STORE_INT: case STORE_WIDE: return 8;
  case STORE_REAL: return f64 ? 8 : 4;
  case STORE_F32: return 4;
  case STORE_F16: case STORE_BF16: return 2;
  }
  return 8;
}

static void store(void *data, StoreType t, bool f64, int64_t k, const BoundInput *b) {
  if (t == STORE_BOOL) ((uint8_t *)data)[k] = b->integer[k] != 0;
  else if (t == STORE_INT) ((int64_t *)data)[k] = b->integer[k];
  else if (bytes_of(t, f64) == 8) ((double *)data)[k] = b->real[k];
  else if (bytes_of(t, f64) == 4) ((float *)data)[k] = (float)b->real[k];
  else abort(); /* half precision: not generated */
}

static double load_real(const void *data, StoreType t, bool f64, int64_t k) {
  return bytes_of(t, f64) == 8 ? ((const double *)data)[k] : (double)((const float *)data)[k];
}

/* Memory with bytes of 0xAB around it and in it. */
static uint8_t *fenced(Case *c, size_t bytes) {
  uint8_t *p = arena_alloc(c->arena, bytes + 2 * CANARY);
  memset(p, 0xAB, bytes + 2 * CANARY);
  return p + CANARY;
}

static bool fence_holds(const uint8_t *p, size_t bytes) {
  for (int k = 0; k < CANARY; k++)
    if (p[-1 - k] != 0xAB || p[bytes + (size_t)k] != 0xAB) return false;
  return true;
}

static attn_view *back_inputs(Case *c, bool f64) {
  attn_view *in = NEW_ARRAY(c->arena, attn_view, 2 * c->m->inputs.n);
  uint32_t n = 0;
  for (uint32_t i = 0; i < c->m->inputs.n; i++) {
    const BoundInput *b = &c->bound.inputs[i];
    StoreType t = derive_stored(c->m->inputs.at[i]->elem);
    if (c->m->inputs.at[i]->elem == ELEM_GRAPH) {
      in[n++] = (attn_view){b->indptr, {b->dims[0] + 1}, {1}};
      in[n++] = (attn_view){b->indices, {b->nnz}, {1}};
      continue;
    }
    in[n].data = fenced(c, (size_t)b->count * bytes_of(t, f64));
    for (int64_t k = 0; k < b->count; k++) store(in[n].data, t, f64, k, b);
    fill_strides(&in[n++], b->rank, b->dims);
  }
  return in;
}

typedef struct Results { attn_view *view; OutputArray *got; StoreType *type; } Results;

static Results back_outputs(Case *c, const Kernel *k, const OutputArray *like, bool f64) {
  Results r = {NEW_ARRAY(c->arena, attn_view, c->m->outs.n), NEW_ARRAY(c->arena, OutputArray, c->m->outs.n),
               NEW_ARRAY(c->arena, StoreType, c->m->outs.n)};
  for (uint32_t n = 0; n < k->arrays.n; n++) {
    const Array *a = k->arrays.at[n];
    if (a->kind != ARRAY_OUT) continue;
    const OutputArray *o = &like[a->external];
    r.type[a->external] = a->elem;
    r.view[a->external].data = fenced(c, (size_t)o->count * bytes_of(a->elem, f64));
    fill_strides(&r.view[a->external], o->rank, o->dims);
  }
  return r;
}

static bool read_outputs(Case *c, Results *r, const OutputArray *like, bool f64) {
  bool whole = true;
  for (uint32_t i = 0; i < c->m->outs.n; i++) {
    OutputArray *o = &r->got[i];
    const void *data = r->view[i].data;
    *o = like[i];
    whole &= fence_holds(data, (size_t)o->count * bytes_of(r->type[i], f64));
    if (o->real) o->real = NEW_ARRAY(c->arena, double, o->count);
    else o->integer = NEW_ARRAY(c->arena, int64_t, o->count);
    for (int64_t k = 0; k < o->count; k++)
      if (o->real) o->real[k] = load_real(data, r->type[i], f64, k);
      else o->integer[k] = r->type[i] == STORE_BOOL ? ((const uint8_t *)data)[k] : ((const int64_t *)data)[k];
  }
  return whole;
}

/* Compiles and runs; `like` gives the shapes of the outputs.  f64 goes without LLVM's optimisations: half the time.  Where
 * f32 does so too, f64 is scalar code, which takes half the time again: each way to lower is compiled once. */
static Verdict run_back(Case *c, const Kernel *k, const OutputArray *like, bool f64, bool *stopped) {
  bool plain = c->options->unoptimised;
  BackOptions options = {.f64 = f64, .optimise = !f64 && !plain, .tile = !f64 || !plain};
  Compiled *compiled;
  const char *why;
  if (!back_compile(c->arena, k, &options, &compiled, &why))
    return say(c, strstr(why, "split the model") ? VERDICT_REFUSED : VERDICT_CRASH, why);
  const char *stage = f64 ? "native f64" : "native f32";
  int64_t *sizes = kernel_sizes(c, k);
  size_t bytes = compiled->workspace(sizes, 1);
  uint8_t *workspace = fenced(c, bytes + 64);
  workspace += (64 - (uintptr_t)workspace % 64) % 64;
  Results r = back_outputs(c, k, like, f64);
  attn_error err = {0};
  int status = compiled->run(back_inputs(c, f64), r.view, sizes, workspace, bytes, NULL, &err);
  back_dispose(compiled);
  *stopped = status != 0;
  if (status) return VERDICT_AGREE;
  if (!read_outputs(c, &r, like, f64))
    return say(c, VERDICT_MISMATCH, arena_printf(c->arena, "%s: writes beside an output", stage));
  return c->fault ? VERDICT_AGREE : compare(c, stage, r.got, f64);
}

/* ---- a model through all stages ---------------------------------------------------------------------------------- */

static Verdict disparity(Case *c, const char *stage, const char *what) {
  if (c->options->to) {
    print_sizes(c);
    fprintf(c->options->to, "%s: %s\n", stage, what);
  }
  return say(c, VERDICT_DISPARITY, arena_printf(c->arena, "%s: %s", stage, what));
}

/* VERDICT_AGREE where both run or both stop. */
static Verdict interpret_like_oracle(Case *c, const Kernel *k, const char *stage, bool f64, OutputArray **got) {
  const char *error;
  bool ok = interpret(c, k, &c->bound, f64, 0, got, &error);
  if (!ok && !strcmp(error, "too many steps")) return say(c, VERDICT_COSTLY, "the interpreter takes too many steps");
  if (!ok && !c->fault && strstr(error, "a clique of too many values")) return say(c, VERDICT_COSTLY, error);
  if (ok && c->fault) return VERDICT_LAZY;
  if (!ok && !c->fault) return disparity(c, stage, arena_printf(c->arena, "%s, the oracle runs", error));
  return VERDICT_AGREE;
}

static Verdict interpret_and_compare(Case *c, const Kernel *k, const char *stage, bool f64) {
  OutputArray *got;
  Verdict v = interpret_like_oracle(c, k, stage, f64, &got);
  return v || c->fault ? v : compare(c, stage, got, f64);
}

static Verdict compare_kernel(Case *c, const Kernel *k) {
  OutputArray *plain;
  c->kernel = k;
  c->moved = NULL;
  const char *bad = ir_verify(k);
  if (bad) return say(c, VERDICT_CRASH, arena_printf(c->arena, "verifier: %s", bad));
  c->drawn = NEW_ARRAY(c->arena, bool, c->m->outs.n);
  Verdict v = interpret_like_oracle(c, k, "derived", true, &plain);
  if (v) return v;
  c->plain = plain;
  if (!c->fault && (v = compare(c, "derived", plain, true))) return v;
  for (uint32_t i = 0; i < c->m->outs.n && !c->fault; i++)
    if ((c->drawn[i] = !c->want[i])) c->want[i] = &plain[i];
  Kernel *after = ir_run_passes_with(c->arena, k, &(PassOptions){.reassociate = c->options->reassociate}, NULL);
  const Kernel *native = c->options->reassociate == REASSOCIATE_ALWAYS ? after : k;
  if ((v = interpret_and_compare(c, after, "passes", true))) return v;
  if (!c->fault && (v = interpret_and_compare(c, after, "passes f32", false))) return v;
  if (c->options->interpret_only || c->fault) return c->fault ? VERDICT_FAULT : VERDICT_AGREE;
  for (int f64 = 1; f64 >= 0; f64--) {
    bool stopped = false;
    if (c->options->one_native && f64 != (int)(c->bound.seed % 2)) continue;
    if ((v = run_back(c, native, plain, f64, &stopped))) return v;
    if (stopped) return disparity(c, f64 ? "native f64" : "native f32", "stops, the oracle runs");
  }
  return VERDICT_AGREE;
}

static bool is_cost(const char *why) {
  return strstr(why, "enumeration") || strstr(why, "more than") || strstr(why, "an output of");
}

/* Sizes and inputs on which the oracle gets through. */
static bool find_case(Case *c, uint64_t seed, char **why) {
  OracleLimits limits = {.max_values = 3e4, .max_steps = 2e6};
  for (uint32_t attempt = c->options->no_large; attempt < 4; attempt++) {
    if (!bind_model(c->arena, c->m, seed, attempt, &c->bound, why)) return false;
    c->bound.seed = seed;
    c->fault = false;
    if (oracle_run(c->arena, c->m, &c->bound, &limits, &c->want, &c->max_log_w, why)) return true;
    c->fault = !is_cost(*why);
    if (c->fault) return true;
  }
  return false;
}

static char *text_after_passes(Case *c, const Kernel *k, Reassociate how) {
  char *text = NULL;
  size_t size;
  FILE *to = open_memstream(&text, &size);
  ir_print(ir_run_passes_with(c->arena, k, &(PassOptions){.reassociate = how}, NULL), to);
  fclose(to);
  return text;
}

/* Whether sums of this model change places at all; else what the passes leave is judged without. */
static bool is_reassociated(Case *c) {
  Plan *plan = plan_model(c->arena, c->m);
  Kernel *k = plan->refusals.n ? NULL : derive_kernel(c->arena, plan);
  if (!k) return true;
  char *never = text_after_passes(c, k, REASSOCIATE_NEVER), *always = text_after_passes(c, k, REASSOCIATE_ALWAYS);
  bool differ = strcmp(never, always) != 0;
  free(never);
  free(always);
  return differ;
}

static Verdict judge_model(Case *c, uint64_t seed) {
  char *why = NULL;
  if (c->options->only_reassociated && !is_reassociated(c)) return VERDICT_AGREE;
  if (!find_case(c, seed, &why)) return say(c, VERDICT_COSTLY, why);
  if (c->fault) say(c, VERDICT_FAULT, why);
  Plan *plan = plan_model(c->arena, c->m);
  if (seed % 2) plan->whole_bytes = 0; /* messages of segments, at small sizes too */
  if (seed % 4 == 0) plan->both_ways = 0; /* and both ways at once */
  if (plan->refusals.n) return say(c, VERDICT_REFUSED, plan->refusals.at[0].text);
  Kernel *k = derive_kernel(c->arena, plan);
  if (!k) return say(c, VERDICT_REFUSED, plan->refusals.n ? plan->refusals.at[0].text : "?");
  return compare_kernel(c, k);
}

Verdict judge_text(const char *path, const char *text, uint64_t seed, const JudgeOptions *options, char *why,
                   size_t room) {
  Arena arena;
  arena_init(&arena, NULL);
  Interner names;
  Diags diags;
  intern_init(&names, &arena);
  const Source *source = source_from_text(&arena, path, text, strlen(text));
  diag_init(&diags, &arena, source);
  const ModelFile *file = check_file(&arena, &names, &diags, source, parse_file(&arena, &names, &diags, source));
  Verdict worst = VERDICT_AGREE;
  *why = 0;
  if (diags.errors) {
    worst = VERDICT_ILLEGAL;
    for (uint32_t i = 0; i < diags.list.n; i++)
      if (diags.list.at[i]->level == DIAG_ERROR) {
        snprintf(why, room, "%s", diags.list.at[i]->text);
        break;
      }
    if (options->to) diag_print(&diags, options->to);
  }
  for (uint32_t i = 0; i < file->models.n && worst != VERDICT_ILLEGAL; i++) {
    char line[200] = "";
    Case c = {.arena = &arena,
              .m = file->models.at[i],
              .source = source,
              .options = options,
              .why = line,
              .room = sizeof line};
    Verdict v = judge_model(&c, seed);
    if (v >= worst) {
      worst = v;
      snprintf(why, room, "%s", line);
    }
  }
  arena_free(&arena);
  return worst;
}

const char *verdict_name(Verdict v) {
  switch (v) {
  case VERDICT_AGREE: return "agree";
  case VERDICT_REFUSED: return "refused";
  case VERDICT_FAULT: return "fault";
  case VERDICT_LAZY: return "lazy";
  case VERDICT_COSTLY: return "costly";
  case VERDICT_ILLEGAL: return "illegal";
  case VERDICT_DISPARITY: return "disparity";
  case VERDICT_MISMATCH: return "mismatch";
  case VERDICT_CRASH: return "crash";
  case VERDICT_HANG: return "hang";
  case VERDICT_COUNT_: break;
  }
  return "?";
}
