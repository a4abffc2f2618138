/* cache: object files of kernels, kept between processes.
 *
 * The key is a hash of all that the code depends on (see cache_key).  A file holds one kernel and the hash of its own
 * contents: what is damaged, cut short or of another build is a miss, never an error.  A folder that another user owns
 * or may write to is not used.  Files are written aside and renamed, so that processes may share a folder; when it
 * grows beyond CACHE_BYTES_MAX, the files that were used longest ago go. */
#ifndef ATTN_BACK_CACHE_H
#define ATTN_BACK_CACHE_H

#include "back/object.h"

enum { CACHE_KEY_BYTES = 32, CACHE_BYTES_MAX = 256 * 1024 * 1024 };

typedef struct CacheKey { uint8_t byte[CACHE_KEY_BYTES]; } CacheKey;

/* Of the build of this compiler, LLVM's version, the processor, the options, the printed kernel, and the places in the
 * model file that its checks name.  machine, cpu and features of e are set. */
CacheKey cache_key(const Emit *e, const BackOptions *o);
/* False: not there.  The files lie on the arena. */
bool cache_get(Arena *arena, const char *folder, const CacheKey *key, ObjectFiles *files);
/* Failures do not matter. */
void cache_put(Arena *arena, const char *folder, const CacheKey *key, const ObjectFiles *files);

#endif
