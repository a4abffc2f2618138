/* fuzz_models: random models, or files, through the oracle and the compiler; see judge.h.
 *
 *   fuzz_models --count=N --seed=S [--time=SECONDS] [--keep=DIR] [--print] [--no-fork] [--no-shrink] [--interpret]
 *               [--both] [--no-optimise] [--sums | --chains | --counts | --networks | --structures | --latents]
 *   fuzz_models [--trials=N] [--seed=S] [--no-optimise] FILE...
 *
 * Each model is compiled for f64 or f32, by the parity of its seed; --both does both, --interpret neither.
 * --no-optimise: f32, too, without LLVM's passes, and f64 without vectors.
 * --chains: models whose copies are joined along a plate.
 * --counts: models asked how many of their copies have a property.
 * --networks: the same in no chain: grids, trees of labels, shared edges.
 * --structures: models of trees, permutations and matchings.
 * --sums: models whose weights are sums of products, which are forced into the other order; of files, those that have them.
 * --latents: models with continuous unknowns.
 * Models run in a child process, so that a crash or a hang is a finding like any other: the seed is named and
 * the text shrunk while the verdict stays the same.  Exit status 1 if there was any finding. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/source.h"
#include "base/vec.h"
#include "generate.h"
#include "judge.h"

/* A model may take so many seconds of a processor; if it waits for something that never comes, ten times as long. */
enum { SECONDS_A_MODEL = 150, SECONDS_WAITING = 10 * SECONDS_A_MODEL, TIME_IS_UP = 7 };
enum { WHY = 200, SHRINK_TRIES = 600, MAX_REASONS = 400 };

typedef struct Options {
  uint64_t seed;
  long count, trials;
  double seconds, begin;
  const char *keep;
  bool of_files, print, no_fork, no_shrink, interpret, unoptimised, both, sums, chains, counts, networks, structures, latents;
} Options;

typedef struct Report { uint64_t seed; Verdict verdict; char why[WHY]; } Report;

typedef struct Reason { char text[WHY]; Verdict verdict; long n; uint64_t first; } Reason;

typedef struct Tally { long of[VERDICT_COUNT_]; Reason reasons[MAX_REASONS]; int nreasons; } Tally;

static bool is_finding(Verdict v) { return v >= VERDICT_ILLEGAL; }

/* Messages are told apart without the names and numbers in them. */
static void reason_of(const char *why, char *to) {
  size_t n = 0;
  for (bool skip = false; *why && n + 1 < WHY; why++) {
    if (*why == '\'') {
      skip = !skip;
      if (!skip) to[n++] = '_';
    } else if (!skip && !(*why >= '0' && *why <= '9')) to[n++] = *why;
  }
  to[n] = 0;
}

static void count(Tally *t, const Report *r) {
  t->of[r->verdict]++;
  if (r->verdict == VERDICT_AGREE) return;
  char text[WHY];
  reason_of(r->verdict == VERDICT_MISMATCH ? "" : r->why, text);
  for (int i = 0; i < t->nreasons; i++)
    if (t->reasons[i].verdict == r->verdict && !strcmp(t->reasons[i].text, text)) {
      t->reasons[i].n++;
      return;
    }
  if (t->nreasons == MAX_REASONS) return;
  Reason *new = &t->reasons[t->nreasons++];
  memcpy(new->text, text, WHY);
  new->verdict = r->verdict;
  new->n = 1;
  new->first = r->seed;
}

/* ---- one text in a child ------------------------------------------------------------------------------------ */

static const char *random_model(Arena *arena, uint64_t seed, const Options *o) {
  if (o->latents) return generate_latents(arena, seed);
  if (o->chains) return generate_chains(arena, seed);
  if (o->counts) return generate_counts(arena, seed);
  if (o->networks) return generate_networks(arena, seed);
  if (o->structures) return generate_structures(arena, seed);
  return o->sums ? generate_sums(arena, seed) : generate_model(arena, seed);
}

static Report judge_seeded(const char *path, const char *text, uint64_t seed, const Options *o, FILE *to) {
  Report r = {.seed = seed};
  JudgeOptions options = {.to = to, .interpret_only = o->interpret, .unoptimised = o->unoptimised, .one_native = !o->both};
  options.no_large = o->chains || o->counts || o->networks;
  if (o->sums) options.reassociate = REASSOCIATE_ALWAYS;
  options.only_reassociated = o->sums && o->of_files;
  r.verdict = judge_text(path, text, seed, &options, r.why, WHY);
  return r;
}

