/* option: the words of the command line, sorted into options and the rest.
 *
 * Options may stand anywhere behind the verb; `--` ends them.  Values are checked here, so that a verb
 * never sees a bad one. */
#ifndef ATTN_DRIVER_OPTION_H
#define ATTN_DRIVER_OPTION_H

#include <stdbool.h>

#include "base/vec.h"
#include "ir/pass.h"

typedef VEC(const char *) WordVec;

typedef struct Options {
  const char *output;  /* -o; NULL: none */
  const char *after;   /* --after */
  const char *emit;    /* --emit */
  const char *cpu;     /* --target-cpu; NULL: this machine */
  const char *target;  /* --target; NULL: this machine */
  const char *cache;   /* a folder; NULL: none.  Set by verbs that use one, unless --no-cache is given */
  bool json, time, check, f64, no_cache;
  Reassociate reassociate; /* when sums are taken in another order */
  bool help;           /* --help or -h: say what the verb takes, and do nothing */
  bool no_tiles;       /* scalar code alone */
  bool no_optimise;    /* code as it is emitted: compiled in a fraction of the time, and slower */
  bool sanitize;       /* of builds with AddressSanitizer: kernels with it too */
  bool has_precision;  /* --precision was given */
  int threads;         /* 0: all cores */
  int trials;          /* 0: the verb's default */
  uint64_t seed;
  double tol;          /* 0: the verb's default */
  double max_cost;     /* 0: the default */
  double max_memory;   /* GiB that compiling may take; 0: the default */
  WordVec words;       /* what is no option */
} Options;

enum {
  OPTION_OUTPUT = 1 << 0,
  OPTION_AFTER = 1 << 1,
  OPTION_EMIT = 1 << 2,
  OPTION_CPU = 1 << 3,
  OPTION_JSON = 1 << 4,
  OPTION_TIME = 1 << 5,
  OPTION_CHECK = 1 << 6,
  OPTION_PRECISION = 1 << 7,
  OPTION_NO_CACHE = 1 << 8,
  OPTION_THREADS = 1 << 9,
  OPTION_TRIALS = 1 << 10,
  OPTION_SEED = 1 << 11,
  OPTION_TOL = 1 << 12,
  OPTION_MAX_COST = 1 << 13,
  OPTION_TARGET = 1 << 14,
  OPTION_NO_TILES = 1 << 15,
  OPTION_REASSOCIATE = 1 << 16,
  OPTION_SANITIZE = 1 << 17,
  OPTION_MAX_MEMORY = 1 << 18,
  OPTION_NO_OPTIMISE = 1 << 21,
  OPTION_ARRAYS = 1 << 19, /* no option: the verb holds arrays, and only what it compiles is bounded */
  OPTION_OF_ALL = 1 << 20, /* every verb takes it */
  /* common to all verbs, so that one list of options serves them all */
  OPTIONS_BUILD = OPTION_CPU | OPTION_TIME | OPTION_PRECISION | OPTION_NO_CACHE | OPTION_THREADS | OPTION_SEED |
                  OPTION_MAX_COST | OPTION_MAX_MEMORY | OPTION_NO_TILES | OPTION_NO_OPTIMISE | OPTION_REASSOCIATE |
                  OPTION_SANITIZE,
};

/* STATUS_DONE, or STATUS_USAGE after a message.  `allowed`: the OPTION bits of the verb. */
int options_read(Arena *arena, Options *o, const char *verb, uint32_t allowed, int n, char **words);

/* Strict readings of a whole word; false if it is anything else. */
bool read_int(const char *word, int64_t *value);
bool read_real(const char *word, double *value);

#endif
