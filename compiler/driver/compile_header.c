/* compile_header: the C header of a compiled model.
 *
 * It stands alone: the interface that all kernels share is copied into it, behind its own guard, so that several
 * such headers, or attn_kernel.h itself, can be included together.  Names keep their case, since q and Q may both
 * be inputs. */
#include <stdio.h>
#include <stdlib.h>

#include "base/ice.h"
#include "base/text.h"
#include "driver/compile.h"
#include "driver/embed.h"
#include "driver/measure.h"
#include "model/term.h"

typedef struct Header {
  FILE *to;
  Arena *arena;
  const Model *m;
  const Kernel *k;
  const BackOptions *o;
  const char *name; /* of the model */
  VEC(const char *) used;
} Header;

static const char *text_of(const Header *h, Sym s) { return sym_text(h->m->names, s); }

static const char *c_type(const Header *h, ElemKind kind) {
  switch (kind) {
    case ELEM_REAL: return h->o->f64 ? "double" : "float";
    case ELEM_F64: return "double";
    case ELEM_F32: return "float";
    case ELEM_F16: return "uint16_t (bits of f16)";
    case ELEM_BF16: return "uint16_t (bits of bf16)";
    case ELEM_INT:
    case ELEM_GRAPH: return "int64_t";
    case ELEM_BOOL: return "uint8_t (0 or 1)";
  }
  ICE("element kind %d", (int)kind);
}

static const char *output_type(const Header *h, const Out *o) {
  switch (measure_output_type(o, h->o->f64)) {
    case ELEMTYPE_F64: return "double";
    case ELEMTYPE_F32: return "float";
    case ELEMTYPE_I64: return "int64_t";
    case ELEMTYPE_BOOL: return "uint8_t (0 or 1)";
    case ELEMTYPE_F16:
    case ELEMTYPE_BF16:
    case ELEMTYPE_I32:
    case ELEMTYPE_U8: break;
  }
  ICE("output '%s' has a type that is never written", text_of(h, o->name));
}

static const char *input_shape(const Header *h, const Input *x) {
  const char *s = "";
  for (uint32_t k = 0; k < x->dims.n; k++)
    s = arena_printf(h->arena, "%s%s%s", s, k ? ", " : "", term_text(h->m, h->arena, x->dims.at[k]));
  return s;
}

static const char *output_shape(const Header *h, const Out *o) {
  const char *s = "";
  for (uint32_t k = 0; k < o->slots.n + o->axes.n; k++) {
    const Range *r = k < o->slots.n ? &o->slots.at[k]->range : &o->axes.at[k - o->slots.n]->range;
    const Term *n = term_op2(h->arena, OP_SUB, r->hi, r->lo, r->span);
    s = arena_printf(h->arena, "%s%s%s", s, k ? ", " : "", term_text(h->m, h->arena, n));
  }
  return s;
}

/* An enumerator's name; a graph's parts may meet an input of that name, which came first. */
static const char *unique(Header *h, const char *kind, const char *name) {
  const char *full = arena_printf(h->arena, "attn_%s_%s_%s", h->name, kind, name);
  for (uint32_t n = 0; n < h->used.n; n++)
    if (!strcmp(h->used.at[n], full)) return unique(h, kind, arena_printf(h->arena, "%s_", name));
  vec_push(h->arena, &h->used, full);
  return full;
}

static void line(Header *h, const char *kind, const char *name, uint32_t at, const char *about) {
  fprintf(h->to, "  %s = %u, /* %s */\n", unique(h, kind, name), at, about);
}

static void print_inputs(Header *h) {
  uint32_t at = 0;
  fputs("/* in[] */\nenum {\n", h->to);
  for (uint32_t k = 0; k < h->m->inputs.n; k++) {
    const Input *x = h->m->inputs.at[k];
    const char *name = text_of(h, x->name), *shape = input_shape(h, x), *type = c_type(h, x->elem);
    if (x->elem != ELEM_GRAPH) {
      line(h, "in", name, at++, x->dims.n ? arena_printf(h->arena, "%s [%s]", type, shape) : type);
      continue;
    }
    line(h, "in", arena_printf(h->arena, "%s_indptr", name), at++,
         arena_printf(h->arena, "int64_t [rows + 1] of a graph of [rows, columns] = [%s]", shape));
    line(h, "in", arena_printf(h->arena, "%s_indices", name), at++,
         arena_printf(h->arena, "int64_t [%s_nnz], columns; no row has one twice", name));
  }
  fprintf(h->to, "  attn_%s_inputs = %u\n};\n\n", h->name, at);
}

