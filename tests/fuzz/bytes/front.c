/* front: bytes as a model file: parse, check, plan and derive.  And the laws of the layout: the formatted text is a
 * fixed point, and has errors where the original has. */
#include "driver/execute.h"
#include "front/format.h"
#include "target.h"

static const char *formatted(Arena *arena, const char *text, size_t n, size_t *size) {
  Interner names;
  Diags diags;
  const Source *source = source_from_text(arena, "layout", text, n);
  intern_init(&names, arena);
  diag_init(&diags, arena, source);
  return format_source(arena, &names, &diags, source, size);
}

static void try_layout(Arena *arena, const char *text, size_t n) {
  size_t first, second;
  const char *once = formatted(arena, text, n, &first);
  if (!once) return;
  const char *twice = formatted(arena, once, first, &second);
  if (!twice) target_broken("the formatted text parses");
  if (first != second || memcmp(once, twice, first)) target_broken("the formatted text stays as it is");
}

static void try_models(Arena *arena, const char *text, size_t n) {
  Options options = {0};
  Diags *refusals;
  const Loaded *l = load_text(arena, "model", text, n);
  for (uint32_t k = 0; l && k < l->models->models.n; k++) {
    Kernel *kernel = execute_derive(arena, l, l->models->models.at[k], &options, &refusals);
    diag_print(refusals, message_stream());
    if (kernel && ir_verify(kernel)) target_broken("what is derived passes the verifier");
  }
}

static void try_bytes(Arena *arena, const uint8_t *data, size_t n) {
  try_layout(arena, (const char *)data, n);
  try_models(arena, (const char *)data, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static FILE *nowhere;
  if (!nowhere) message_divert(nowhere = fopen("/dev/null", "w"));
  return target_in_arena(try_bytes, data, n);
}
