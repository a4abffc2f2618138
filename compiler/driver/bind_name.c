/* bind_name: which size, input or part of a graph a NAME means, and that each is meant once. */
#include "driver/bind.h"

typedef struct Meant { Size *size; Input *input; enum { WHOLE, INDPTR, INDICES } part; } Meant;

static const char *name_of(const Inputs *in, Sym s) { return sym_text(in->model->names, s); }

/* NAME, NAME.indptr or NAME.indices. */
static bool find(const Inputs *in, const char *name, Meant *t) {
  const Model *m = in->model;
  const char *dot = strchr(name, '.');
  size_t n = dot ? (size_t)(dot - name) : strlen(name);
  *t = (Meant){.part = !dot ? WHOLE : !strcmp(dot, ".indptr") ? INDPTR : INDICES};
  if (dot && t->part == INDICES && strcmp(dot, ".indices")) return false;
  for (uint32_t k = 0; k < m->sizes.n && !dot; k++)
    if (!strcmp(name_of(in, m->sizes.at[k]->name), name)) t->size = m->sizes.at[k];
  for (uint32_t k = 0; k < m->inputs.n; k++) {
    const char *own = name_of(in, m->inputs.at[k]->name);
    if (strlen(own) == n && !memcmp(own, name, n)) t->input = m->inputs.at[k];
  }
  if (t->input && dot && t->input->elem != ELEM_GRAPH) t->input = NULL;
  return t->size || t->input;
}

static bool unknown(Arena *arena, const Inputs *in, const char *name) {
  const Model *m = in->model;
  VEC(const char *) names = {0};
  const char *list = "";
  for (uint32_t k = 0; k < m->inputs.n; k++) vec_push(arena, &names, name_of(in, m->inputs.at[k]->name));
  for (uint32_t k = 0; k < m->sizes.n; k++) vec_push(arena, &names, name_of(in, m->sizes.at[k]->name));
  for (uint32_t k = 0; k < names.n; k++) list = arena_printf(arena, "%s%s%s", list, k ? ", " : "", names.at[k]);
  wrong("model '%s' has no input or size '%s'", name_of(in, m->name), name);
  const char *near = closest(name, names.at, names.n);
  if (near) hint("did you mean '%s'?", near);
  else hint("it has %s", names.n ? list : "none at all");
  return false;
}

static bool twice(const char *name) {
  wrong("'%s' is given twice", name);
  return false;
}

static bool give_size(Arena *arena, Inputs *in, const Size *s, const char *value) {
  int64_t n;
  const char *name = name_of(in, s->name);
  if (in->size_from[s->id]) return twice(name);
  in->size_from[s->id] = arena_printf(arena, "%s=%s", name, value);
  if (!read_int(value, &n)) {
    wrong("size '%s' wants a whole number of at most 2^63 - 1, found '%s'", name, value);
    return false;
  }
  if (n < 0) {
    wrong("size '%s' cannot be negative, found %s", name, value);
    return false;
  }
  in->sizes[s->id] = n;
  return true;
}

static bool is_random(Inputs *in, const Input *x, const char *value, bool *ok) {
  if (strcmp(value, "random") && strncmp(value, "random:", 7)) return false;
  Bound *b = &in->at[x->id];
  b->origin = FROM_RANDOM;
  b->random_seed = x->id + 1;
  *ok = value[6] == 0 || read_int(value + 7, &b->random_seed);
  if (!*ok) wrong("'%s=%s': the seed behind 'random:' is not a whole number", name_of(in, x->name), value);
  return true;
}

static bool give_graph(Inputs *in, const Input *x, const char *name, const char *value, const Meant *t) {
  bool ok = true;
  Bound *b = &in->at[x->id];
  if (b->origin == FROM_RANDOM || (b->origin != FROM_NOTHING && t->part == WHOLE)) return twice(name_of(in, x->name));
  if (t->part == WHOLE && is_random(in, x, value, &ok)) return ok;
  const char **slot = t->part == INDPTR ? &b->indptr_value : &b->indices_value;
  if (t->part == WHOLE) {
    wrong("graph '%s' is bound as two CSR arrays, not as one", name);
    hint("write %s.indptr=FILE.npy %s.indices=FILE.npy, or %s=random", name, name, name);
    return false;
  }
  if (*slot) return twice(name);
  *slot = value;
  b->origin = FROM_FILE;
  return true;
}

static bool give_input(Inputs *in, const Input *x, const char *value) {
  bool ok = true;
  Bound *b = &in->at[x->id];
  if (b->origin != FROM_NOTHING) return twice(name_of(in, x->name));
  b->value = value;
  if (is_random(in, x, value, &ok)) return ok;
  double r;
  int64_t i;
  bool number = read_real(value, &r) || read_int(value, &i) || !strcmp(value, "true") || !strcmp(value, "false");
  b->origin = number ? FROM_VALUE : FROM_FILE;
  return true;
}

static bool give(Arena *arena, Inputs *in, const char *word, BindMode mode) {
  const char *equals = strchr(word, '=');
  if (!equals) {
    wrong("expected NAME=VALUE, found '%s'", word);
    return false;
  }
  char *name = arena_strndup(arena, word, (size_t)(equals - word));
  Meant t;
  if (!find(in, name, &t)) return unknown(arena, in, name);
  if (t.size) return give_size(arena, in, t.size, equals + 1);
  if (mode == BIND_SIZES) {
    wrong("'%s' is an input; only sizes can be given here", name);
    return false;
  }
  if (t.input->elem == ELEM_GRAPH) return give_graph(in, t.input, name, equals + 1, &t);
  return give_input(in, t.input, equals + 1);
}

static bool halves_match(const Inputs *in) {
  bool ok = true;
  for (uint32_t k = 0; k < in->model->inputs.n; k++) {
    const Bound *b = &in->at[k];
    const char *name = name_of(in, in->model->inputs.at[k]->name);
    if (!b->indptr_value == !b->indices_value) continue;
    ok = false;
    wrong("graph '%s' wants both CSR arrays; %s.%s is not given", name, name, b->indptr_value ? "indices" : "indptr");
  }
  return ok;
}

bool bind_names(Arena *arena, Inputs *in, const char *const *words, uint32_t n, BindMode mode) {
  bool ok = true;
  for (uint32_t i = 0; i < n; i++) ok = give(arena, in, words[i], mode) && ok;
  return halves_match(in) && ok;
}
