/* vec: a growable array on an arena.  VEC(T) declares {T *at; u32 n, cap}; the old block of a grown
 * array stays in the arena (geometric growth: at most as much again). */
#ifndef ATTN_BASE_VEC_H
#define ATTN_BASE_VEC_H

#include <string.h>

#include "base/arena.h"

#define VEC(T) struct { T *at; uint32_t n, cap; }

#define vec_push(arena, v, ...)                                                          \
  do {                                                                                   \
    if ((v)->n == (v)->cap) {                                                            \
      uint32_t cap_ = (v)->cap ? 2 * (v)->cap : 4;                                       \
      void *block_ = arena_array((arena), cap_, sizeof *(v)->at);                        \
      if ((v)->n) memcpy(block_, (v)->at, (v)->n * sizeof *(v)->at);                     \
      (v)->at = block_;                                                                  \
      (v)->cap = cap_;                                                                   \
    }                                                                                    \
    (v)->at[(v)->n++] = (__VA_ARGS__);                                                   \
  } while (0)

#define vec_last(v) ((v)->at[(v)->n - 1])

#endif
