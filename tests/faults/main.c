/* faults: everything that can fail fails once.
 *
 *   faults FOLDER [CASE...]      a folder for files, which must not exist yet; cases by name, else all
 *
 * Whole commands, and a program that uses the library, run in child processes in which the first, the second, the third
 * .. call of a kind fails, until a run meets no fault.  Each must end by itself in time, with status 0 and the right
 * result, or 1 and a message; leak nothing; and leave the result of before, or a whole new one, and no other file. */
#define _DEFAULT_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "library.h"

/* A sanitizer that finds something ends with a status that is nobody else's. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "exitcode=99:quarantine_size_mb=16:malloc_context_size=8"; }

int attn_main(int argc, char **argv); /* main of the command */

enum { WORDS = 16, SECONDS = 60, TEXT = 1 << 16, RUNS_MOST = 3000 };

typedef struct Case {
  const char *name;
  char *word[WORDS];   /* of a command; none: the library */
  const char *result;  /* a file it makes; NULL: its standard output is all */
} Case;

static Case cases[] = {
    {"check", {"attn", "check", "model.attn"}, NULL},
    {"explain", {"attn", "explain", "model.attn", "N=8", "D=2"}, NULL},
    {"info", {"attn", "info", "--json", "model.attn"}, NULL},
    {"fmt", {"attn", "fmt", "loose.attn"}, "loose.attn"},
    {"run",
     {"attn", "run", "model.attn", "q=q.npy", "k=q.npy", "--precision=f64", "--no-cache", "--threads=2", "-o", "o.npy"},
     "o.npy"},
    {"run cached", {"attn", "run", "model.attn", "q=q.npy", "k=q.npy", "--precision=f64", "-o", "o.npy"}, "o.npy"},
    {"verify", {"attn", "verify", "model.attn", "--trials=2", "--precision=f64", "--no-cache"}, NULL},
    {"compile",
     {"attn", "compile", "model.attn", "-o", "made", "--emit=obj,header", "--target-cpu=x86-64-v2", "--no-tiles"},
     "made.h"},
    {"library", {NULL}, NULL},
};
enum { CASES = sizeof cases / sizeof *cases };

static const char *const kind_name[FAULT_KINDS] = {"nothing", "memory", "read", "write", "file", "single bytes"};

static const char model[] =
    "model m(N, D) {\n"
    "  data q: [N, D], k: [N, D]\n\n"
    "  for i in N {\n"
    "    edge phi in N\n"
    "    potential exp(dot(q[i], k[phi]))\n"
    "    out o[i] = E[k[phi]]\n"
    "  }\n"
    "}\n";

static const char loose[] = "model m(N){data q:[N]\nfor i in N{out o[i]=q[i]}}\n";

static long failures, runs;
static bool *came; /* shared with the child */

/* ---- files ----------------------------------------------------------------------------------------------------- */

static void put(const char *path, const void *bytes, size_t n) {
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) {
    perror(path);
    exit(2);
  }
}

static size_t get(const char *path, char *to) {
  FILE *f = fopen(path, "rb");
  if (!f) return *to = 0;
  size_t n = fread(to, 1, TEXT - 1, f);
  fclose(f);
  to[n] = 0;
  return n;
}

static void put_array(const char *path) {
  static char file[128 + 6 * sizeof(double)] = "\x93NUMPY\x01\x00\x76";
  static const double x[6] = {1, -2, 0.5, 3, -1, 0.25};
  int n = snprintf(file + 10, 118, "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }");
  memset(file + 10 + n, ' ', (size_t)(117 - n));
  file[127] = '\n';
  memcpy(file + 128, x, sizeof x);
  put(path, file, sizeof file);
}

static void make_files(void) {
  put("model.attn", model, sizeof model - 1);
  put("loose.attn", loose, sizeof loose - 1);
  put_array("q.npy");
}

/* Files that nobody asked for. */
static bool is_known(const char *name) {
  static const char *const known[] = {".",      "..",     "model.attn", "loose.attn", "q.npy", "cache",
                                      "stdout", "stderr", "o.npy",      "made.o",     "made.h"};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (!strcmp(name, known[i])) return true;
  return false;
}

static const char *stray_file(void) {
  static char name[256];
  DIR *d = opendir(".");
  *name = 0;
  for (struct dirent *e; d && (e = readdir(d));)
    if (!is_known(e->d_name)) snprintf(name, sizeof name, "%s", e->d_name);
  if (d) closedir(d);
  return *name ? name : NULL;
}

/* ---- a run ------------------------------------------------------------------------------------------------------ */

