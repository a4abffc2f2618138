/* load: from a path to checked models. */
#ifndef ATTN_DRIVER_LOAD_H
#define ATTN_DRIVER_LOAD_H

#include "driver/driver.h"
#include "model/check.h"

typedef struct Loaded {
  const Source *source;
  Interner names;
  Diags diags;
  File *file;
  ModelFile *models;
  double seconds; /* that reading, parsing and checking took */
} Loaded;

/* Parses and checks; prints all diagnostics.  NULL when the file cannot be read or has errors. */
Loaded *load_file(Arena *arena, const char *path);
/* The same from text; `name` stands for the file in messages. */
Loaded *load_text(Arena *arena, const char *name, const char *text, size_t n);
/* The model of that name; the only one, for NULL.  NULL after messages. */
const Model *load_pick(Arena *arena, const Loaded *l, const char *name);
/* Parses only; prints the errors.  NULL when there are some. */
Loaded *load_syntax(Arena *arena, const char *path);

/* The model that a verb's words `FILE [MODEL] ...` mean; *used: how many words name it.  NULL after messages,
 * with *status set. */
typedef struct Chosen { Loaded *file; const Model *model; uint32_t used; } Chosen;
bool load_model(Driver *d, Chosen *chosen, int *status);
/* The same for a verb that takes nothing behind it. */
bool load_only_model(Driver *d, Chosen *chosen, int *status);

/* A fresh list of messages about the same file, for what is found after checking. */
Diags *load_messages(Arena *arena, const Loaded *l);

#endif
