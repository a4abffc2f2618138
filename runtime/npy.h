/* npy: arrays in NumPy's .npy files.
 *
 * Format: the magic "\x93NUMPY", a version (major, minor), a little-endian header length (2 bytes in
 * version 1.0, 4 in 2.0 and 3.0), a header that is a Python dict literal with the keys 'descr',
 * 'fortran_order' and 'shape', and the elements.  Specification: numpy.lib.format in NumPy's manual.
 *
 * Reading trusts nothing.  The header is parsed, never evaluated; memory for elements is taken only up to
 * what the file holds.  Bytes after the last element are ignored, as NumPy does. */
#ifndef ATTN_RT_NPY_H
#define ATTN_RT_NPY_H

#include <stddef.h>

#include "tensor.h"

enum {
  NPY_HEADER_MAX = 64 * 1024, /* longest header accepted, in bytes; NumPy writes under 1 KiB */
  NPY_PREAMBLE_MAX = 12       /* magic, version and header length */
};

/* What a header says. */
typedef struct NpyHeader {
  ElemType type;
  bool swapped; /* byte order differs from this machine's */
  bool fortran;
  int rank;
  int64_t shape[ARRAY_RANK_MAX]; /* passes shape_count for `type` */
} NpyHeader;

/* Reads PATH: a regular file, or a pipe or device up to the last element.  Accepts f2 f4 f8 i4 i8 u1 b1 of
 * any byte order, V2 (elements of two bytes that NumPy knows nothing of) as bf16, rank 0 to ARRAY_RANK_MAX, empty
 * arrays, C and Fortran order (kept, as strides).  *a owns its elements, in the machine's byte order, bools as 0 or 1.
 * On failure *a is empty and the message starts with the path. */
bool npy_read(const char *path, AttnArray *a, RtError *err);
/* The same from n bytes of memory, which are copied; `name` takes the place of the path. */
bool npy_read_memory(const void *bytes, size_t n, const char *name, AttnArray *a, RtError *err);

/* Parses the n bytes of header text (the dict, without the preamble). */
bool npy_parse_header(const char *text, size_t n, const char *name, NpyHeader *h, RtError *err);

/* Writes any array in C order, version 1.0; bf16 as V2.
 * A new or regular PATH is replaced by a rename of a temporary file in its folder (a symbolic link keeps
 * pointing where it did), so that a reader sees the old file or the whole new one; after a failure the
 * temporary is gone and the old file untouched.  Anything else (/dev/null, a FIFO) is written in place.
 * A file size limit or a reader that went away is an error like a full disk: SIGXFSZ and SIGPIPE are held
 * back in the calling thread meanwhile. */
bool npy_write(const char *path, const AttnArray *a, RtError *err);

#endif
