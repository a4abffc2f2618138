/* call: binding and running.
 *
 * What the caller binds is only noted; a run (or a question about shapes) binds it all anew in an arena of its own, by
 * the rules of the command line, so that shapes may be given in any order and changed between runs. */
#include <stdlib.h>

#include "api/api.h"
#include "driver/cancel.h"
#include "driver/precheck.h"

/* How an input was given. */
typedef enum { GIVEN_NOT, GIVEN_ARRAY, GIVEN_GRAPH, GIVEN_REAL, GIVEN_INT } GivenKind;
typedef struct Given { GivenKind kind; AttnArray array, indices; double real; int64_t integer; uint8_t truth; } Given;

typedef enum { GOES_TO_CALL, GOES_TO_CALLER, GOES_NOWHERE } Goes;
typedef struct Destination { Goes goes; AttnArray array; } Destination;

struct attn_call {
  const attn_model *m;
  Arena arena; /* of the last run */
  jmp_buf oom;
  Given *given;   /* by Input.id */
  Destination *target; /* by Out.id */
  int64_t *size;  /* by Size.id; -1: not given */
  uint64_t seed;
  atomic_bool stop; /* set by any thread */
  Inputs inputs;  /* bound; on the arena */
  AttnArray *results; /* by Out.id, on the arena; NULL: none yet */
};

int attn_call_new(const attn_model *m, attn_call **result, attn_message *why) {
  attn_call *c = calloc(1, sizeof *c);
  if (!c) return api_no_memory(why);
  c->m = m;
  arena_init(&c->arena, &c->oom);
  c->given = calloc(m->model->inputs.n + 1, sizeof *c->given);
  c->target = calloc(m->model->outs.n + 1, sizeof *c->target);
  c->size = calloc(m->model->sizes.n + 1, sizeof *c->size);
  if (!c->given || !c->target || !c->size) {
    attn_call_free(c);
    return api_no_memory(why);
  }
  for (uint32_t k = 0; k < m->model->sizes.n; k++) c->size[k] = -1;
  *result = c;
  return ATTN_OK;
}

void attn_call_free(attn_call *c) {
  if (!c) return;
  arena_free(&c->arena);
  free(c->given);
  free(c->target);
  free(c->size);
  free(c);
}

/* ---- names --------------------------------------------------------------------------------------------- */

static int no_such(const attn_call *c, const char *what, const char *name, attn_message *why) {
  return api_error(why, ATTN_ERROR_NAME, "model '%s' has no %s '%s'", sym_text(c->m->model->names, c->m->model->name),
                   what, name);
}

static const Input *find_input(const attn_call *c, const char *name) {
  for (uint32_t k = 0; k < c->m->model->inputs.n; k++)
    if (!strcmp(c->m->inputs[k].name, name)) return c->m->model->inputs.at[k];
  return NULL;
}

static const Out *find_output(const attn_call *c, const char *name) {
  for (uint32_t k = 0; k < c->m->model->outs.n; k++)
    if (!strcmp(c->m->outputs[k].name, name)) return c->m->model->outs.at[k];
  return NULL;
}

static int find_size(const attn_call *c, const char *name) {
  for (int k = 0; k < attn_model_sizes(c->m); k++)
    if (!strcmp(attn_model_size(c->m, k), name)) return k;
  return -1;
}

/* ---- binding ------------------------------------------------------------------------------------------- */

static int give(attn_call *c, const char *name, Given given, attn_message *why) {
  const Input *x = find_input(c, name);
  if (!x) return no_such(c, "input", name, why);
  if ((x->elem == ELEM_GRAPH) != (given.kind == GIVEN_GRAPH))
    return api_error(why, ATTN_ERROR_NAME, "input '%s' is %s graph", name, x->elem == ELEM_GRAPH ? "a" : "no");
  c->given[x->id] = given;
  return ATTN_OK;
}

int attn_call_input(attn_call *c, const char *name, const attn_array *array, attn_message *why) {
  Given given = {.kind = GIVEN_ARRAY};
  if (!api_array(array, name, &given.array, why)) return ATTN_ERROR_INPUT;
  return give(c, name, given, why);
}