static Report died(uint64_t seed, int status) {
  Report r = {.seed = seed, .verdict = VERDICT_CRASH};
  if (WIFSIGNALED(status)) {
    if (WTERMSIG(status) == SIGALRM || WTERMSIG(status) == SIGPROF) r.verdict = VERDICT_HANG;
    snprintf(r.why, WHY, "signal %s", strsignal(WTERMSIG(status)));
  } else snprintf(r.why, WHY, "exit status %d (internal compiler error or sanitizer)", WEXITSTATUS(status));
  return r;
}

/* Ends a child; what it reached is counted in builds of ./dev coverage. */
#ifdef ATTN_COVERAGE
void __gcov_dump(void);
#else
static void __gcov_dump(void) {}
#endif
static _Noreturn void leave(int status) {
  __gcov_dump();
  _exit(status);
}

static void limit_time(void) {
  struct itimerval processor = {.it_value.tv_sec = SECONDS_A_MODEL};
  setitimer(ITIMER_PROF, &processor, NULL);
  alarm(SECONDS_WAITING);
}

static Report judge_in_child(const char *path, const char *text, uint64_t seed, const Options *o, bool quiet) {
  int ends[2];
  Report r = {.seed = seed, .verdict = VERDICT_CRASH};
  if (o->no_fork) return judge_seeded(path, text, seed, o, quiet ? NULL : stdout);
  fflush(stdout);
  if (pipe(ends)) return r;
  pid_t child = fork();
  if (child == 0) {
    limit_time();
    if (quiet && !freopen("/dev/null", "w", stderr)) _exit(9);
    r = judge_seeded(path, text, seed, o, quiet ? NULL : stdout);
    fflush(stdout);
    ssize_t written = write(ends[1], &r, sizeof r);
    leave(written == sizeof r ? 0 : 9);
  }
  close(ends[1]);
  bool told = read(ends[0], &r, sizeof r) == sizeof r;
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return told ? r : died(seed, status);
}

/* ---- shrinking --------------------------------------------------------------------------------------------------
 *
 * A piece of the text is left out, or a bracketed expression replaced by 1 or by what it holds, and kept so
 * while the verdict stays what it was; until nothing more can go. */

typedef struct Shrink {
  Arena *arena;
  const char *path;
  uint64_t seed;
  const Options *o;
  Verdict verdict;
  int tries;
} Shrink;

static const char *with(Shrink *s, const char *text, size_t from, size_t until, const char *middle) {
  return arena_printf(s->arena, "%.*s%s%s", (int)from, text, middle, text + until);
}

static bool accept(Shrink *s, const char **text, const char *candidate) {
  if (s->tries-- <= 0 || !strstr(candidate, "out ") ||
      judge_in_child(s->path, candidate, s->seed, s->o, true).verdict != s->verdict)
    return false;
  *text = candidate;
  return true;
}

static size_t line_end(const char *text, size_t at) {
  while (text[at] && text[at] != '\n') at++;
  return text[at] ? at + 1 : at;
}

/* A line, or the block that it opens. */
static size_t piece_end(const char *text, size_t at) {
  size_t end = line_end(text, at);
  int depth = 0;
  for (size_t k = at; text[k] && (k < end || depth); k++) {
    depth += text[k] == '{';
    depth -= text[k] == '}';
    if (k >= end && !depth) end = line_end(text, k);
  }
  return end;
}

static bool drop_pieces(Shrink *s, const char **text) {
  bool changed = false;
  for (size_t at = 0; (*text)[at];) {
    size_t end = piece_end(*text, at);
    if (accept(s, text, with(s, *text, at, end, ""))) changed = true;
    else at = line_end(*text, at);
  }
  return changed;
}

static size_t matching(const char *text, size_t open) {
  int depth = 0;
  for (size_t k = open; text[k] && text[k] != '\n'; k++) {
    depth += text[k] == '(';
    depth -= text[k] == ')';
    if (!depth) return k;
  }
  return open;
}

static bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool simplify_brackets(Shrink *s, const char **text) {
  bool changed = false;
  for (size_t open = 0; (*text)[open]; open++) {
    if ((*text)[open] != '(') continue;
    size_t close = matching(*text, open), from = open;
    if (close == open) continue;
    while (from && is_name((*text)[from - 1])) from--;
    const char *inside = arena_printf(s->arena, "(%.*s)", (int)(close - open - 1), *text + open + 1);
    changed |= accept(s, text, with(s, *text, from, close + 1, "1")) ||
               (from < open && accept(s, text, with(s, *text, from, close + 1, inside)));
  }
  return changed;
}

