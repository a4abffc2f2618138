/* token: the whole source as an array of tokens, with the places where statements end.
 *
 * Both readers of a source text work on this array: the parser, through feed.c, and the formatter.  Whether
 * a newline ends a statement depends only on the tokens around it and the brackets it stands in, so it
 * is decided here, once, and not in the grammar. */
#ifndef ATTN_FRONT_TOKEN_H
#define ATTN_FRONT_TOKEN_H

#include <stdbool.h>

#include "base/source.h"
#include "base/vec.h"

/* Kinds that the grammar does not know; its own (T_NAME, '(' ...) are in the generated attn_grammar.h. */
enum {
  TOKEN_EOF = 0,
  TOKEN_BLANK = 1000, /* never in the array */
  TOKEN_COMMENT,      /* from `#` up to the end of the line */
  TOKEN_BAD_NUMBER, TOKEN_BAD_POW, TOKEN_BAD_NOT, TOKEN_BAD_AND, TOKEN_BAD_OR, TOKEN_BAD_DOT,
  TOKEN_BAD_COMMENT,      /* a whole C comment */
  TOKEN_BAD_COMMENT_OPEN, /* the start of one that never ends */
  TOKEN_BAD_STRING, TOKEN_BAD_UTF8, TOKEN_BAD_CONTROL, TOKEN_BAD_CHAR,
};

typedef struct Token {
  uint16_t kind;
  bool first_on_line : 1;
  bool ends_before : 1;    /* a statement end stands before this token (for `;`, see its own kind) */
  bool runs_on : 1;        /* begins a statement behind another on its line: a `;` is missing, ends_before is set */
  bool closes_binders : 1; /* the `)` of `sum(j in N)`: an operand follows, no operator */
  Span span;
} Token;
typedef VEC(Token) TokenVec;

/* Comments are in the array, with ends_before false; blanks and a leading byte order mark are not. */
TokenVec tokens_read(Arena *arena, const Source *source);

/* Words that can only begin a statement.  (`param` also names a query, `param(theta, 1)`.) */
bool token_begins_statement(int kind);
/* The last token of an operand, so that a `-` after it is the binary one. */
bool token_ends_operand(int kind);
bool token_is_keyword(int kind);

#endif