int attn_call_graph(attn_call *c, const char *name, const attn_array *indptr, const attn_array *indices,
                    attn_message *why) {
  Given given = {.kind = GIVEN_GRAPH};
  if (!api_array(indptr, name, &given.array, why) || !api_array(indices, name, &given.indices, why))
    return ATTN_ERROR_INPUT;
  return give(c, name, given, why);
}

int attn_call_real(attn_call *c, const char *name, double value, attn_message *why) {
  return give(c, name, (Given){.kind = GIVEN_REAL, .real = value}, why);
}

int attn_call_int(attn_call *c, const char *name, int64_t value, attn_message *why) {
  return give(c, name, (Given){.kind = GIVEN_INT, .integer = value}, why);
}

int attn_call_size(attn_call *c, const char *name, int64_t value, attn_message *why) {
  int k = find_size(c, name);
  if (k < 0) return no_such(c, "size", name, why);
  if (value < 0)
    return api_error(why, ATTN_ERROR_INPUT, "size '%s' cannot be negative, found %lld", name, (long long)value);
  c->size[k] = value;
  return ATTN_OK;
}

void attn_call_seed(attn_call *c, int64_t seed) { c->seed = (uint64_t)seed; }

int attn_call_output(attn_call *c, const char *name, const attn_array *array, attn_message *why) {
  const Out *o = find_output(c, name);
  Destination t = {.goes = array ? GOES_TO_CALLER : GOES_NOWHERE};
  if (!o) return no_such(c, "output", name, why);
  if (array && !api_array(array, name, &t.array, why)) return ATTN_ERROR_INPUT;
  c->target[o->id] = t;
  return ATTN_OK;
}

/* ---- the bound inputs ---------------------------------------------------------------------------------- */

/* A whole number may be a bool, where it is 0 or 1. */
static AttnArray number(Given *g, ElemKind elem) {
  AttnArray a = {.data = &g->integer, .type = ELEMTYPE_I64};
  if (g->kind == GIVEN_REAL) a = (AttnArray){.data = &g->real, .type = ELEMTYPE_F64};
  else if (elem == ELEM_BOOL && (g->integer == 0 || g->integer == 1)) {
    g->truth = g->integer == 1;
    a = (AttnArray){.data = &g->truth, .type = ELEMTYPE_BOOL};
  }
  return a;
}

static bool bind_given(attn_call *c, const Input *x, Given *g) {
  Arena *arena = &c->arena;
  Bound *b = &c->inputs.at[x->id];
  const char *name = c->m->inputs[x->id].name;
  if (g->kind == GIVEN_NOT) return true;
  b->origin = FROM_CALLER;
  if (g->kind == GIVEN_GRAPH)
    return bind_array(arena, &c->inputs, x, arena_printf(arena, "%s.indptr", name), &g->array, true, &b->indptr) &&
           bind_array(arena, &c->inputs, x, arena_printf(arena, "%s.indices", name), &g->indices, true, &b->indices);
  AttnArray a = g->kind == GIVEN_ARRAY ? g->array : number(g, x->elem);
  return bind_array(arena, &c->inputs, x, name, &a, g->kind != GIVEN_ARRAY, &b->data);
}

static bool bind_all(attn_call *c) {
  const Model *m = c->m->model;
  bool ok = true;
  bind_begin(&c->arena, m, c->m->program.f64, &c->inputs);
  for (uint32_t k = 0; k < m->sizes.n; k++) {
    c->inputs.sizes[k] = c->size[k];
    c->inputs.size_from[k] = c->size[k] < 0 ? NULL : "attn_call_size";
  }
  for (uint32_t k = 0; k < m->inputs.n; k++) ok = bind_given(c, m->inputs.at[k], &c->given[k]) && ok;
  return ok && bind_finish(&c->arena, &c->inputs) && precheck(&c->arena, c->m->file, &c->inputs);
}

/* ---- outputs ------------------------------------------------------------------------------------------- */

static bool same_shape(const AttnArray *a, const AttnArray *b) {
  return a->rank == b->rank && (a->rank == 0 || !memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape));
}

