/* parse_state: what the grammar's actions, the token feed and the error messages share during one parse.
 * Private to front/. */
#ifndef ATTN_FRONT_PARSE_STATE_H
#define ATTN_FRONT_PARSE_STATE_H

#include "base/diag.h"
#include "front/ast.h"
#include "front/token.h"

/* Something that is open at the current token: a bracket, a block, or an operator that nests to its right. */
typedef enum { NEST_BRACKET, NEST_BLOCK, NEST_TIGHT /* unary -, ^ */, NEST_REDUCE, NEST_NOT, NEST_IF } NestKind;
typedef struct Nest {
  NestKind kind;
  char bracket;     /* NEST_BRACKET: '(' or '[' */
  bool dropped;     /* NEST_BLOCK: too deep, hidden from the grammar */
  char awaits;      /* NEST_IF: 't'hen, 'e'lse, or 0 */
  uint32_t base;    /* NEST_BLOCK: Feed.base outside it */
  Span span;        /* of the opening token */
} Nest;

typedef struct Feed {
  TokenVec tokens;
  uint32_t at;            /* the next token to hand out */
  int prev;               /* kind of the token handed out before */
  bool after_binders;     /* it was the `)` of a reduction's binders */
  Span prev_span;
  bool end_given;         /* the statement end before tokens.at[at] has been handed out */
  uint32_t errors_then;   /* ... when so many errors had been told */
  bool deep_told, blocks_told, eof_told;
  uint32_t blocks;        /* open blocks */
  uint32_t base;          /* stack.at[base ..] is open inside the innermost block */
  VEC(Nest) stack;
  Span unclosed;          /* the bracket that the token just handed out leaves open; empty: none */
} Feed;

typedef struct Parse {
  Arena *arena;
  Interner *names;
  Diags *diags;
  const Source *source;
  Feed feed;
  File *file;
  uint32_t told_at; /* 1 + offset of the last error: one place, one message */
} Parse;

/* Calls diag_error unless this very place already has an error; then NULL. */
Diag *parse_error(Parse *p, Span span, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The parser's report: `found` is no continuation, each of `expected` would be one (grammar token kinds). */
void syntax_error(Parse *p, int found, Span span, const int *expected, int n);

/* A bounded, printable rendering of source text for a message: 'text'. */
const char *quoted(Parse *p, Span span);

/* The next token for the grammar; fills `name`, `integer` or `real` as the kind asks. */
typedef struct TokenValue { Name name; int64_t integer; double real; } TokenValue;
int feed_next(Parse *p, Span *span, TokenValue *value);

#endif
