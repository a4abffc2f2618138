/* bind: lines as the words NAME=VALUE of a command.  What binds has sizes that are not negative and arrays of just the
 * shape that the model says. */
#include "driver/bind.h"
#include "driver/measure.h"
#include "target.h"

enum { WORDS_MAX = 24, WORD_BYTES = 200 };

static const char text[] =
    "model m(M, N, D) {\n"
    "  data q: [M, D], k: [N, D], t: int[M], on: bool[N], adj: graph[N, N]\n"
    "  param beta: real = 0.5, n: int = 3, yes: bool = true\n"
    "  for i in M {\n"
    "    edge phi in N where on[phi]\n"
    "    potential exp(beta * dot(q[i], k[phi]))\n"
    "    out o[i] = E[k[phi]] * n + t[i]\n"
    "    out e[i] = if yes then sum(j in adj[0]) 1.0 else 0\n"
    "  }\n"
    "}\n";

/* Words name no files but those of the folder it runs in. */
static uint32_t split(Arena *arena, const uint8_t *data, size_t n, const char **word) {
  uint32_t words = 0;
  for (size_t at = 0; at < n && words < WORDS_MAX;) {
    size_t end = at;
    while (end < n && data[end] != '\n') end++;
    size_t bytes = end - at < WORD_BYTES ? end - at : WORD_BYTES;
    char *w = arena_strndup(arena, (const char *)data + at, bytes);
    for (size_t b = 0; b < bytes; b++)
      if (!w[b] || w[b] == '/') w[b] = '_';
    word[words++] = w;
    at = end + 1;
  }
  return words;
}

static void try_words(Arena *arena, const uint8_t *data, size_t n) {
  const char *word[WORDS_MAX];
  Inputs in;
  if (!n) return;
  const Loaded *l = load_text(arena, "model", text, sizeof text - 1);
  const Model *m = l ? load_pick(arena, l, NULL) : NULL;
  if (!m) target_broken("the model is sound");
  BindMode mode = (BindMode)(data[0] % (BIND_SIZES + 1));
  uint32_t words = split(arena, data + 1, n - 1, word);
  if (bind_inputs(arena, m, data[0] & 64, word, words, mode, &in) != STATUS_DONE || mode == BIND_GIVEN) return;
  for (uint32_t k = 0; k < m->sizes.n; k++)
    if (mode != BIND_SIZES && in.sizes[k] < 0) target_broken("every size is known");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static FILE *nowhere;
  if (!nowhere) message_divert(nowhere = fopen("/dev/null", "w"));
  return target_in_arena(try_words, data, n);
}
