/* attn check: all diagnostics of all files, also what only the plan of a model's steps tells to be wrong. */
#include "driver/explain.h"
#include "driver/load.h"

static bool check_plans(Arena *arena, const Loaded *l) {
  Diags *to = load_messages(arena, l);
  for (uint32_t i = 0; i < l->models->models.n; i++) {
    const Model *m = l->models->models.at[i];
    if (m->latents.n) explain_errors(plan_model(arena, m), to);
  }
  diag_print(to, message_stream());
  return !to->errors;
}

int verb_check(Driver *d) {
  int status = STATUS_DONE;
  if (!d->options.words.n) return usage_error("a model file is missing");
  for (uint32_t i = 0; i < d->options.words.n; i++) {
    ArenaMark mark = arena_mark(d->arena);
    const Loaded *l = load_file(d->arena, d->options.words.at[i]);
    if (!l || !check_plans(d->arena, l)) status = STATUS_WRONG;
    arena_release(d->arena, mark);
  }
  return status;
}
