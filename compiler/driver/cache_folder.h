/* cache_folder: where compiled kernels are kept. */
#ifndef ATTN_DRIVER_CACHE_FOLDER_H
#define ATTN_DRIVER_CACHE_FOLDER_H

#include "base/arena.h"

/* The user's folder for this, by the XDG base directory specification: $XDG_CACHE_HOME/attn or ~/.cache/attn.  NULL:
 * the environment names none by an absolute path.  The only place where the environment is read. */
const char *cache_folder(Arena *arena);

#endif
