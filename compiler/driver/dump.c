/* attn dump: the program as text after any step. */
#include <stdlib.h>

#include "driver/execute.h"
#include "driver/explain.h"
#include "front/ast_print.h"
#include "infer/derive.h"
#include "ir/pass.h"
#include "model/term.h"
#include "tile/tile.h"

static const char *const STEPS[] = {"parse", "check", "plan", "derive"};
static const char *const FORMS[] = {[BACK_LLVM] = "llvm", [BACK_LLVM_OPTIMISED] = "llvm-opt", [BACK_ASM] = "asm"};
enum { STEP_COUNT = 4, FORM_COUNT = 3, NAMES_MAX = 64 };

static uint32_t all_names(const char **names) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < STEP_COUNT; i++) names[n++] = STEPS[i];
  for (uint32_t i = 0; i < ir_pass_count && n < NAMES_MAX - FORM_COUNT - 1; i++) names[n++] = ir_passes[i].name;
  names[n++] = "tile";
  for (uint32_t i = 0; i < FORM_COUNT; i++) names[n++] = FORMS[i];
  return n;
}

static int is_known(Arena *arena, const char *name) {
  const char *names[NAMES_MAX], *list = "";
  uint32_t n = all_names(names);
  for (uint32_t i = 0; i < n; i++) {
    if (name && !strcmp(names[i], name)) return STATUS_DONE;
    list = arena_printf(arena, "%s%s%s", list, i ? ", " : "", names[i]);
  }
  if (name) usage_error("there is no pass '%s'", name);
  else usage_error("--after=PASS is missing");
  hint("passes: %s", list);
  return STATUS_USAGE;
}

static int dump_syntax(Driver *d) {
  if (!d->options.words.n) return usage_error("a model file is missing");
  Loaded *l = load_syntax(d->arena, d->options.words.at[0]);
  if (!l) return STATUS_WRONG;
  ast_print(l->file, &l->names, stdout);
  return STATUS_DONE;
}

static int dump_kernel(Driver *d, const Kernel *k, const char *after) {
  const char *why = "";
  BackOptions options = execute_back_options(&d->options);
  const Kernel *at = k;
  PassOptions passes = {.reassociate = d->options.reassociate};
  for (uint32_t i = 0; i < FORM_COUNT; i++) {
    if (strcmp(FORMS[i], after)) continue;
    char *text = back_text(d->arena, ir_run_passes_with(d->arena, k, &passes, NULL), &options, (BackForm)i, &why);
    if (!text) return wrong("%s", why);
    fputs(text, stdout);
    return STATUS_DONE;
  }
  if (!strcmp(after, "tile")) {
    const TilePlan *plan = back_tile_plan(d->arena, ir_run_passes_with(d->arena, k, &passes, NULL), &options);
    if (plan) tile_print(plan, stdout);
    return STATUS_DONE;
  }
  if (strcmp(after, "derive")) at = ir_run_passes_with(d->arena, k, &passes, after);
  ir_print(at, stdout);
  return STATUS_DONE;
}

static int dump_model(Driver *d, const Chosen *c, const char *after) {
  Plan *plan = plan_model(d->arena, c->model);
  if (!strcmp(after, "plan")) {
    explain_plan(d->arena, plan, stdout);
    return STATUS_DONE;
  }
  Kernel *k = plan->refusals.n ? NULL : derive_kernel(d->arena, plan);
  if (k) return dump_kernel(d, k, after);
  Diags *refusals = load_messages(d->arena, c->file);
  explain_refusals(plan, refusals);
  diag_print(refusals, stderr);
  return STATUS_WRONG;
}

int verb_dump(Driver *d) {
  Chosen c;
  const char *after = d->options.after;
  int status = is_known(d->arena, after);
  if (status) return status;
  if (!strcmp(after, "parse")) return dump_syntax(d);
  if (!load_only_model(d, &c, &status)) return status;
  if (strcmp(after, "check")) return dump_model(d, &c, after);
  model_print(c.model, stdout);
  return STATUS_DONE;
}
