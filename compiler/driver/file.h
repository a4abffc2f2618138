/* file: files that are written whole or not at all. */
#ifndef ATTN_DRIVER_FILE_H
#define ATTN_DRIVER_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

/* Writes beside `path` and renames.  False with errno set; what was at `path` is then as before. */
bool file_write(Arena *arena, const char *path, const void *bytes, size_t n);
/* The text of a file, cut after `most` bytes; "" where it cannot be read. */
const char *file_text(Arena *arena, const char *path, size_t most);

#endif