/* `* operand`, `+ operand` and the like. */
static bool drop_operands(Shrink *s, const char **text) {
  bool changed = false;
  for (size_t at = 0; (*text)[at]; at++) {
    const char *op = *text + at;
    if (op[0] != ' ' || !op[1] || !strchr("+-*/", op[1]) || op[2] != ' ') continue;
    size_t end = at + 3;
    for (int depth = 0; (*text)[end] && (*text)[end] != '\n' && (depth || !strchr(" ,)]", (*text)[end])); end++) {
      depth += (*text)[end] == '(' || (*text)[end] == '[';
      depth -= (*text)[end] == ')' || (*text)[end] == ']';
    }
    changed |= accept(s, text, with(s, *text, at, end, ""));
  }
  return changed;
}

static const char *shrink(Shrink *s, const char *text) {
  for (bool changed = true; changed && s->tries > 0;) {
    changed = drop_pieces(s, &text);
    changed |= simplify_brackets(s, &text);
    changed |= drop_operands(s, &text);
  }
  return text;
}

static void keep(const Options *o, const Report *r, const char *text) {
  if (!o->keep) return;
  char path[600];
  snprintf(path, sizeof path, "%s/%s_%llu.attn", o->keep, verdict_name(r->verdict), (unsigned long long)r->seed);
  FILE *f = fopen(path, "w");
  if (!f) return;
  fprintf(f, "# seed %llu: %s\n%s", (unsigned long long)r->seed, r->why, text);
  fclose(f);
}

