/* api: what the files of the C library share. */
#ifndef ATTN_API_API_H
#define ATTN_API_API_H

#include "attn.h"
#include "driver/execute.h"

struct attn_model {
  Arena arena;
  jmp_buf oom;
  Loaded *file;
  const Model *model;
  Program program;
  attn_info *inputs, *outputs; /* by id */
};

/* Collects the messages of this thread.  False: no memory. */
typedef struct Collect { FILE *before, *to; char *text; size_t n; } Collect;
bool collect_begin(Collect *c);
/* Ends it, and hands over the text where status is not ATTN_OK.  Returns status. */
int collect_end(Collect *c, int status, attn_message *why);

int api_no_memory(attn_message *why);
int api_error(attn_message *why, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

attn_type api_type(ElemType t);
/* False: the array is none, with a message. */
bool api_array(const attn_array *from, const char *name, AttnArray *to, attn_message *why);

#endif
