/* option: one table of options; each names its bit and how its value is read. */
#include "driver/option.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "back/back.h"
#include "base/asan.h"
#include "driver/message.h"

bool read_int(const char *word, int64_t *value) {
  const char *digits = word + (*word == '-' || *word == '+');
  if (*digits < '0' || *digits > '9') return false;
  char *end;
  errno = 0;
  long long x = strtoll(word, &end, 10);
  *value = x;
  return !*end && errno == 0;
}

bool read_real(const char *word, double *value) {
  const char *digits = word + (*word == '-' || *word == '+');
  if (!strchr("0123456789.iInN", *digits) || !*digits || digits[1] == 'x' || digits[1] == 'X') return false;
  char *end;
  *value = strtod(word, &end);
  return end != word && !*end;
}

static bool read_threads(Options *o, const char *v) {
  int64_t n;
  if (!read_int(v, &n) || n < 1 || n > 4096) return false;
  o->threads = (int)n;
  return true;
}

static bool read_trials(Options *o, const char *v) {
  int64_t n;
  if (!read_int(v, &n) || n < 1 || n > 1000000000) return false;
  o->trials = (int)n;
  return true;
}

static bool read_seed(Options *o, const char *v) {
  int64_t n;
  if (!read_int(v, &n)) return false;
  o->seed = (uint64_t)n;
  return true;
}

static bool read_precision(Options *o, const char *v) {
  o->has_precision = true;
  o->f64 = !strcmp(v, "f64");
  return o->f64 || !strcmp(v, "f32");
}

static bool read_tol(Options *o, const char *v) { return read_real(v, &o->tol) && isfinite(o->tol) && o->tol > 0; }

static bool read_max_cost(Options *o, const char *v) { return read_real(v, &o->max_cost) && o->max_cost > 0; }

static bool read_max_memory(Options *o, const char *v) {
  return read_real(v, &o->max_memory) && o->max_memory > 0 && o->max_memory < 1e9;
}

static bool read_cpu(Options *o, const char *v) {
  o->cpu = v;
  return back_cpu_known(v);
}

static bool read_target(Options *o, const char *v) { return back_target_known(o->target = v); }

static bool read_output(Options *o, const char *v) { return *(o->output = v) != 0; }
static bool read_after(Options *o, const char *v) { return *(o->after = v) != 0; }
static bool read_emit(Options *o, const char *v) { return *(o->emit = v) != 0; }

static bool set_json(Options *o, const char *v) { return !v && (o->json = true); }
static bool set_time(Options *o, const char *v) { return !v && (o->time = true); }
static bool set_check(Options *o, const char *v) { return !v && (o->check = true); }
static bool set_no_cache(Options *o, const char *v) { return !v && (o->no_cache = true); }

static bool set_no_optimise(Options *o, const char *v) { return !v && (o->no_optimise = true); }

static bool set_no_tiles(Options *o, const char *v) { return !v && (o->no_tiles = true); }

#if ATTN_ASAN
static bool set_sanitize(Options *o, const char *v) { return !v && (o->sanitize = true); }
#endif

static bool read_reassociate(Options *o, const char *v) {
  static const char *const modes[] = {
      [REASSOCIATE_AUTO] = "auto", [REASSOCIATE_ALWAYS] = "always", [REASSOCIATE_NEVER] = "never"};
  for (int m = REASSOCIATE_AUTO; m <= REASSOCIATE_NEVER; m++)
    if (!strcmp(modes[m], v)) return o->reassociate = (Reassociate)m, true;
  return false;
}

typedef struct Option {
  const char *name;
  uint32_t bit;
  bool (*read)(Options *o, const char *value); /* false: not a value it takes */
  const char *wants;                           /* NULL: takes no value */
} Option;

