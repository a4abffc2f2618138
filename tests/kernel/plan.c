/* plan: see plan.h. */
#include "plan.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "half.h"

enum { LINE_BYTES = 4096, WORDS_MAX = 64 };

static void give_up(const char *what, const char *which) {
  fprintf(stderr, "plan: %s '%s'\n", what, which);
  exit(2);
}

/* ---- arrays ------------------------------------------------------------------------------------------------- */

int64_t array_count(const Array *a) {
  int64_t n = 1;
  for (int k = 0; k < a->rank; k++) n *= a->extent[k];
  return n;
}

int array_axis(const Array *a, const char *name) {
  for (int k = 0; k < a->rank; k++)
    if (!strcmp(a->axis[k], name)) return k;
  return -1;
}

static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static double uniform(uint64_t *state) { return (double)(mix(*state += 0x9e3779b97f4a7c15u) >> 11) * 0x1p-53; }

static double normal(uint64_t *state) {
  double radius = sqrt(-2 * log(1 - uniform(state)));
  return radius * cos(6.283185307179586 * uniform(state));
}

/* normal:S, uniform:LO:HI, int:LO:HI (below HI), sorted:LO:HI (ints that never fall), bool:P. */
static void fill_input(Array *a, uint64_t seed) {
  double lo = 1, hi = 1;
  uint64_t state = mix(seed);
  int64_t n = array_count(a);
  const char *rest = strchr(a->draw, ':');
  if (!rest || sscanf(rest + 1, "%lf:%lf", &lo, &hi) < 1) give_up("no such draw", a->draw);
  for (int64_t k = 0; k < n; k++) {
    switch (a->draw[0]) {
    case 'n': a->values[k] = (double)(float)(lo * normal(&state)); break;
    case 'u': a->values[k] = (double)(float)(lo + (hi - lo) * uniform(&state)); break;
    case 'i': a->values[k] = floor(lo + (hi - lo) * uniform(&state)); break;
    case 's': a->values[k] = floor(lo + (hi - lo) * (double)k / (double)n); break;
    case 'b': a->values[k] = uniform(&state) < lo; break;
    default: give_up("no such draw", a->draw);
    }
    if (a->type == TYPE_F16) a->values[k] = (double)f16_to_f32(f64_to_f16(a->values[k]));
    if (a->type == TYPE_BF16) a->values[k] = (double)bf16_to_f32(f64_to_bf16(a->values[k]));
  }
}

void case_fill(Case *c) {
  for (int k = 0; k < c->nin; k++) fill_input(&c->in[k], (uint64_t)k + 1);
}

static double *room(int64_t n) {
  double *values = calloc((size_t)(n ? n : 1), sizeof *values);
  if (!values) give_up("no memory", "");
  return values;
}

Case case_copy(const Case *c) {
  Case copy = *c;
  for (int k = 0; k < c->nin; k++) {
    int64_t n = array_count(&c->in[k]);
    copy.in[k].values = memcpy(room(n), c->in[k].values, (size_t)n * sizeof(double));
  }
  return copy;
}

void case_free(Case *c) {
  for (int k = 0; k < c->nin; k++) free(c->in[k].values);
}

static void slice_array(Array *a, int axis, int64_t at) {
  int64_t before = 1, after = 1, n = a->extent[axis];
  for (int k = 0; k < axis; k++) before *= a->extent[k];
  for (int k = axis + 1; k < a->rank; k++) after *= a->extent[k];
  a->extent[axis] = 1;
  if (!a->values) return;
  double *part = room(before * after);
  for (int64_t k = 0; k < before; k++)
    memcpy(part + k * after, a->values + (k * n + at) * after, (size_t)after * sizeof *part);
  a->values = part;
}