static void print_outputs(Header *h) {
  fputs("/* out[]; data may be NULL: not wanted */\nenum {\n", h->to);
  for (uint32_t k = 0; k < h->m->outs.n; k++) {
    const Out *o = h->m->outs.at[k];
    const char *shape = output_shape(h, o), *type = output_type(h, o);
    line(h, "out", text_of(h, o->name), k, *shape ? arena_printf(h->arena, "%s [%s]", type, shape) : type);
  }
  fprintf(h->to, "  attn_%s_outputs = %u\n};\n\n", h->name, h->m->outs.n);
}

static void size_line(Header *h, const char *name, uint32_t at, const char *about) {
  int64_t fixed = h->o->sizes ? h->o->sizes[at] : -1;
  if (fixed >= 0) about = arena_printf(h->arena, "%s; always %lld, else ATTN_ERROR_SIZE", about, (long long)fixed);
  line(h, "size", name, at, about);
}

static void print_sizes(Header *h) {
  uint32_t at = 0;
  fputs("/* sizes[] */\nenum {\n", h->to);
  for (; at < h->m->sizes.n; at++) size_line(h, text_of(h, h->m->sizes.at[at]->name), at, "at least 0");
  for (uint32_t k = 0; k < h->m->inputs.n; k++) {
    const Input *x = h->m->inputs.at[k];
    const char *name = text_of(h, x->name);
    if (x->elem != ELEM_GRAPH) continue;
    size_line(h, arena_printf(h->arena, "%s_nnz", name), at++,
              arena_printf(h->arena, "the length of %s_indices", name));
  }
  if (at < h->k->sizes.n) size_line(h, "seed", at++, "of draws");
  ICE_UNLESS(at == h->k->sizes.n);
  fprintf(h->to, "  attn_%s_sizes = %u\n};\n\n", h->name, at);
}

/* The kernel's name in C: attn_MODEL, which is its symbol; but a type of the interface may have that name. */
static bool is_name_of_type(const Header *h) {
  static const char *const TYPES[] = {"view", "status", "error", "pool", "kernel_fn", "workspace_fn"};
  for (size_t k = 0; k < sizeof TYPES / sizeof *TYPES; k++)
    if (!strcmp(h->name, TYPES[k])) return true;
  return false;
}

static void print_top(Header *h, const BackNeeds *needs) {
  fprintf(h->to, "/* Model '%s', compiled by attn %s.\n *\n", h->name, ATTN_VERSION);
  fprintf(h->to, " *   attn_view in[attn_%s_inputs], out[attn_%s_outputs];\n", h->name, h->name);
  fprintf(h->to, " *   int64_t sizes[attn_%s_sizes];\n", h->name);
  fprintf(h->to, " *   size_t bytes = attn_%s_workspace(sizes, threads of the pool, or 1);\n", h->name);
  fprintf(h->to, " *   int status = attn_%s%s(in, out, sizes, malloc(bytes), bytes, pool or NULL, &error or NULL);\n",
          h->name, is_name_of_type(h) ? "_" : "");
  fputs(" *\n", h->to);
  fprintf(h->to, " * Shapes follow from sizes and are not checked.  The object file links with %s;\n",
          needs->runtime ? "libattn_rt.a and -lm" : needs->libm ? "-lm" : "nothing else");
  fprintf(h->to, " * the shared object has the runtime in it. */\n#ifndef ATTN_MODEL_%s_H\n#define ATTN_MODEL_%s_H\n\n",
          h->name, h->name);
}

static void print_header(Header *h, const BackNeeds *needs) {
  print_top(h, needs);
  fwrite(embed_header_begin, 1, (size_t)(embed_header_end - embed_header_begin), h->to);
  fputs("\n", h->to);
  print_inputs(h);
  print_outputs(h);
  print_sizes(h);
  fputs("#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n", h->to);
  bool taken = is_name_of_type(h);
  if (taken) fprintf(h->to, "/* The symbol is attn_%s, which is the name of a type above. */\n", h->name);
  fprintf(h->to,
          "int attn_%s%s(const attn_view *in, attn_view *out, const int64_t *sizes, void *workspace, size_t "
          "workspace_bytes,\n"
          "    attn_pool *pool, attn_error *err)%s;\n",
          h->name, taken ? "_" : "", taken ? arena_printf(h->arena, " __asm__(\"attn_%s\")", h->name) : "");
  fprintf(h->to, "size_t attn_%s_workspace(const int64_t *sizes, int threads);\n\n", h->name);
  fputs("#ifdef __cplusplus\n}\n#endif\n\n#endif\n", h->to);
}

const char *compile_header(Arena *arena, const Model *m, const Kernel *k, const BackOptions *o,
                           const BackNeeds *needs) {
  Text *text = text_open(arena);
  Header h = {.to = text->to, .arena = arena, .m = m, .k = k, .o = o, .name = sym_text(m->names, m->name)};
  print_header(&h, needs);
  return text_close(text, NULL);
}
