/* driver: what the verbs of the command line share.
 *
 * One process runs one verb; everything it makes lives in Driver.arena.  A verb returns the exit status
 * and prints results to stdout, everything else to stderr. */
#ifndef ATTN_DRIVER_DRIVER_H
#define ATTN_DRIVER_DRIVER_H

#include <stdio.h>

#include "driver/message.h"
#include "driver/option.h"

typedef struct Driver {
  Arena *arena;
  Options options;
} Driver;

typedef struct Verb {
  const char *name;
  int (*run)(Driver *d);
  uint32_t options; /* OPTION bits it takes */
  const char *usage, *about;
} Verb;

extern const Verb driver_verbs[];
extern const uint32_t driver_verb_count;
const Verb *driver_find_verb(const char *name); /* NULL: unknown */

int verb_bench(Driver *d);
int verb_check(Driver *d);
int verb_compile(Driver *d);
int verb_dump(Driver *d);
int verb_explain(Driver *d);
int verb_fmt(Driver *d);
int verb_help(Driver *d);
int verb_info(Driver *d);
int verb_run(Driver *d);
int verb_verify(Driver *d);
int verb_version(Driver *d);

/* What `attn help` prints. */
void driver_print_help(FILE *to);
/* What `attn help VERB` and `attn VERB --help` print, on standard output. */
void driver_print_verb(const Verb *v);

#endif
