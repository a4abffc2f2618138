/* air_token: the words of a kernel's text (.air), for ir_parse.
 *
 * A `#` starts a comment.  Names may contain '.' and '$' after their first letter; a '-' before a letter belongs
 * to the name (-inf).  Nothing here allocates or fails: what is no word is TOK_PUNCT with that byte. */
#ifndef ATTN_IR_AIR_TOKEN_H
#define ATTN_IR_AIR_TOKEN_H

#include <stdbool.h>

#include "base/source.h"

typedef enum { TOK_END, TOK_NAME, TOK_VALUE, TOK_INT, TOK_FLOAT, TOK_RANGE, TOK_PUNCT } TokKind;

typedef struct Token {
  TokKind kind;
  Span span;
  char punct; /* TOK_PUNCT */
} Token;

/* The first token at or after byte `at`. */
Token air_token(const Source *s, uint32_t at);
bool air_token_is(const Source *s, Token t, const char *name);

#endif
