/* air_token: see air_token.h. */
#include "ir/air_token.h"

#include <string.h>

static char byte_at(const Source *s, uint32_t at) { return at < s->size ? s->text[at] : 0; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_name_part(char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '$'; }
static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static uint32_t skip_comment(const Source *s, uint32_t at) {
  while (at < s->size && s->text[at] != '\n') at++;
  return at;
}

static uint32_t skip_space(const Source *s, uint32_t at) {
  for (;;) {
    if (is_space(byte_at(s, at))) at++;
    else if (byte_at(s, at) == '#') at = skip_comment(s, at);
    else return at;
  }
}

static uint32_t skip_digits(const Source *s, uint32_t at) {
  while (is_digit(byte_at(s, at))) at++;
  return at;
}

static uint32_t skip_name(const Source *s, uint32_t at) {
  do at++;
  while (is_name_part(byte_at(s, at)));
  return at;
}

/* digits [. digits] [e [sign] digits], from after the sign; `1..` is a number and a range. */
static uint32_t skip_number(const Source *s, uint32_t at, TokKind *kind) {
  *kind = TOK_INT;
  at = skip_digits(s, at);
  if (byte_at(s, at) == '.' && is_digit(byte_at(s, at + 1))) {
    *kind = TOK_FLOAT;
    at = skip_digits(s, at + 1);
  }
  if (byte_at(s, at) != 'e') return at;
  *kind = TOK_FLOAT;
  at++;
  return skip_digits(s, at + (byte_at(s, at) == '-' || byte_at(s, at) == '+'));
}

static uint32_t scan(const Source *s, uint32_t at, TokKind *kind) {
  char c = byte_at(s, at), next = byte_at(s, at + 1);
  if (is_letter(c) || (c == '-' && is_letter(next))) {
    *kind = TOK_NAME;
    return skip_name(s, at);
  }
  if (is_digit(c) || (c == '-' && is_digit(next))) return skip_number(s, at + (c == '-'), kind);
  bool value = c == '%' && is_digit(next), range = c == '.' && next == '.';
  *kind = value ? TOK_VALUE : range ? TOK_RANGE : TOK_PUNCT;
  return value ? skip_digits(s, at + 1) : at + 1 + range;
}

Token air_token(const Source *s, uint32_t at) {
  at = skip_space(s, at);
  Token t = {.kind = TOK_END, .span = {at, at}};
  if (at >= s->size) return t;
  t.span.hi = scan(s, at, &t.kind);
  t.punct = s->text[at];
  return t;
}

bool air_token_is(const Source *s, Token t, const char *name) {
  size_t n = strlen(name);
  return t.kind == TOK_NAME && t.span.hi - t.span.lo == n && !memcmp(s->text + t.span.lo, name, n);
}
