/* subject: see subject.h. */
#include "subject.h"

#include <stdlib.h>
#include <string.h>

#include "driver/execute.h"
#include "driver/limit.h"
#include "driver/measure.h"
#include "driver/verify_input.h"
#include "oracle/draw.h"

static const double MOST_COST = 2e6; /* weight evaluations */

struct Subjects {
  Arena arena;
  jmp_buf no_memory;
  FILE *nowhere; /* what draws that do not fit are told */
  const Loaded *file;
  Program *program; /* by model */
  bool f64;
};

/* ---- models ------------------------------------------------------------------------------------------------- */

static bool compile_all(Subjects *s, bool sanitize) {
  const Options o = {.f64 = s->f64, .no_optimise = !sanitize, .threads = 1, .sanitize = sanitize};
  uint32_t n = s->file->models->models.n;
  s->program = NEW_ARRAY(&s->arena, Program, n);
  for (uint32_t k = 0; k < n; k++)
    if (!execute_compile(&s->arena, s->file, s->file->models->models.at[k], &o, NULL, &s->program[k])) return false;
  return true;
}

Subjects *subjects_load(const char *path, bool f64, bool sanitize) {
  Subjects *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  arena_init(&s->arena, NULL);
  s->f64 = f64;
  s->file = load_file(&s->arena, path);
  s->nowhere = fopen("/dev/null", "w");
  if (s->file && compile_all(s, sanitize)) return s;
  subjects_free(s);
  return NULL;
}

void subjects_free(Subjects *s) {
  for (int k = 0; s->program && k < subjects_count(s); k++) execute_dispose(&s->program[k]);
  arena_free(&s->arena);
  fclose(s->nowhere);
  free(s);
}

int subjects_count(const Subjects *s) { return s->file ? (int)s->file->models->models.n : 0; }

const char *subjects_name(const Subjects *s, int n) {
  const Model *m = s->file->models->models.at[n];
  return sym_text(m->names, m->name);
}

void subjects_code(const Subjects *s, int n, attn_kernel_fn *run, attn_workspace_fn *workspace) {
  *run = s->program[n].code->run;
  *workspace = s->program[n].code->workspace;
}

void drawn_free(Drawn *d) {
  for (int k = 0; k < d->nin; k++) free(d->in[k].values);
}

/* ---- inputs and shapes ---------------------------------------------------------------------------------------- */

static Stored type_of(ElemKind e) {
  switch (e) {
  case ELEM_REAL: return STORED_REAL;
  case ELEM_F64: return STORED_F64;
  case ELEM_F32: return STORED_F32;
  case ELEM_F16: return STORED_F16;
  case ELEM_BF16: return STORED_BF16;
  case ELEM_INT: case ELEM_GRAPH: return STORED_INT;
  case ELEM_BOOL: return STORED_BOOL;
  }
  return STORED_REAL;
}

static void shape(DrawnArray *a, const char *name, Stored t, uint32_t rank, const int64_t *extent) {
  *a = (DrawnArray){.type = t, .rank = (int)rank};
  snprintf(a->name, sizeof a->name, "%s", name);
  for (uint32_t k = 0; k < rank; k++) a->extent[k] = extent[k];
}

static void fill(DrawnArray *a, const double *real, const int64_t *integer) {
  int64_t n = 1;
  for (int k = 0; k < a->rank; k++) n *= a->extent[k];
  a->values = malloc((size_t)(n + 1) * sizeof *a->values);
  for (int64_t k = 0; a->values && k < n; k++) a->values[k] = real ? real[k] : (double)integer[k];
}

static void add_graph(Drawn *c, const char *name, const BoundInput *b) {
  int64_t rows = b->dims[0] + 1;
  shape(&c->in[c->nin], name, STORED_INT, 1, &rows);
  fill(&c->in[c->nin++], NULL, b->indptr);
  shape(&c->in[c->nin], name, STORED_INT, 1, &b->nnz);
  fill(&c->in[c->nin++], NULL, b->indices);
  c->size[c->nsizes++] = b->nnz;
}

static void add_inputs(Drawn *c, const Model *m, const Binding *b) {
  for (uint32_t k = 0; k < m->sizes.n; k++) c->size[c->nsizes++] = b->sizes[k];
  for (uint32_t k = 0; k < m->inputs.n; k++) {
    const Input *x = m->inputs.at[k];
    const BoundInput *from = &b->inputs[k];
    if (x->elem == ELEM_GRAPH) {
      add_graph(c, sym_text(m->names, x->name), from);
      continue;
    }
    shape(&c->in[c->nin], sym_text(m->names, x->name), type_of(x->elem), from->rank, from->dims);
    fill(&c->in[c->nin++], from->real, from->integer);
  }
}

static Stored stored_as(ElemType t, bool f64) {
  if (t == ELEMTYPE_BOOL) return STORED_BOOL;
  if (t == ELEMTYPE_I64) return STORED_INT;
  return t == ELEMTYPE_F64 && !f64 ? STORED_F64 : STORED_REAL;
}

static bool add_outputs(Drawn *c, const Program *p, const Inputs *in) {
  const Model *m = p->model;
  for (uint32_t k = 0; k < m->outs.n; k++) {
    AttnArray a;
    if (!execute_shape(p, in, m->outs.at[k], &a)) return false;
    shape(&c->out[c->nout++], sym_text(m->names, m->outs.at[k]->name), stored_as(a.type, p->f64), (uint32_t)a.rank,
          a.shape);
  }
  return true;
}

/* Every fourth size is what it happens to be, the others are odd: tails of vectors. */
static void choose_sizes(const Model *m, int64_t largest, uint64_t seed, int64_t *sizes) {
  for (uint32_t k = 0; k < m->sizes.n; k++) {
    uint64_t r = (seed * 0x9E3779B97F4A7C15u + k * 0xBF58476D1CE4E5B9u) >> 33;
    sizes[k] = r % 4 == 0 ? -1 : (int64_t)(r / 4 % (uint64_t)largest) | 1;
  }
}

static bool draw(Arena *arena, const Model *m, int64_t largest, uint64_t seed, Binding *b) {
  char *why;
  int64_t *sizes = NEW_ARRAY(arena, int64_t, m->sizes.n + 1);
  DrawOptions options = {.sizes = sizes, .max_size = largest, .round_f32 = true};
  choose_sizes(m, largest, seed, sizes);
  if (draw_binding(arena, m, seed, &options, b, &why)) return true;
  options.sizes = NULL; /* sizes that belong together */
  return draw_binding(arena, m, seed, &options, b, &why);
}

bool subjects_draw(Subjects *s, int n, int64_t largest, uint64_t seed, Drawn *c) {
  const Program *p = &s->program[n];
  const Model *m = p->model;
  Binding b;
  *c = (Drawn){0};
  if (2 * m->inputs.n > DRAWN_ARRAYS || m->outs.n > DRAWN_ARRAYS || m->sizes.n + m->inputs.n + 1 > DRAWN_SIZES)
    return false;
  message_divert(s->nowhere);
  Arena *arena = arena_child(&s->arena);
  bool ok = draw(arena, m, largest, seed, &b);
  if (ok) {
    Inputs in = verify_inputs(arena, m, &b, s->f64, 0, 0);
    ok = measure_fits(&in) && limit_holds(arena, s->file, &in, MOST_COST) && add_outputs(c, p, &in);
    add_inputs(c, m, &b);
    if (c->nsizes < (int)p->kernel->sizes.n) c->size[c->nsizes++] = (int64_t)seed;
  }
  arena_child_free(arena);
  message_divert(NULL);
  return ok;
}
