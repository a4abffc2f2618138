/* passes: how each pass over the values of an edge runs: on register tiles or one value after another, what its
 * support leaves of the blocks, and what a thread needs for it. */
#ifndef ATTN_EXPLAIN_PASSES_H
#define ATTN_EXPLAIN_PASSES_H

#include "base/json.h"
#include "explain/facts.h"

void passes_text(const Facts *f, const Stream *s, FILE *to); /* of one pass, below what it carries */
void passes_json(const Facts *f, Json *j);                   /* of all */
bool passes_any_scalar(const Facts *f);
void workspace_text(const Facts *f, FILE *to);
void workspace_json(const Facts *f, Json *j);

#endif