Case case_slice(const Plan *p, const Case *c, const char *axis, int64_t at) {
  Case part = case_copy(c);
  for (int k = 0; k < p->nsizes; k++)
    if (!strcmp(p->size[k], axis)) part.size[k] = 1;
  for (int k = 0; k < part.nin; k++) {
    int where = array_axis(&part.in[k], axis);
    double *all = part.in[k].values;
    if (where < 0) continue;
    slice_array(&part.in[k], where, at);
    free(all);
  }
  for (int k = 0; k < part.nout; k++) {
    int where = array_axis(&part.out[k], axis);
    if (where >= 0) slice_array(&part.out[k], where, at);
  }
  return part;
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

static int split(char *line, char **word) {
  int n = 0;
  for (char *at = strtok(line, " \n"); at && n < WORDS_MAX; at = strtok(NULL, " \n")) word[n++] = at;
  return n;
}

static void copy_name(Name to, const char *from) {
  if (strlen(from) >= sizeof(Name)) give_up("a long name", from);
  memcpy(to, from, strlen(from) + 1);
}

static Type read_type(const char *word) {
  static const char *const name[] = {"real", "int", "bool", "count", "f16", "bf16"};
  for (int k = 0; k < 6; k++)
    if (!strcmp(word, name[k])) return (Type)k;
  give_up("no such type", word);
  return TYPE_REAL;
}

static void read_axes(Array *a, char **word, int n) {
  for (int k = 0; k < n; k++) {
    char *equals = strchr(word[k], '=');
    if (!equals || k == ATTN_MAX_RANK) give_up("a wrong axis", word[k]);
    *equals = 0;
    copy_name(a->axis[k], word[k]);
    a->extent[k] = strtoll(equals + 1, NULL, 10);
  }
  a->rank = n;
}

static void read_array(Case *c, char **word, int n) {
  bool in = !strcmp(word[0], "in");
  Array *a = in ? &c->in[c->nin++] : &c->out[c->nout++];
  copy_name(a->name, word[1]);
  a->type = read_type(word[2]);
  if (in) copy_name(a->draw, word[3]);
  read_axes(a, word + 3 + in, n - 3 - in);
  if (in) a->values = room(array_count(a));
}

static Kernel load(const Plan *p, const char *label, const char *path, int real_bytes) {
  Kernel k = {.real_bytes = real_bytes};
  char symbol[2 * NAME_MAX_BYTES];
  copy_name(k.label, label);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) give_up("cannot load", dlerror());
  snprintf(symbol, sizeof symbol, "attn_%s", p->model);
  *(void **)&k.run = dlsym(library, symbol);
  snprintf(symbol, sizeof symbol, "attn_%s_workspace", p->model);
  *(void **)&k.workspace = dlsym(library, symbol);
  if (!k.run || !k.workspace) give_up("no function", symbol);
  return k;
}

static void read_names(Name *to, int *n, int max, char **word, int count) {
  for (int k = 0; k < count && k < max; k++) copy_name(to[(*n)++], word[k]);
}

static void read_kernel(Plan *p, char **word) {
  Kernel *k = &p->kernel[p->nkernels++];
  *k = load(p, word[1], word[2], 4);
  k->dispatches = !strcmp(word[0], "dispatching");
}

static void read_line(Plan *p, char **word, int n) {
  if (!strcmp(word[0], "model")) copy_name(p->model, word[1]);
  else if (!strcmp(word[0], "reference")) p->reference = load(p, "f64", word[1], 8);
  else if (!strcmp(word[0], "kernel") || !strcmp(word[0], "dispatching")) read_kernel(p, word);
  else if (!strcmp(word[0], "sizes")) read_names(p->size, &p->nsizes, SIZES_MAX, word + 1, n - 1);
  else if (!strcmp(word[0], "free")) read_names(p->free_axis, &p->nfree, NAMES_MAX, word + 1, n - 1);
  else if (!strcmp(word[0], "keys")) read_names(p->keys, &p->nkeys, NAMES_MAX, word + 1, n - 1);
  else if (!strcmp(word[0], "lines")) p->lines = true;
  else if (!strcmp(word[0], "rounded")) read_names(p->rounded, &p->nrounded, NAMES_MAX, word + 1, n - 1);
  else if (!strcmp(word[0], "axis")) copy_name(p->row, word[1]), copy_name(p->key, word[2]);
  else if (!strcmp(word[0], "support")) copy_name(p->support, word[1]);
  else give_up("a strange line", word[0]);
}

static void begin_case(Case *c, char **word, int n) {
  *c = (Case){.nsizes = n - 1};
  for (int k = 1; k < n; k++) c->size[k - 1] = strtoll(word[k], NULL, 10);
}

/* A case ends where a line begins that is no array's. */
bool plan_next(FILE *from, Plan *p, Case *c) {
  char line[LINE_BYTES], *word[WORDS_MAX];
  bool open = false;
  for (long at = ftell(from); fgets(line, sizeof line, from); at = ftell(from)) {
    int n = split(line, word);
    bool array = n && (!strcmp(word[0], "in") || !strcmp(word[0], "out"));
    if (open && !array) return fseek(from, at, SEEK_SET), true;
    if (array) read_array(c, word, n);
    else if (n && !strcmp(word[0], "case")) begin_case(c, word, n), open = true;
    else if (n) read_line(p, word, n);
  }
  return open;
}
