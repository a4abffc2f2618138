/* load: see load.h.  A file with any error yields no model, also where the one asked for is sound. */
#include "driver/load.h"

#include "front/parse.h"

static Loaded *parse_source(Arena *arena, const Source *source) {
  Loaded *l = NEW(arena, Loaded);
  l->source = source;
  intern_init(&l->names, arena);
  diag_init(&l->diags, arena, l->source);
  l->file = parse_file(arena, &l->names, &l->diags, l->source);
  return l;
}

static Loaded *open_file(Arena *arena, const char *path) {
  const char *why = "";
  const Source *source = source_read(arena, path, &why);
  if (source) return parse_source(arena, source);
  wrong("%s", why);
  return NULL;
}

static Loaded *close_file(Loaded *l) {
  diag_print(&l->diags, message_stream());
  return l->diags.errors ? NULL : l;
}

Loaded *load_syntax(Arena *arena, const char *path) {
  Loaded *l = open_file(arena, path);
  return l ? close_file(l) : NULL;
}

static Loaded *check_loaded(Arena *arena, Loaded *l, double start) {
  if (!l) return NULL;
  l->models = check_file(arena, &l->names, &l->diags, l->source, l->file);
  l->seconds = seconds_now() - start;
  return close_file(l);
}

Loaded *load_file(Arena *arena, const char *path) {
  double start = seconds_now();
  return check_loaded(arena, open_file(arena, path), start);
}

Loaded *load_text(Arena *arena, const char *name, const char *text, size_t n) {
  double start = seconds_now();
  if (n <= SOURCE_MAX_BYTES)
    return check_loaded(arena, parse_source(arena, source_from_text(arena, name, text, n)), start);
  wrong("'%s' is larger than %d bytes", name, SOURCE_MAX_BYTES);
  return NULL;
}

Diags *load_messages(Arena *arena, const Loaded *l) {
  Diags *d = NEW(arena, Diags);
  diag_init(d, arena, l->source);
  return d;
}

static const char *name_of(const Model *m) { return sym_text(m->names, m->name); }

static const char *list_models(Arena *arena, const Loaded *l) {
  const char *text = "";
  for (uint32_t i = 0; i < l->models->models.n; i++)
    text = arena_printf(arena, "%s%s'%s'", text, i ? ", " : "", name_of(l->models->models.at[i]));
  return text;
}

const Model *load_pick(Arena *arena, const Loaded *l, const char *name) {
  uint32_t n = l->models->models.n;
  for (uint32_t i = 0; name && i < n; i++)
    if (!strcmp(name_of(l->models->models.at[i]), name)) return l->models->models.at[i];
  if (n == 0) wrong("'%s' holds no model", l->source->path);
  else if (name) {
    wrong("'%s' holds no model '%s'; it has %s", l->source->path, name, list_models(arena, l));
    hint("inputs and sizes are written NAME=VALUE");
  } else if (n > 1) {
    wrong("'%s' holds several models: %s", l->source->path, list_models(arena, l));
    hint("name the one that is meant behind the file");
  }
  return !name && n == 1 ? l->models->models.at[0] : NULL;
}

bool load_model(Driver *d, Chosen *chosen, int *status) {
  const WordVec *words = &d->options.words;
  *status = STATUS_WRONG;
  if (!words->n) {
    *status = usage_error("a model file is missing");
    return false;
  }
  chosen->file = load_file(d->arena, words->at[0]);
  if (!chosen->file) return false;
  const char *name = words->n > 1 && !strchr(words->at[1], '=') ? words->at[1] : NULL;
  chosen->used = name ? 2 : 1;
  chosen->model = load_pick(d->arena, chosen->file, name);
  return chosen->model != NULL;
}

bool load_only_model(Driver *d, Chosen *chosen, int *status) {
  if (!load_model(d, chosen, status)) return false;
  if (d->options.words.n == chosen->used) return true;
  *status = wrong("nothing is expected behind the model, found '%s'", d->options.words.at[chosen->used]);
  return false;
}
