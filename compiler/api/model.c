/* model: loading, compiling, and what a model takes and gives. */
#include <stdlib.h>

#include "api/api.h"
#include "driver/limit.h"
#include "driver/measure.h"
#include "model/term.h"

const char *attn_version(void) { return ATTN_VERSION; }

/* ---- information ------------------------------------------------------------------------------------- */

static const char *extend(Arena *arena, const char *shape, const char *dim) {
  size_t n = strlen(shape);
  return n ? arena_printf(arena, "%.*s, %s]", (int)(n - 1), shape, dim) : arena_printf(arena, "[%s]", dim);
}

static attn_info input_info(attn_model *m, const Input *x) {
  const char *shape = "";
  for (uint32_t k = 0; k < x->dims.n; k++)
    shape = extend(&m->arena, shape, term_text(m->model, &m->arena, x->dims.at[k]));
  return (attn_info){.name = sym_text(m->model->names, x->name), .rank = (int)x->dims.n, .shape = shape,
                     .type = x->elem == ELEM_GRAPH ? ATTN_GRAPH : api_type(bind_elem_type(x->elem, m->program.f64)),
                     .is_param = x->is_param, .has_default = x->init != NULL};
}

static attn_info output_info(attn_model *m, const Out *o) {
  const char *shape = "";
  for (uint32_t k = 0; k < o->slots.n + o->axes.n; k++) {
    const Range *r = k < o->slots.n ? &o->slots.at[k]->range : &o->axes.at[k - o->slots.n]->range;
    shape =
        extend(&m->arena, shape, term_text(m->model, &m->arena, term_op2(&m->arena, OP_SUB, r->hi, r->lo, r->span)));
  }
  return (attn_info){.name = sym_text(m->model->names, o->name), .rank = (int)(o->slots.n + o->axes.n), .shape = shape,
                     .type = api_type(measure_output_type(o, m->program.f64))};
}

static void describe(attn_model *m) {
  m->inputs = NEW_ARRAY(&m->arena, attn_info, m->model->inputs.n);
  m->outputs = NEW_ARRAY(&m->arena, attn_info, m->model->outs.n);
  for (uint32_t k = 0; k < m->model->inputs.n; k++) m->inputs[k] = input_info(m, m->model->inputs.at[k]);
  for (uint32_t k = 0; k < m->model->outs.n; k++) m->outputs[k] = output_info(m, m->model->outs.at[k]);
}

int attn_model_inputs(const attn_model *m) { return (int)m->model->inputs.n; }
int attn_model_outputs(const attn_model *m) { return (int)m->model->outs.n; }
int attn_model_sizes(const attn_model *m) { return (int)m->model->sizes.n; }

int attn_model_input(const attn_model *m, int n, attn_info *info) {
  if (n < 0 || n >= attn_model_inputs(m)) return ATTN_ERROR_NAME;
  *info = m->inputs[n];
  return ATTN_OK;
}

int attn_model_output(const attn_model *m, int n, attn_info *info) {
  if (n < 0 || n >= attn_model_outputs(m)) return ATTN_ERROR_NAME;
  *info = m->outputs[n];
  return ATTN_OK;
}

const char *attn_model_size(const attn_model *m, int n) {
  return n < 0 || n >= attn_model_sizes(m) ? NULL : sym_text(m->model->names, m->model->sizes.at[n]->name);
}

/* ---- loading ------------------------------------------------------------------------------------------ */

/* Where a model comes from: a file, or a text. */
typedef struct Given { const char *path, *text; size_t bytes; const char *name; attn_options options; } Given;

static int load(attn_model *m, const Given *from) {
  arena_allow(&m->arena, limit_of_memory(&(Options){0}));
  Options o = {.f64 = from->options.f64 != 0,
               .cpu = from->options.cpu,
               .cache = from->options.cache,
               .threads = from->options.threads};
  if (o.threads < 0) return wrong("there cannot be %d threads", o.threads), ATTN_ERROR_MODEL;
  m->file = from->text ? load_text(&m->arena, "model", from->text, from->bytes) : load_file(&m->arena, from->path);
  if (!m->file) return ATTN_ERROR_MODEL;
  m->model = load_pick(&m->arena, m->file, from->name);
  if (!m->model || !execute_compile(&m->arena, m->file, m->model, &o, NULL, &m->program)) return ATTN_ERROR_MODEL;
  describe(m);
  m->arena.limit = 0;
  return ATTN_OK;
}

static int load_model_from(const Given *from, attn_model **result, attn_message *why) {
  Collect c;
  attn_model *m = calloc(1, sizeof *m);
  int status;
  if (!m || !collect_begin(&c)) {
    free(m);
    return api_no_memory(why);
  }
  arena_init(&m->arena, &m->oom);
  if (setjmp(m->oom)) {
    status = m->arena.over_limit ? ATTN_ERROR_MODEL : ATTN_ERROR_MEMORY;
    if (m->arena.over_limit) limit_of_memory_reached(&(Options){0});
  } else status = load(m, from);
  if (status == ATTN_OK) *result = m;
  else attn_model_free(m);
  return collect_end(&c, status, why);
}

static attn_options options_of(const attn_options *o) { return o ? *o : (attn_options){0}; }

int attn_model_load(const char *path, const char *name, const attn_options *options, attn_model **m,
                    attn_message *why) {
  Given from = {.path = path, .name = name, .options = options_of(options)};
  return load_model_from(&from, m, why);
}

int attn_model_load_text(const char *text, size_t bytes, const char *name, const attn_options *options, attn_model **m,
                         attn_message *why) {
  Given from = {.text = text, .bytes = bytes, .name = name, .options = options_of(options)};
  return load_model_from(&from, m, why);
}

void attn_model_free(attn_model *m) {
  if (!m) return;
  execute_dispose(&m->program);
  arena_free(&m->arena);
  free(m);
}
