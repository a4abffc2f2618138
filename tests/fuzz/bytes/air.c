/* air: text as a program of the reduction IR.  What the verifier passes is printed, and read again as the same. */
#include "base/diag.h"
#include "base/text.h"
#include "ir/ir.h"
#include "target.h"

static const Kernel *parsed(Arena *arena, const char *text, size_t n) {
  Diags diags;
  const Source *source = source_from_text(arena, "air", text, n);
  diag_init(&diags, arena, source);
  return ir_parse(arena, &diags, source);
}

static const char *printed(Arena *arena, const Kernel *k, size_t *n) {
  Text *t = text_open(arena);
  ir_print(k, t->to);
  return text_close(t, n);
}

static void try_text(Arena *arena, const uint8_t *text, size_t n) {
  size_t first, second;
  const Kernel *k = parsed(arena, (const char *)text, n);
  if (!k || ir_verify(k)) return;
  const char *once = printed(arena, k, &first);
  k = parsed(arena, once, first);
  if (!k || ir_verify(k)) target_broken("what is printed can be read");
  const char *twice = printed(arena, k, &second);
  if (first != second || memcmp(once, twice, first)) target_broken("what is read is what was printed");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  return target_in_arena(try_text, data, n);
}
