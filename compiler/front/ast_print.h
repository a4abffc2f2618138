/* ast_print: a tree as s-expressions, one statement a line, full and unambiguous: two trees print alike
 * exactly when they are equal up to spans and redundant parentheses.  Reals print with all their digits. */
#ifndef ATTN_FRONT_AST_PRINT_H
#define ATTN_FRONT_AST_PRINT_H

#include <stdio.h>

#include "front/ast.h"

void ast_print(const File *file, const Interner *names, FILE *to);

#endif