static void explain(const char *path, const char *text, const Report *r, const Options *o) {
  Arena arena;
  arena_init(&arena, NULL);
  printf("\n==== seed %llu: %s: %s\n", (unsigned long long)r->seed, verdict_name(r->verdict), r->why);
  Shrink s = {&arena, path, r->seed, o, r->verdict, SHRINK_TRIES};
  if (!o->no_shrink && !o->no_fork && r->verdict != VERDICT_HANG && r->verdict != VERDICT_ILLEGAL)
    text = shrink(&s, text);
  printf("%s", text);
  Report again = judge_in_child(path, text, r->seed, o, false);
  if (again.verdict != r->verdict) printf("(now: %s)\n", verdict_name(again.verdict));
  keep(o, r, text);
  fflush(stdout);
  arena_free(&arena);
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

/* One child goes through many models, and tells each verdict; when it dies another goes on behind it. */
typedef struct Batch { pid_t child; int from; } Batch;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool time_is_up(const Options *o) { return o->seconds > 0 && now() - o->begin >= o->seconds; }

static void child_loop(const Options *o, uint64_t first, uint64_t end, int to) {
  for (uint64_t seed = first; seed < end; seed++) {
    if (seed > first && time_is_up(o)) leave(TIME_IS_UP);
    Arena arena;
    arena_init(&arena, NULL);
    limit_time();
    Report r = judge_seeded("model.attn", random_model(&arena, seed, o), seed, o, NULL);
    arena_free(&arena);
    if (write(to, &r, sizeof r) != sizeof r) _exit(9);
  }
  leave(0);
}

static Batch start(const Options *o, uint64_t first, uint64_t end) {
  int ends[2];
  Batch b = {-1, -1};
  fflush(stdout);
  if (pipe(ends)) return b;
  b.child = fork();
  if (b.child == 0) {
    close(ends[0]);
    if (!freopen("/dev/null", "w", stderr)) _exit(9);
    child_loop(o, first, end, ends[1]);
  }
  close(ends[1]);
  b.from = ends[0];
  return b;
}

static void take(Tally *t, const Report *r, const Options *o) {
  count(t, r);
  if (!o->print && !is_finding(r->verdict)) return;
  Arena arena;
  arena_init(&arena, NULL);
  const char *text = random_model(&arena, r->seed, o);
  if (is_finding(r->verdict)) explain("model.attn", text, r, o);
  else printf("\n---- seed %llu: %s %s\n%s", (unsigned long long)r->seed, verdict_name(r->verdict), r->why, text);
  arena_free(&arena);
}

static bool run_random(const Options *o) {
  static Tally t;
  uint64_t seed = o->seed, end = o->seed + (uint64_t)o->count;
  while (seed < end && !time_is_up(o)) {
    Batch b = start(o, seed, seed + 50 < end ? seed + 50 : end);
    if (b.child < 0) return false;
    Report r;
    uint64_t stop = seed + 50 < end ? seed + 50 : end;
    while (seed < stop && read(b.from, &r, sizeof r) == sizeof r) {
      take(&t, &r, o);
      seed++;
    }
    close(b.from);
    int status = 0;
    waitpid(b.child, &status, 0);
    if (seed < stop && !(WIFEXITED(status) && WEXITSTATUS(status) == TIME_IS_UP)) {
      r = died(seed++, status);
      take(&t, &r, o);
    }
  }
  long total = 0, findings = 0;
  for (int v = 0; v < VERDICT_COUNT_; v++) {
    total += t.of[v];
    if (is_finding((Verdict)v)) findings += t.of[v];
  }
  printf("\n%ld models in %.1f s:", total, now() - o->begin);
  for (int v = 0; v < VERDICT_COUNT_; v++)
    if (t.of[v]) printf(" %ld %s", t.of[v], verdict_name((Verdict)v));
  printf("\n");
  for (int i = 0; i < t.nreasons; i++)
    printf("  %-9s %5ld  (seed %llu) %s\n", verdict_name(t.reasons[i].verdict), t.reasons[i].n,
           (unsigned long long)t.reasons[i].first, t.reasons[i].text);
  return findings == 0;
}

/* A regression file must not only not fail: it must have been compared. */
static bool run_file(const char *path, const Options *o) {
  Arena arena;
  arena_init(&arena, NULL);
  const char *why = "";
  Source *source = source_read(&arena, path, &why);
  long agreed = 0;
  bool good = source != NULL;
  if (!source) printf("%s\n", why);
  for (long k = 0; source && k < o->trials; k++) {
    Report r = judge_in_child(path, source->text, o->seed + (uint64_t)k, o, false);
    agreed += r.verdict == VERDICT_AGREE || r.verdict == VERDICT_FAULT;
    if (!is_finding(r.verdict)) continue;
    printf("%s: seed %llu: %s: %s\n", path, (unsigned long long)r.seed, verdict_name(r.verdict), r.why);
    good = false;
  }
  if (good && !agreed) {
    printf("%s: nothing was compared\n", path);
    good = false;
  }
  arena_free(&arena);
  return good;
}

static bool option(const char *arg, const char *name, const char **value) {
  size_t n = strlen(name);
  if (strncmp(arg, name, n)) return false;
  *value = arg + n;
  return true;
}

int main(int argc, char **argv) {
  Options o = {.seed = 1, .count = 100, .trials = 20, .begin = now()};
  const char *v;
  bool good = true;
  for (int i = 1; i < argc; i++) {
    if (option(argv[i], "--seed=", &v)) o.seed = strtoull(v, NULL, 10);
    else if (option(argv[i], "--count=", &v)) o.count = strtol(v, NULL, 10);
    else if (option(argv[i], "--trials=", &v)) o.trials = strtol(v, NULL, 10);
    else if (option(argv[i], "--time=", &v)) o.seconds = strtod(v, NULL);
    else if (option(argv[i], "--keep=", &v)) o.keep = v;
    else if (!strcmp(argv[i], "--print")) o.print = true;
    else if (!strcmp(argv[i], "--no-fork")) o.no_fork = true;
    else if (!strcmp(argv[i], "--no-shrink")) o.no_shrink = true;
    else if (!strcmp(argv[i], "--interpret")) o.interpret = true;
    else if (!strcmp(argv[i], "--no-optimise")) o.unoptimised = true;
    else if (!strcmp(argv[i], "--sums")) o.sums = true;
    else if (!strcmp(argv[i], "--latents")) o.latents = true;
    else if (!strcmp(argv[i], "--chains")) o.chains = true;
    else if (!strcmp(argv[i], "--counts")) o.counts = true;
    else if (!strcmp(argv[i], "--networks")) o.networks = true;
    else if (!strcmp(argv[i], "--structures")) o.structures = true;
    else if (!strcmp(argv[i], "--both")) o.both = true;
    else if (argv[i][0] == '-') {
      fprintf(stderr, "fuzz_models: unknown option '%s'\n", argv[i]);
      return 2;
    } else {
      o.of_files = true;
      good &= run_file(argv[i], &o);
    }
  }
  if (!o.of_files) good = run_random(&o);
  return good ? 0 : 1;
}
