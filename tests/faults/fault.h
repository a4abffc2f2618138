/* fault: calls of the system that fail on purpose.
 *
 * The linker hands every call that the project's own code makes to a function of this file (`--wrap`), which counts
 * them and lets one of them fail, or all of them do a single byte at a time.  What LLVM and the C library call among
 * themselves is not touched. */
#ifndef ATTN_TESTS_FAULT_H
#define ATTN_TESTS_FAULT_H

#include <stdbool.h>

typedef enum {
  FAULT_NONE,
  FAULT_MEMORY, /* malloc, calloc, realloc, aligned_alloc, realpath, streams, threads: the nth fails */
  FAULT_READ,   /* the nth read fails: EIO */
  FAULT_WRITE,  /* the nth write fails: ENOSPC */
  FAULT_FILE,   /* the nth open, openat, close, rename, mkdir or fstat fails */
  FAULT_BYTES,  /* reads and writes move one byte, and every third is interrupted */
  FAULT_KINDS
} FaultKind;

/* From now on; n counts from 1. */
void fault_begin(FaultKind kind, long n);
/* Has the nth call come? */
bool fault_came(void);

#endif