static const Option OPTIONS[] = {
  {"--after", OPTION_AFTER, read_after, "the name of a pass"},
  {"--check", OPTION_CHECK, set_check, NULL},
  {"--emit", OPTION_EMIT, read_emit, "a list of shared, obj, header, asm, llvm"},
  {"--json", OPTION_JSON, set_json, NULL},
  {"--max-cost", OPTION_MAX_COST, read_max_cost, "a positive number"},
  {"--max-memory", OPTION_MAX_MEMORY, read_max_memory, "a positive number of GiB"},
  {"--no-cache", OPTION_NO_CACHE, set_no_cache, NULL},
  {"--no-optimise", OPTION_NO_OPTIMISE, set_no_optimise, NULL},
  {"--no-tiles", OPTION_NO_TILES, set_no_tiles, NULL},
  {"--precision", OPTION_PRECISION, read_precision, "f32 or f64"},
  {"--reassociate", OPTION_REASSOCIATE, read_reassociate, "auto, always or never"},
#if ATTN_ASAN
  {"--sanitize", OPTION_SANITIZE, set_sanitize, NULL},
#endif
  {"--seed", OPTION_SEED, read_seed, "an integer"},
  {"--target", OPTION_TARGET, read_target, "x86_64-linux-gnu or aarch64-linux-gnu"},
  {"--target-cpu", OPTION_CPU, read_cpu, "native or the name of a CPU that LLVM knows"},
  {"--threads", OPTION_THREADS, read_threads, "a number from 1 to 4096"},
  {"--time", OPTION_TIME, set_time, NULL},
  {"--tol", OPTION_TOL, read_tol, "a positive number"},
  {"--trials", OPTION_TRIALS, read_trials, "a positive number"},
};
enum { OPTION_COUNT = sizeof OPTIONS / sizeof *OPTIONS };

static const Option *find(const char *word, size_t n, uint32_t allowed) {
  for (uint32_t i = 0; i < OPTION_COUNT; i++)
    if ((OPTIONS[i].bit & allowed) && strlen(OPTIONS[i].name) == n && !memcmp(OPTIONS[i].name, word, n))
      return &OPTIONS[i];
  return NULL;
}

static int unknown(const char *verb, const char *word, size_t n, uint32_t allowed) {
  const char *names[OPTION_COUNT];
  uint32_t count = 0;
  for (uint32_t i = 0; i < OPTION_COUNT; i++)
    if (OPTIONS[i].bit & allowed) names[count++] = OPTIONS[i].name;
  usage_error("'attn %s' has no option '%.*s'", verb, (int)(n < 200 ? n : 200), word);
  char shortened[41] = {0};
  if (n < sizeof shortened) memcpy(shortened, word, n);
  const char *near = closest(shortened, names, count);
  if (near) hint("did you mean %s?", near);
  else hint("'attn help %s' lists its options", verb);
  return STATUS_USAGE;
}

static int read_option(Options *o, const char *verb, const char *word, uint32_t allowed) {
  const char *equals = strchr(word, '=');
  size_t n = equals ? (size_t)(equals - word) : strlen(word);
  const Option *option = find(word, n, allowed);
  if (!option) return unknown(verb, word, n, allowed);
  const char *value = equals ? equals + 1 : NULL;
  if (option->wants && !value) return usage_error("%s needs a value: %s=%s", option->name, option->name, option->wants);
  if (option->read(o, value)) return STATUS_DONE;
  if (!option->wants) return usage_error("%s takes no value, found '%s'", option->name, value);
  return usage_error("%s wants %s, found '%s'", option->name, option->wants, value);
}

/* `-o PATH`, `-o=PATH` or `-oPATH`; *used: words consumed. */
static int output_option(Options *o, const char *word, const char *next, int *used) {
  const char *value = word[2] == '=' ? word + 3 : word[2] ? word + 2 : next;
  *used = word[2] ? 1 : 2;
  if (o->output) return usage_error("-o is given twice");
  if (!value || !read_output(o, value)) return usage_error("-o needs a path behind it");
  return STATUS_DONE;
}

int options_read(Arena *arena, Options *o, const char *verb, uint32_t allowed, int n, char **words) {
  bool ended = false;
  for (int i = 0, used; i < n; i += used) {
    const char *word = words[i];
    int status = STATUS_DONE;
    used = 1;
    if (ended || word[0] != '-' || !word[1]) vec_push(arena, &o->words, word);
    else if (!strcmp(word, "--")) ended = true;
    else if (!strcmp(word, "--help") || !strcmp(word, "-h")) o->help = true;
    else if ((allowed & OPTION_OUTPUT) && word[1] == 'o')
      status = output_option(o, word, i + 1 < n ? words[i + 1] : NULL, &used);
    else status = read_option(o, verb, word, allowed);
    if (status) return status;
  }
  return STATUS_DONE;
}
