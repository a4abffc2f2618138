/* help: the verbs, their options, and what is told about them. */
#include "back/back.h"
#include "driver/driver.h"

const Verb driver_verbs[] = {
    {"check", verb_check, OPTIONS_BUILD, "FILE...", "parse and check; print all diagnostics"},
    {"run", verb_run, OPTION_ARRAYS | OPTIONS_BUILD | OPTION_OUTPUT, "FILE [MODEL] NAME=VALUE... [-o PATH]",
     "compile a model and run it on inputs"},
    {"compile", verb_compile, OPTIONS_BUILD | OPTION_OUTPUT | OPTION_EMIT | OPTION_TARGET,
     "FILE [MODEL] [SIZE=N...] -o STEM", "make a native library"},
    {"explain", verb_explain, OPTIONS_BUILD | OPTION_JSON, "FILE [MODEL] [SIZE=N...]",
     "say how the model is summed, and what it costs"},
    {"info", verb_info, OPTIONS_BUILD | OPTION_JSON, "FILE [MODEL]", "list inputs, outputs, types, shapes, defaults"},
    {"verify", verb_verify, OPTION_ARRAYS | OPTIONS_BUILD | OPTION_TRIALS | OPTION_TOL, "FILE [MODEL] [NAME=VALUE...]",
     "compare the compiled model with plain enumeration"},
    {"bench", verb_bench, OPTION_ARRAYS | OPTIONS_BUILD | OPTION_JSON, "FILE [MODEL] NAME=VALUE...",
     "measure; inputs not given are random"},
    {"fmt", verb_fmt, OPTIONS_BUILD | OPTION_CHECK, "FILE...",
     "rewrite files in the canonical layout; '-' filters standard input"},
    {"dump", verb_dump, OPTIONS_BUILD | OPTION_AFTER, "--after=PASS FILE [MODEL]", "print the program after a step"},
    {"help", verb_help, 0, "[VERB]", "print this, or more about a verb"},
};
const uint32_t driver_verb_count = sizeof driver_verbs / sizeof *driver_verbs;

typedef struct OptionHelp { uint32_t bit; const char *usage, *about; } OptionHelp;

static const OptionHelp OPTION_HELP[] = {
    {OPTION_OUTPUT, "-o PATH", "a folder DIR/ for every output, FILE.npy for a single one; a STEM for compile"},
    {OPTION_AFTER, "--after=PASS", "parse, check, plan, derive, a pass, llvm, llvm-opt or asm"},
    {OPTION_EMIT, "--emit=LIST", "of shared, obj, header, asm, llvm (default: the first three)"},
    {OPTION_CHECK, "--check", "change nothing; exit 1 if a file would change"},
    {OPTION_JSON, "--json", "print one JSON object"},
    {OPTION_TRIALS, "--trials=N", "how many random inputs (default 20)"},
    {OPTION_TOL, "--tol=T", "tolerance at f64 (default 1e-10); at f32 it is never below 1e-5"},
    {OPTION_PRECISION, "--precision=f32|f64", "of 'real' (default f32)"},
    {OPTION_THREADS, "--threads=T", "default: all cores"},
    {OPTION_SEED, "--seed=S", "of draws (default 0)"},
    {OPTION_CPU, "--target-cpu=NAME", "default: native; compile: x86-64-v2, -v3 and -v4 in one, chosen when called"},
    {OPTION_TARGET, "--target=TRIPLE", "x86_64-linux-gnu or aarch64-linux-gnu (default: this machine)"},
    {OPTION_MAX_COST, "--max-cost=C", "largest number of weight evaluations (default 1e12)"},
    {OPTION_MAX_MEMORY, "--max-memory=GIB", "that the compiler itself may take (default 0.625)"},
    {OPTION_NO_CACHE, "--no-cache", "do not keep or use compiled kernels"},
    {OPTION_NO_TILES, "--no-tiles", "scalar code alone, also where a stream could run on register tiles"},
    {OPTION_NO_OPTIMISE, "--no-optimise", "no optimisations by LLVM: compiled in a fraction of the time, and slower"},
    {OPTION_REASSOCIATE, "--reassociate=MODE",
     "sums of products in another order: auto (by cost), never, or always, in short parts, for tests"},
    {OPTION_TIME, "--time", "print compile and run times on stderr"},
    {OPTION_OF_ALL, "--help", "print this; so does -h"},
};

const Verb *driver_find_verb(const char *name) {
  for (uint32_t i = 0; i < driver_verb_count; i++)
    if (!strcmp(driver_verbs[i].name, name)) return &driver_verbs[i];
  return NULL;
}

void driver_print_help(FILE *to) {
  fputs("attn: a probabilistic language for attention, and its compiler\n\nusage: attn VERB ...\n\n", to);
  for (uint32_t i = 0; i < driver_verb_count; i++)
    fprintf(to, "  %-8s %s\n", driver_verbs[i].name, driver_verbs[i].about);
  fputs("\n'attn help VERB' or 'attn VERB --help' says more; 'attn --version' prints versions.\n"
        "Exit status: 0 done, 1 the model or the inputs are wrong, 2 wrong usage, 3 a bug in attn.\n", to);
}

static void print_values(void) {
  puts("\nNAME=VALUE binds an input or a size:\n"
       "  q=FILE.npy                     a NumPy array\n"
       "  q=random  q=random:SEED        standard normal numbers; ints from 0, 1, 2\n"
       "  beta=0.5                       a number, true, false, inf, nan\n"
       "  N=128                          a size that no shape gives\n"
       "  adj.indptr=A.npy adj.indices=B.npy   a graph as CSR arrays\n"
       "  adj=random  adj=random:SEED    up to 16 neighbours a row");
}

void driver_print_verb(const Verb *v) {
  printf("usage: attn %s %s\n\n%s\n\noptions:\n", v->name, v->usage, v->about);
  for (uint32_t i = 0; i < sizeof OPTION_HELP / sizeof *OPTION_HELP; i++)
    if (OPTION_HELP[i].bit & (v->options | OPTION_OF_ALL))
      printf("  %-22s %s\n", OPTION_HELP[i].usage, OPTION_HELP[i].about);
  if (strstr(v->usage, "NAME=VALUE")) print_values();
}

int verb_help(Driver *d) {
  const WordVec *words = &d->options.words;
  if (!words->n) {
    driver_print_help(stdout);
    return STATUS_DONE;
  }
  const Verb *v = driver_find_verb(words->at[0]);
  if (!v) return usage_error("unknown verb '%s'; 'attn help' lists the verbs", words->at[0]);
  driver_print_verb(v);
  return STATUS_DONE;
}

int verb_version(Driver *d) {
  printf("attn %s\n%s\nhost CPU %s\n", ATTN_VERSION, back_version(), back_host_cpu(d->arena));
  return STATUS_DONE;
}
