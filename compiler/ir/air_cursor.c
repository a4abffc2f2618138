/* air_cursor: the words, values and names of a kernel's text, one after another.
 *
 * The text is not trusted: the number of names and the size of value numbers are bounded. */
#include "ir/air_cursor.h"

#include <errno.h>
#include <stdlib.h>

enum { MAX_NAMES = 4096 }; /* arrays, sizes: the verifier compares each with each */

/* ---- tokens ------------------------------------------------------------------------------------ */

void air_fail(AirCursor *p, const char *expected) {
  if (p->failed) return;
  uint32_t n = p->tok.span.hi - p->tok.span.lo;
  const char *text = p->source->text + p->tok.span.lo;
  if (p->tok.kind == TOK_PUNCT && (*text <= ' ' || *text > '~'))
    diag_error(p->diags, p->tok.span, "found byte %u, expected %s", (unsigned char)*text, expected);
  else if (n) diag_error(p->diags, p->tok.span, "found '%.*s', expected %s", n > 40 ? 40 : (int)n, text, expected);
  else diag_error(p->diags, p->tok.span, "found the end, expected %s", expected);
  p->failed = true;
  p->tok.kind = TOK_END;
}

void air_advance(AirCursor *p) {
  if (!p->failed) p->tok = air_token(p->source, p->tok.span.hi);
}

bool air_at(const AirCursor *p, char c) { return p->tok.kind == TOK_PUNCT && p->tok.punct == c; }

bool air_at_name(const AirCursor *p, const char *name) { return air_token_is(p->source, p->tok, name); }

bool air_accept(AirCursor *p, char c) {
  if (!air_at(p, c)) return false;
  air_advance(p);
  return true;
}

bool air_accept_name(AirCursor *p, const char *name) {
  if (!air_at_name(p, name)) return false;
  air_advance(p);
  return true;
}

void air_expect(AirCursor *p, char c) {
  char what[4] = {'\'', c, '\'', 0};
  if (!air_accept(p, c)) air_fail(p, what);
}

void air_expect_name(AirCursor *p, const char *name) {
  if (!air_accept_name(p, name)) air_fail(p, arena_printf(p->arena, "'%s'", name));
}

void air_expect_range(AirCursor *p) {
  if (p->tok.kind == TOK_RANGE) air_advance(p);
  else air_fail(p, "'..'");
}

const char *air_text(const AirCursor *p) {
  return arena_strndup(p->arena, p->source->text + p->tok.span.lo, p->tok.span.hi - p->tok.span.lo);
}

const char *air_name(AirCursor *p, const char *what) {
  if (p->tok.kind != TOK_NAME || p->source->text[p->tok.span.lo] == '-') {
    air_fail(p, what);
    return "";
  }
  const char *s = air_text(p);
  air_advance(p);
  return s;
}

uint32_t air_count(AirCursor *p, uint32_t max) {
  errno = 0;
  long long n = p->tok.kind == TOK_INT ? strtoll(air_text(p), NULL, 10) : -1;
  if (errno || n < 0 || n > max) {
    air_fail(p, "a small number");
    return 0;
  }
  air_advance(p);
  return (uint32_t)n;
}

/* ---- values ------------------------------------------------------------------------------------ */

/* The number after '%'.  A text cannot define more values than it has bytes, which bounds the table. */
static uint32_t parse_number_of_value(AirCursor *p) {
  if (p->tok.kind != TOK_VALUE) {
    air_fail(p, "a value such as %0");
    return 0;
  }
  errno = 0;
  unsigned long long n = strtoull(air_text(p) + 1, NULL, 10);
  if (errno || n >= p->source->size) {
    air_fail(p, "a smaller value number");
    return 0;
  }
  air_advance(p);
  return (uint32_t)n;
}

Val air_use(AirCursor *p) {
  Token tok = p->tok;
  uint32_t n = parse_number_of_value(p);
  Val v = !p->failed && n < p->values.n ? p->values.at[n] : 0;
  if (v || p->failed) return v;
  p->tok = tok;
  air_fail(p, "a value that is defined above");
  return 0;
}

uint32_t air_definition(AirCursor *p) {
  Token tok = p->tok;
  uint32_t n = parse_number_of_value(p);
  while (!p->failed && p->values.n <= n) vec_push(p->arena, &p->values, 0);
  if (p->failed || !p->values.at[n]) return n;
  p->tok = tok;
  air_fail(p, "a value that is not defined yet");
  return n;
}

void air_define(AirCursor *p, uint32_t number, Val v) {
  if (!p->failed) p->values.at[number] = v;
}

void air_uses(AirCursor *p, Vals *to, char close) {
  if (close && air_at(p, close)) return;
  do vec_push(p->arena, to, air_use(p));
  while (air_accept(p, ','));
}

/* ---- names ------------------------------------------------------------------------------------- */

static uint32_t *slot(AirCursor *p, SymTable *t, const char *name) {
  Sym s = intern_str(&p->names, name);
  while (t->n <= s) vec_push(p->arena, t, 0);
  return &t->at[s];
}

void air_new_size(AirCursor *p) {
  Token tok = p->tok;
  const char *name = air_name(p, "the name of a size");
  uint32_t *known = slot(p, &p->size_of, name);
  if (*known || p->k->sizes.n == MAX_NAMES) {
    p->tok = tok;
    air_fail(p, "a size of another name");
    return;
  }
  vec_push(p->arena, &p->k->sizes, name);
  *known = p->k->sizes.n;
}

int64_t air_size(AirCursor *p) {
  Token tok = p->tok;
  const char *name = air_name(p, "the name of a size");
  uint32_t known = *slot(p, &p->size_of, name);
  if (known) return known - 1;
  p->tok = tok;
  air_fail(p, "a size declared above");
  return 0;
}

Array *air_array(AirCursor *p) {
  Token tok = p->tok;
  const char *name = air_name(p, "the name of an array");
  uint32_t known = *slot(p, &p->array_of, name);
  if (known) return p->k->arrays.at[known - 1];
  p->tok = tok;
  air_fail(p, "an array declared above");
  return NULL;
}

Array *air_new_array(AirCursor *p, ArrayKind kind) {
  Token tok = p->tok;
  const char *name = air_name(p, "the name of an array");
  uint32_t *known = slot(p, &p->array_of, name);
  if (p->failed || *known || p->k->arrays.n == MAX_NAMES) {
    p->tok = tok;
    air_fail(p, "an array of another name");
    return NULL;
  }
  Array *a = NEW(p->arena, Array);
  *a = (Array){.id = p->k->arrays.n, .kind = kind, .name = name};
  vec_push(p->arena, &p->k->arrays, a);
  *known = p->k->arrays.n;
  return a;
}
