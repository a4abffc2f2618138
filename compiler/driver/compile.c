/* attn compile: a model as a native library.
 *
 * Everything is made in memory before anything is written, and every file is written aside and renamed. */
#include "driver/compile.h"

#include <errno.h>
#include <stdlib.h>

#include "driver/execute.h"
#include "driver/file.h"
#include "ir/pass.h"

typedef enum { EMIT_SHARED, EMIT_OBJ, EMIT_HEADER, EMIT_ASM, EMIT_LLVM, EMITS } Emitted;
static const char *const emit_name[EMITS] = {"shared", "obj", "header", "asm", "llvm"};
static const char *const emit_suffix[EMITS] = {".so", ".o", ".h", ".s", ".ll"};

typedef struct Piece { const void *bytes; size_t n; } Piece;

typedef struct Build {
  Driver *d;
  Chosen chosen;
  Inputs in;
  bool wanted[EMITS];
  Kernel *kernel;
  BackOptions options;
  BackNeeds needs;
  Piece piece[EMITS];
} Build;

/* ---- what is asked for ------------------------------------------------------------------------------------ */

static bool want(Build *b, const char *word, size_t n) {
  for (int k = 0; k < EMITS; k++)
    if (strlen(emit_name[k]) == n && !memcmp(emit_name[k], word, n)) return b->wanted[k] = true;
  return false;
}

static int read_emit_list(Build *b) {
  const Options *o = &b->d->options;
  bool here = back_target_is_host(o->target);
  const char *at = o->emit ? o->emit : here ? "shared,obj,header" : "obj,header";
  for (size_t n; ; at += n + 1) {
    n = strcspn(at, ",");
    if (!want(b, at, n)) {
      usage_error("--emit wants a list of shared, obj, header, asm, llvm; found '%.*s'", (int)(n < 200 ? n : 200), at);
      return STATUS_USAGE;
    }
    if (!at[n]) break;
  }
  if (!b->wanted[EMIT_SHARED] || here) return STATUS_DONE;
  wrong("no shared object is linked for '%s' on this machine", o->target);
  hint("write --emit=obj,header, and link with that target's own compiler");
  return STATUS_WRONG;
}

static const int64_t *fixed_sizes(const Build *b, const Kernel *k) {
  int64_t *fixed = NEW_ARRAY(b->d->arena, int64_t, k->sizes.n);
  bool any = false;
  for (uint32_t n = 0; n < k->sizes.n; n++) {
    fixed[n] = n < b->chosen.model->sizes.n ? b->in.sizes[n] : -1;
    any = any || fixed[n] >= 0;
  }
  return any ? fixed : NULL;
}

/* Suffixes are put behind the stem: behind that of a folder they would make hidden files. */
static int check_stem(const char *stem) {
  const char *slash = strrchr(stem, '/'), *last = slash ? slash + 1 : stem;
  if (*last && strcmp(last, ".") && strcmp(last, "..")) return STATUS_DONE;
  wrong("'-o %s' names a folder; the files are STEM.so, STEM.o and STEM.h", stem);
  hint("write -o %s%sNAME", stem, *last ? "/" : "");
  return STATUS_WRONG;
}

/* ---- making it -------------------------------------------------------------------------------------------- */

static bool derive(Build *b) {
  const Options *o = &b->d->options;
  Diags *refusals;
  Options plain = *o; /* sums are reassociated once, when the sizes that are known have their place */
  for (uint32_t n = 0; n < b->chosen.model->sizes.n; n++)
    if (b->in.sizes[n] >= 0) plain.reassociate = REASSOCIATE_NEVER;
  Kernel *k = execute_derive(b->d->arena, b->chosen.file, b->chosen.model, &plain, &refusals);
  diag_print(refusals, message_stream());
  if (!k) return false;
  b->options = (BackOptions){.f64 = o->f64,
                             .cpu = o->cpu,
                             .optimise = !o->no_optimise,
                             .tile = !o->no_tiles,
                             .triple = o->target,
                             .sizes = fixed_sizes(b, k)};
  b->options.levels = !o->cpu && back_has_levels(o->target);
  b->kernel = b->options.sizes ? execute_specialise(b->d->arena, k, o, b->options.sizes) : k;
  return true;
}

static bool emit(Build *b, Emitted what, BackForm form) {
  const char *why = "";
  Piece *p = &b->piece[what];
  char *bytes = back_emit(b->d->arena, b->kernel, &b->options, form, &p->n, &b->needs, &why);
  if (!bytes) return wrong("%s", why), false;
  p->bytes = bytes;
  return true;
}

static bool make(Build *b) {
  const bool *w = b->wanted;
  if (!emit(b, EMIT_OBJ, BACK_OBJECT)) return false;
  if (w[EMIT_ASM] && !emit(b, EMIT_ASM, BACK_ASM)) return false;
  if (w[EMIT_LLVM] && !emit(b, EMIT_LLVM, BACK_LLVM_OPTIMISED)) return false;
  if (!w[EMIT_HEADER]) return true;
  const char *text = compile_header(b->d->arena, b->chosen.model, b->kernel, &b->options, &b->needs);
  b->piece[EMIT_HEADER] = (Piece){text, strlen(text)};
  return true;
}

static bool write_piece(Build *b, Emitted what) {
  const char *path = arena_printf(b->d->arena, "%s%s", b->d->options.output, emit_suffix[what]);
  const Piece *p = &b->piece[what];
  if (what == EMIT_SHARED) return compile_link(b->d->arena, path, b->piece[EMIT_OBJ].bytes, b->piece[EMIT_OBJ].n);
  if (file_write(b->d->arena, path, p->bytes, p->n)) return true;
  wrong("cannot write '%s': %s", path, strerror(errno));
  return false;
}

static bool write_out(Build *b) {
  for (int k = 0; k < EMITS; k++)
    if (b->wanted[k] && !write_piece(b, (Emitted)k)) return false;
  return true;
}

int verb_compile(Driver *d) {
  Build b = {.d = d};
  int status;
  const Options *o = &d->options;
  if (!load_model(d, &b.chosen, &status)) return status;
  if (!o->output) return usage_error("-o STEM is missing: the files are STEM.so, STEM.o and STEM.h");
  status = read_emit_list(&b);
  if (!status) status = check_stem(o->output);
  if (status) return status;
  uint32_t used = b.chosen.used;
  status = bind_inputs(d->arena, b.chosen.model, o->f64, o->words.at + used, o->words.n - used, BIND_SIZES, &b.in);
  if (status) return status;
  double start = seconds_now();
  bool ok = derive(&b) && make(&b) && write_out(&b);
  if (ok && o->time) fprintf(stderr, "compile %.3f ms\n", 1e3 * (seconds_now() - start));
  return ok ? STATUS_DONE : STATUS_WRONG;
}
