/* parse: text to tree.  Reentrant; owns nothing after it returns.
 *
 * Always returns a File, holding all that could be read; every syntax error is in `diags` (recovery goes
 * on at the next statement).  Nesting deeper than PARSE_MAX_DEPTH is an error at that place, so no later
 * recursion over the tree is deeper than a small multiple of it. */
#ifndef ATTN_FRONT_PARSE_H
#define ATTN_FRONT_PARSE_H

#include "base/diag.h"
#include "front/ast.h"

enum {
  PARSE_MAX_DEPTH = 256, /* the language's limit on nesting: of blocks, and of brackets, unary operators, `^`,
                            reductions and `if` in one expression */
  PARSE_MAX_TREE = 4096, /* deepest expression tree, also for chains that nest nothing: x + x + x ... */
};

File *parse_file(Arena *arena, Interner *names, Diags *diags, const Source *source);

#endif