static void child(const Case *c, FaultKind kind, long n) {
  if (!freopen("stdout", "w", stdout) || !freopen("stderr", "w", stderr)) _exit(2);
  alarm(SECONDS);
  int words = 0;
  while (c->word[words]) words++;
  fault_begin(kind, n);
  int status = words ? attn_main(words, (char **)c->word) : library_run();
  *came = fault_came();
  fault_begin(FAULT_NONE, 0);
  exit(status);
}

static void failed(const Case *c, FaultKind kind, long n, const char *what) {
  static char text[TEXT];
  get("stderr", text);
  printf("FAILED %s, %s %ld: %s\n%.3000s\n", c->name, kind_name[kind], n, what, text);
  failures++;
}

static int run(const Case *c, FaultKind kind, long n) {
  int status = 0;
  fflush(NULL);
  *came = true; /* a child that leaves otherwise, for want of memory, does so by a fault */
  runs++;
  pid_t pid = fork();
  if (pid < 0) exit(2);
  if (pid == 0) child(c, kind, n);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  return status;
}

typedef struct Outcome { char text[TEXT], file[TEXT]; size_t n; } Outcome;

static void take(const Case *c, Outcome *o) {
  get("stdout", o->text);
  o->n = c->result ? get(c->result, o->file) : 0;
}

static bool same(const Outcome *a, const Outcome *b) { return a->n == b->n && !memcmp(a->file, b->file, a->n); }

static void judge(const Case *c, FaultKind kind, long n, int status, const Outcome *before, const Outcome *right) {
  static Outcome now;
  static char told[TEXT];
  const char *stray = stray_file();
  take(c, &now);
  get("stderr", told);
  if (!WIFEXITED(status)) failed(c, kind, n, "ended by a signal");
  else if (WEXITSTATUS(status) == 99 || strstr(told, "runtime error:"))
    failed(c, kind, n, "memory is lost, or misused");
  else if (WEXITSTATUS(status) > 1) failed(c, kind, n, "a status that is neither 0 nor 1");
  else if (WEXITSTATUS(status) == 1 && !*told) failed(c, kind, n, "status 1 without a message");
  else if (WEXITSTATUS(status) == 0 && (!same(&now, right) || strcmp(now.text, right->text)))
    failed(c, kind, n, "another result");
  else if (!same(&now, right) && !same(&now, before)) failed(c, kind, n, "half a file");
  else if (kind == FAULT_BYTES && WEXITSTATUS(status)) failed(c, kind, n, "short reads and writes are no failure");
  if (stray) failed(c, kind, n, stray), remove(stray);
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static void begin(const Case *c) {
  make_files();
  if (c->result && strcmp(c->result, "loose.attn")) put(c->result, "before", 6);
  if (system("rm -rf cache")) exit(2);
}

static void try_kind(const Case *c, FaultKind kind, const Outcome *right) {
  static Outcome before;
  for (long n = 1; n < RUNS_MOST; n++) {
    begin(c);
    take(c, &before);
    int status = run(c, kind, n);
    judge(c, kind, n, status, &before, right);
    if (!*came || kind == FAULT_BYTES) {
      printf("%s, %s: %ld\n", c->name, kind_name[kind], n - 1);
      return;
    }
  }
  failed(c, kind, RUNS_MOST, "no end of faults");
}

static void try_case(const Case *c) {
  static Outcome right;
  begin(c);
  int status = run(c, FAULT_NONE, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status)) return failed(c, FAULT_NONE, 0, "fails without a fault");
  take(c, &right);
  for (FaultKind k = FAULT_MEMORY; k < FAULT_KINDS; k++) try_kind(c, k, &right);
}

static bool is_wanted(const Case *c, int n, char **names) {
  for (int i = 0; i < n; i++)
    if (!strcmp(c->name, names[i])) return true;
  return !n;
}

int main(int argc, char **argv) {
  if (argc < 2 || mkdir(argv[1], 0700) || chdir(argv[1])) {
    fprintf(stderr, "usage: faults FOLDER [CASE...]: a new one\n");
    return 2;
  }
  came = mmap(NULL, sizeof *came, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char folder[TEXT];
  if (came == MAP_FAILED || !getcwd(folder, TEXT - 7)) return 2;
  setenv("XDG_CACHE_HOME", strcat(folder, "/cache"), 1);
  for (int i = 0; i < CASES; i++)
    if (is_wanted(&cases[i], argc - 2, argv + 2)) try_case(&cases[i]);
  printf("%ld runs, %ld failed\n", runs, failures);
  return failures || !runs;
}
