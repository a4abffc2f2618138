/* parse: source text to tokens to tree; see parse.h. */
#include "front/parse.h"

#include "base/ice.h"
#include "front/parse_state.h"

#include "attn_grammar.h"

Diag *parse_error(Parse *p, Span span, const char *fmt, ...) {
  if (p->told_at == span.lo + 1) return NULL;
  p->told_at = span.lo + 1;
  if (p->diags->errors >= DIAG_MAX_ERRORS) { /* only counted: spare the arena the text */
    p->diags->errors++;
    return NULL;
  }
  va_list ap;
  va_start(ap, fmt);
  const char *text = arena_vprintf(p->arena, fmt, ap);
  va_end(ap);
  return diag_error(p->diags, span, "%s", text);
}

File *parse_file(Arena *arena, Interner *names, Diags *diags, const Source *source) {
  Parse p = {.arena = arena, .names = names, .diags = diags, .source = source, .file = NEW(arena, File)};
  p.feed.tokens = tokens_read(arena, source);
  uint32_t errors = diags->errors;
  int status = attn_parse(&p);
  if (status != 0 && diags->errors == errors) ICE("the parser gave up without a message");
  return p.file;
}
