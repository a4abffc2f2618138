/* check: the tree of a file to models: names, types, shapes, the probabilistic rules.
 *
 * Every error of the file is reported (one mistake, one message: what follows from an error is silent).
 * A model with errors is left out of the result; the file's other models are still returned. */
#ifndef ATTN_MODEL_CHECK_H
#define ATTN_MODEL_CHECK_H

#include "base/diag.h"
#include "front/ast.h"
#include "model/model.h"

ModelFile *check_file(Arena *arena, Interner *names, Diags *diags, const Source *source, const File *file);

#endif