static bool place_output(attn_call *c, const Out *o, AttnArray *a) {
  const Destination *t = &c->target[o->id];
  char have[128], want[128];
  if (!execute_shape(&c->m->program, &c->inputs, o, a)) return false;
  if (t->goes == GOES_NOWHERE) return true;
  if (t->goes == GOES_TO_CALL) {
    a->data = arena_array(&c->arena, (size_t)array_count(a), elem_size(a->type));
    return true;
  }
  if (t->array.type != a->type || !same_shape(&t->array, a)) {
    wrong("output '%s' is %s of shape %s, its array %s of shape %s", c->m->outputs[o->id].name, elem_name(a->type),
          shape_text(a->rank, a->shape, want, sizeof want), elem_name(t->array.type),
          shape_text(t->array.rank, t->array.shape, have, sizeof have));
    return false;
  }
  *a = t->array;
  return true;
}

static AttnArray *place_outputs(attn_call *c) {
  const Model *m = c->m->model;
  AttnArray *a = NEW_ARRAY(&c->arena, AttnArray, m->outs.n);
  for (uint32_t k = 0; k < m->outs.n; k++)
    if (!place_output(c, m->outs.at[k], &a[k])) return NULL;
  return a;
}

/* ---- running ------------------------------------------------------------------------------------------- */

static int run(attn_call *c) {
  Call call;
  attn_error err;
  const Program *p = &c->m->program;
  if (!bind_all(c)) return ATTN_ERROR_INPUT;
  Results r = {.model = c->m->model, .at = place_outputs(c)};
  if (!r.at || !execute_prepare_for(&c->arena, p, &c->inputs, c->seed, &r, &call)) return ATTN_ERROR_INPUT;
  bool stopped;
  if (cancel_call(&call, &c->stop, &err, &stopped)) return c->results = r.at, ATTN_OK;
  if (stopped) return wrong("the run was cancelled"), ATTN_ERROR_CANCELLED;
  execute_report(&c->arena, &call, &err);
  return err.status;
}

static int run_one(attn_call *c, const Out *o, AttnArray *a) {
  (void)a;
  (void)o;
  return run(c);
}

static int shape_one(attn_call *c, const Out *o, AttnArray *a) {
  return bind_all(c) && execute_shape(&c->m->program, &c->inputs, o, a) ? ATTN_OK : ATTN_ERROR_INPUT;
}

/* In a fresh arena, its messages collected. */
static int guarded(attn_call *c, int (*step)(attn_call *, const Out *, AttnArray *), const Out *o, AttnArray *a,
                     attn_message *why) {
  Collect collect;
  int status;
  arena_free(&c->arena);
  arena_init(&c->arena, &c->oom);
  c->results = NULL;
  if (!collect_begin(&collect)) return api_no_memory(why);
  if (setjmp(c->oom)) status = ATTN_ERROR_MEMORY;
  else status = step(c, o, a);
  return collect_end(&collect, status, why);
}

/* A cancel that comes when the results are there already ends the next run. */
int attn_call_run(attn_call *c, attn_message *why) {
  int status = guarded(c, run_one, NULL, NULL, why);
  if (status == ATTN_ERROR_CANCELLED) atomic_store(&c->stop, false);
  return status;
}

void attn_call_cancel(attn_call *c) { atomic_store(&c->stop, true); }

static attn_array array_of(const AttnArray *a) {
  attn_array x = {.data = a->data, .type = api_type(a->type), .rank = a->rank};
  memcpy(x.shape, a->shape, sizeof x.shape);
  memcpy(x.stride, a->stride, sizeof x.stride);
  return x;
}

int attn_call_shape(attn_call *c, const char *name, attn_array *array, attn_message *why) {
  const Out *o = find_output(c, name);
  AttnArray a;
  if (!o) return no_such(c, "output", name, why);
  int status = guarded(c, shape_one, o, &a, why);
  if (status == ATTN_OK) *array = array_of(&a);
  return status;
}

int attn_call_result(const attn_call *c, const char *name, attn_array *array, attn_message *why) {
  const Out *o = find_output(c, name);
  if (!o) return no_such(c, "output", name, why);
  if (!c->results || !c->results[o->id].data)
    return api_error(why, ATTN_ERROR_NAME, "output '%s' was not computed", name);
  *array = array_of(&c->results[o->id]);
  return ATTN_OK;
}
