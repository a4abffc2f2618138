/* main: the command line.  Verbs are functions of the driver; this file finds the one that is meant. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/driver.h"
#include "driver/limit.h"

static int unknown_verb(const char *word) {
  const char *names[32];
  for (uint32_t i = 0; i < driver_verb_count; i++) names[i] = driver_verbs[i].name;
  usage_error("unknown verb '%s'", word);
  const char *near = closest(word, names, driver_verb_count);
  if (near) hint("did you mean 'attn %s'?", near);
  else hint("'attn help' lists the verbs");
  return STATUS_USAGE;
}

static int run(Driver *d, int argc, char **argv) {
  if (argc < 2) {
    driver_print_help(stderr);
    return STATUS_USAGE;
  }
  const char *word = argv[1];
  if (!strcmp(word, "--version") || !strcmp(word, "-V")) return verb_version(d);
  if (!strcmp(word, "--help") || !strcmp(word, "-h")) word = "help";
  const Verb *verb = driver_find_verb(word);
  if (!verb && word[0] == '-') return usage_error("unknown option '%s'; see 'attn help'", word);
  if (!verb) return unknown_verb(word);
  int status = options_read(d->arena, &d->options, verb->name, verb->options, argc - 2, argv + 2);
  if (status) return status;
  if (d->options.help) {
    driver_print_verb(verb);
    return STATUS_DONE;
  }
  if (!(verb->options & OPTION_ARRAYS)) arena_allow(d->arena, limit_of_memory(&d->options));
  return verb->run(d);
}

/* A result that could not be written is no result. */
static int close_stdout(int status) {
  errno = 0;
  if (fflush(stdout) == 0 && !ferror(stdout)) return status;
  fprintf(stderr, "error: cannot write to standard output%s%s\n", errno ? ": " : "", errno ? strerror(errno) : "");
  return status ? status : STATUS_WRONG;
}

int main(int argc, char **argv) {
  static Arena arena;
  static jmp_buf no_memory;
  static Driver d;
  signal(SIGPIPE, SIG_IGN);
  arena_init(&arena, &no_memory);
  if (setjmp(no_memory)) {
    if (arena.over_limit) limit_of_memory_reached(&d.options);
    else wrong("out of memory");
    arena_free(&arena);
    exit(close_stdout(STATUS_WRONG));
  }
  d.arena = &arena;
  int status = close_stdout(run(&d, argc, argv));
  arena_free(&arena);
  return status;
}
