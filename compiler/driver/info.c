/* attn info: what a model takes and gives, for people and for wrappers in other languages. */
#include <math.h>

#include "base/json.h"
#include "driver/constant.h"
#include "driver/load.h"
#include "model/term.h"

static const char *const ELEMS[] = {"real", "f64", "f32", "f16", "bf16", "int", "bool", "graph"};
static const char *const TYPES[] = {"bool", "int", "real"};

typedef VEC(const char *) Shape;

static Shape input_shape(Arena *arena, const Model *m, const Input *x) {
  Shape s = {0};
  for (uint32_t k = 0; k < x->dims.n; k++) vec_push(arena, &s, term_text(m, arena, x->dims.at[k]));
  return s;
}

/* hi - lo of every index of the layout. */
static Shape output_shape(Arena *arena, const Model *m, const Out *o) {
  Shape s = {0};
  for (uint32_t k = 0; k < o->slots.n + o->axes.n; k++) {
    const Range *r = k < o->slots.n ? &o->slots.at[k]->range : &o->axes.at[k - o->slots.n]->range;
    Term *extent = term_op2(arena, OP_SUB, r->hi, r->lo, r->span);
    vec_push(arena, &s, term_text(m, arena, extent));
  }
  return s;
}

static const char *shape_line(Arena *arena, const Shape *s) {
  const char *text = s->n ? "[" : "";
  for (uint32_t k = 0; k < s->n; k++) text = arena_printf(arena, "%s%s%s", text, k ? ", " : "", s->at[k]);
  return s->n ? arena_printf(arena, "%s]", text) : text;
}

static const char *out_type(const Out *o) { return o->is_count ? "count" : TYPES[o->type]; }

static void print_text(Driver *d, const Model *m) {
  Arena *arena = d->arena;
  printf("model %s(", sym_text(m->names, m->name));
  for (uint32_t k = 0; k < m->sizes.n; k++) printf("%s%s", k ? ", " : "", sym_text(m->names, m->sizes.at[k]->name));
  puts(")\ninputs");
  for (uint32_t k = 0; k < m->inputs.n; k++) {
    const Input *x = m->inputs.at[k];
    Shape s = input_shape(arena, m, x);
    printf("  %-5s %s: %s%s", x->is_param ? "param" : "data", sym_text(m->names, x->name), ELEMS[x->elem],
           shape_line(arena, &s));
    if (x->init) printf(" = %s", term_text(m, arena, x->init));
    putchar('\n');
  }
  puts("outputs");
  for (uint32_t k = 0; k < m->outs.n; k++) {
    const Out *o = m->outs.at[k];
    Shape s = output_shape(arena, m, o);
    printf("  %s: %s%s\n", sym_text(m->names, o->name), out_type(o), shape_line(arena, &s));
  }
}

static void json_shape(Json *j, const Shape *s) {
  json_open(j, "shape", '[');
  for (uint32_t k = 0; k < s->n; k++) json_string(j, NULL, s->at[k]);
  json_close(j, ']');
}

/* A number where it does not depend on sizes, else the expression. */
static void json_default(Json *j, Arena *arena, const Model *m, const Input *x) {
  int64_t *sizes = NEW_ARRAY(arena, int64_t, m->sizes.n);
  for (uint32_t k = 0; k < m->sizes.n; k++) sizes[k] = -1;
  Known known = constant_known(arena, m, sizes);
  Constant v;
  bool is_known = x->init && constant_eval(&known, x->init, &v) == CONSTANT_KNOWN;
  if (!is_known || (x->init->type == TYPE_REAL && !isfinite(v.r)))
    json_string(j, "default", x->init ? term_text(m, arena, x->init) : NULL);
  else if (x->init->type == TYPE_REAL) json_real(j, "default", v.r);
  else if (x->init->type == TYPE_BOOL) json_bool(j, "default", v.i);
  else json_int(j, "default", v.i);
}

static void json_input(Json *j, Arena *arena, const Model *m, const Input *x) {
  Shape s = input_shape(arena, m, x);
  json_open(j, NULL, '{');
  json_string(j, "name", sym_text(m->names, x->name));
  json_string(j, "kind", x->is_param ? "param" : "data");
  json_string(j, "type", ELEMS[x->elem]);
  json_shape(j, &s);
  json_default(j, arena, m, x);
  json_close(j, '}');
}

static void json_output(Json *j, Arena *arena, const Model *m, const Out *o, bool f64) {
  static const char *const dtypes[] = {[TYPE_BOOL] = "bool", [TYPE_INT] = "int64", [TYPE_REAL] = "float32"};
  Shape s = output_shape(arena, m, o);
  bool wide = o->is_count || (o->type == TYPE_REAL && f64);
  json_open(j, NULL, '{');
  json_string(j, "name", sym_text(m->names, o->name));
  json_string(j, "type", out_type(o));
  json_string(j, "dtype", wide ? "float64" : dtypes[o->type]);
  json_shape(j, &s);
  json_close(j, '}');
}

static void print_json(Driver *d, const Model *m) {
  Json j = {.to = stdout};
  json_open(&j, NULL, '{');
  json_string(&j, "model", sym_text(m->names, m->name));
  json_open(&j, "sizes", '[');
  for (uint32_t k = 0; k < m->sizes.n; k++) json_string(&j, NULL, sym_text(m->names, m->sizes.at[k]->name));
  json_close(&j, ']');
  json_open(&j, "inputs", '[');
  for (uint32_t k = 0; k < m->inputs.n; k++) json_input(&j, d->arena, m, m->inputs.at[k]);
  json_close(&j, ']');
  json_open(&j, "outputs", '[');
  for (uint32_t k = 0; k < m->outs.n; k++) json_output(&j, d->arena, m, m->outs.at[k], d->options.f64);
  json_close(&j, ']');
  json_close(&j, '}');
}

int verb_info(Driver *d) {
  Chosen c;
  int status;
  if (!load_only_model(d, &c, &status)) return status;
  if (d->options.json) print_json(d, c.model);
  else print_text(d, c.model);
  return STATUS_DONE;
}
