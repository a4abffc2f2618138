/* token: see token.h.  A newline ends a statement unless it stands in ( ) or [ ], or the token before it
 * still wants something (an operator, `,` `{` `=` `~` `:` or a keyword), or the one after it continues
 * (a binary operator, `where` `or` `and` `then` `else` `by`).
 *
 * A line that begins with a word that can only begin a statement always follows a statement end, even
 * inside an open bracket: no legal text has it otherwise, and after a forgotten `)` only one statement is lost.
 * Such a word behind a whole statement on the same line lacks a `;`: a statement end is read there too, and told as
 * an error. */
#include "front/token.h"

#include "front/parse_state.h"

#include "attn_grammar.h"
#include "attn_scanner.h"

bool token_is_keyword(int kind) {
  switch (kind) {
  case T_MODEL: case T_DATA: case T_PARAM: case T_LET: case T_DEF: case T_FOR: case T_IN: case T_EDGE: case T_LATENT:
  case T_PRIOR: case T_POTENTIAL: case T_OBSERVE: case T_REQUIRE: case T_INFER: case T_BY: case T_OUT: case T_WHERE:
  case T_OR: case T_AND: case T_NOT: case T_IF: case T_THEN: case T_ELSE: return true;
  }
  return false;
}

bool token_begins_statement(int kind) {
  switch (kind) {
  case T_MODEL: case T_DATA: case T_PARAM: case T_LET: case T_DEF: case T_FOR: case T_EDGE: case T_LATENT:
  case T_PRIOR: case T_POTENTIAL: case T_OBSERVE: case T_REQUIRE: case T_INFER: case T_OUT: return true;
  }
  return false;
}

bool token_ends_operand(int kind) {
  switch (kind) {
  case T_NAME: case T_RESERVED: case T_INT: case T_REAL: case T_NONE: case T_TRUE: case T_FALSE: case ')': case ']':
  case TOKEN_BAD_NUMBER: return true;
  }
  return false;
}

static bool is_binary_operator(int kind) {
  switch (kind) {
  case '+': case '-': case '*': case '/': case '%': case '^': case '<': case '>':
  case T_EQ: case T_NE: case T_LE: case T_GE: case T_FLOORDIV: case T_DOTDOT:
  case TOKEN_BAD_POW: case TOKEN_BAD_AND: case TOKEN_BAD_OR: return true;
  }
  return false;
}

static bool wants_more(int kind) {
  switch (kind) {
  case ',': case '{': case '=': case '~': case ':': case TOKEN_BAD_NOT: return true;
  }
  return is_binary_operator(kind) || token_is_keyword(kind);
}

static bool continues_line(int kind) {
  switch (kind) {
  case T_WHERE: case T_OR: case T_AND: case T_THEN: case T_ELSE: case T_BY: return true;
  }
  return is_binary_operator(kind);
}

/* The open brackets.  A `}` closes whatever was left open since its `{`. */
typedef struct Open { Arena *arena; VEC(char) stack; } Open;

enum { BINDERS = 'b' }; /* on the stack: a `(` with an `in` in it */

static char innermost(const Open *o) { return o->stack.n ? vec_last(&o->stack) : '{'; }

static void close_braces(Open *o) {
  while (o->stack.n && o->stack.at[--o->stack.n] != '{') {}
}

static void close_brackets(Open *o) {
  while (o->stack.n && vec_last(&o->stack) != '{') o->stack.n--;
}

static bool matches(char opening, int closing) {
  return closing == ')' ? opening == '(' || opening == BINDERS : closing == ']' && opening == '[';
}

static void track(Open *o, Token *t) {
  char inner = innermost(o);
  if (t->kind == '(' || t->kind == '[' || t->kind == '{') vec_push(o->arena, &o->stack, (char)t->kind);
  else if (t->kind == '}') close_braces(o);
  else if (t->kind == T_IN && inner == '(') vec_last(&o->stack) = BINDERS;
  else if (matches(inner, t->kind)) {
    t->closes_binders = inner == BINDERS;
    o->stack.n--;
  }
}

static const Token *next_code(const TokenVec *v, uint32_t i) {
  while (++i < v->n)
    if (v->at[i].kind != TOKEN_COMMENT) return &v->at[i];
  return NULL;
}

static bool starts_statement(const TokenVec *v, uint32_t i) {
  if (!token_begins_statement(v->at[i].kind)) return false;
  const Token *next = next_code(v, i);
  return v->at[i].kind != T_PARAM || !next || next->kind != '(';
}

static bool in_block(const Open *o) {
  for (uint32_t i = 0; i < o->stack.n; i++)
    if (o->stack.at[i] == '{') return true;
  return false;
}

/* A statement word after `before`, on the same line. */
static bool runs_on(const Open *o, int kind, int before) {
  bool whole = token_ends_operand(before) || before == '}';
  return whole && innermost(o) == '{' && !(kind == T_MODEL && in_block(o));
}

static void mark_ends(Arena *arena, TokenVec *v) {
  Open open = {.arena = arena};
  int before = TOKEN_EOF;
  bool new_line = false;
  for (uint32_t i = 0; i < v->n; i++) {
    Token *t = &v->at[i];
    new_line |= t->first_on_line;
    if (t->kind == TOKEN_COMMENT) continue;
    bool starts = starts_statement(v, i);
    if (starts && !new_line) {
      t->runs_on = t->ends_before = runs_on(&open, t->kind, before);
    } else if (starts && t->first_on_line) {
      close_brackets(&open);
      t->ends_before = before != TOKEN_EOF;
    } else if (new_line && innermost(&open) == '{') {
      t->ends_before = before != TOKEN_EOF && !wants_more(before) && !continues_line(t->kind);
    }
    track(&open, t);
    before = t->kind;
    new_line = false;
  }
}

static bool has_newline(const char *text, uint32_t from, uint32_t to) {
  return to > from && memchr(text + from, '\n', to - from) != NULL;
}

TokenVec tokens_read(Arena *arena, const Source *source) {
  uint32_t bom = source->size >= 3 && !memcmp(source->text, "\xEF\xBB\xBF", 3) ? 3 : 0;
  uint32_t size = source->size - bom, at = bom, end_before = bom;
  char *buffer = arena_alloc(arena, (size_t)size + 2); /* flex wants two NUL bytes behind the text */
  for (uint32_t i = 0; i < size; i++) { /* flex rescans its token at every NUL; to the language 1 is as bad */
    char c = source->text[bom + i];
    buffer[i] = c ? c : 1;
  }
  yyscan_t scanner;
  attn_scan_lex_init_extra(arena, &scanner);
  attn_scan__scan_buffer(buffer, (size_t)size + 2, scanner);
  TokenVec v = {0};
  for (int kind; (kind = attn_scan_lex(scanner)) != TOKEN_EOF;) {
    Span span = {at, at + (uint32_t)attn_scan_get_leng(scanner)};
    at = span.hi;
    if (kind == TOKEN_BLANK) continue;
    bool first = v.n == 0 || has_newline(source->text, end_before, span.lo);
    vec_push(arena, &v, (Token){.kind = (uint16_t)kind, .first_on_line = first, .span = span});
    end_before = span.hi;
  }
  attn_scan_lex_destroy(scanner);
  mark_ends(arena, &v);
  return v;
}
