/* object: a kernel as object files, parts of it made by threads side by side.
 *
 * The parts follow from the kernel alone, not from the threads that there are: the same kernel gives the same bytes. */
#ifndef ATTN_BACK_OBJECT_H
#define ATTN_BACK_OBJECT_H

#include "back/emit.h"

enum { OBJECT_PARTS = 2 };

typedef struct ObjectFile { const char *bytes; size_t size; } ObjectFile;
typedef struct ObjectFiles {
  ObjectFile at[OBJECT_PARTS]; /* which name each other's functions */
  uint32_t n;
  Span *sites; /* of the kernel's checks, by number */
  uint32_t nsites;
} ObjectFiles;

/* Of a kernel for this machine; e is what target_choose left.  The files lie on e->arena. */
bool object_files(const Emit *e, const BackOptions *o, ObjectFiles *files, const char **why);

#endif
