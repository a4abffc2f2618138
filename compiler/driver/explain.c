/* attn explain, and the plan alone for attn dump. */
#include "driver/explain.h"
#include "driver/network.h"

#include "back/back.h"
#include "driver/bind.h"
#include "explain/explain.h"
#include "infer/derive.h"
#include "ir/pass.h"
#include "model/term.h"
#include "tile/tile.h"

static const char *text_of(const Model *m, Sym s) { return sym_text(m->names, s); }

static const char *domain_text(Arena *arena, const Model *m, const Edge *e) {
  switch (e->domain) {
  case DOMAIN_BIT: return "bit";
  case DOMAIN_TREE:
    return arena_printf(arena, "tree(%s%s)", term_text(m, arena, e->n), e->many_roots ? ", roots = any" : "");
  case DOMAIN_PROJECTIVE_TREE: return arena_printf(arena, "projective_tree(%s)", term_text(m, arena, e->n));
  case DOMAIN_PERMUTATION: return arena_printf(arena, "permutation(%s)", term_text(m, arena, e->n));
  case DOMAIN_MATCHING:
    return arena_printf(arena, "matching(%s, %s)", term_text(m, arena, e->m), term_text(m, arena, e->n));
  case DOMAIN_RANGE: break;
  }
  if (e->range.kind == RANGE_ROW)
    return arena_printf(arena, "%s[%s]", text_of(m, e->range.graph->name), term_text(m, arena, e->range.row));
  return arena_printf(arena, "%s..%s", term_text(m, arena, e->range.lo), term_text(m, arena, e->range.hi));
}

static const char *plates_text(Arena *arena, const Model *m, const IndexVec *plates) {
  const char *text = "";
  for (uint32_t k = 0; k < plates->n; k++)
    text = arena_printf(arena, "%s%s%s", text, k ? ", " : "", text_of(m, plates->at[k]->name));
  return plates->n ? arena_printf(arena, "[%s]", text) : "";
}

static void print_edge(Arena *arena, const Model *m, const Edge *e, FILE *to) {
  fprintf(to, "  edge %s%s in %s", text_of(m, e->name), plates_text(arena, m, &e->plates), domain_text(arena, m, e));
  if (e->or_none) fputs(" or none", to);
  if (e->where) fprintf(to, " where %s", term_text(m, arena, e->where));
  fprintf(to, "; prior %s\n", e->prior ? dist_name(e->prior->dist) : "uniform over its support");
}

static void print_tree(const Model *m, const Node *n, int depth, FILE *to) {
  fprintf(to, "  %*ssum over %s: %u factor%s\n", 2 * depth, "", text_of(m, n->edge->name), n->factors.n,
          n->factors.n == 1 ? "" : "s");
  for (uint32_t k = 0; k < n->children.n; k++) print_tree(m, n->children.at[k], depth + 1, to);
}

static void print_component(Arena *arena, const Model *m, const Component *c, FILE *to) {
  fprintf(to, "component %u: ", c->id);
  for (uint32_t k = 0; k < c->edges.n; k++) fprintf(to, "%s%s", k ? ", " : "", text_of(m, c->edges.at[k]->name));
  fprintf(to, "%s%s\n", c->plates.n ? ", one for each " : "", plates_text(arena, m, &c->plates));
  if (c->root) print_tree(m, c->root, 0, to);
}

void explain_plan(Arena *arena, const Plan *p, FILE *to) {
  const Model *m = p->model;
  if (m->edges.n) fputs("edges\n", to);
  for (uint32_t k = 0; k < m->edges.n; k++) print_edge(arena, m, m->edges.at[k], to);
  for (uint32_t k = 0; k < p->components.n; k++) print_component(arena, m, p->components.at[k], to);
  for (uint32_t k = 0; k < p->refusals.n; k++) fprintf(to, "not compiled: %s\n", p->refusals.at[k].text);
}

static void tell(const Refusal *r, Diags *to) {
  Diag *d = diag_error(to, r->span, "%s", r->text);
  if (r->hint) diag_hint(to, d, "%s", r->hint);
}

void explain_refusals(const Plan *p, Diags *to) {
  for (uint32_t i = 0; i < p->refusals.n; i++) tell(&p->refusals.at[i], to);
}

void explain_errors(const Plan *p, Diags *to) {
  for (uint32_t i = 0; i < p->refusals.n; i++)
    if (p->refusals.at[i].wrong) tell(&p->refusals.at[i], to);
}

static const char *why_scalar(const Options *o) {
  if (o->no_tiles) return "--no-tiles asks for that";
  if (o->f64) return "--precision=f64 asks for that: tiles are f32";
  return "the processor has no fused multiply-add";
}

/* The sizes of a kernel begin with the model's; the others are not known before there are inputs. */
static const int64_t *kernel_sizes(Arena *arena, const Kernel *k, const int64_t *given, uint32_t ngiven) {
  int64_t *sizes = NEW_ARRAY(arena, int64_t, k->sizes.n + 1);
  for (uint32_t n = 0; n < k->sizes.n; n++) sizes[n] = n < ngiven ? given[n] : -1;
  return sizes;
}

/* k: as derived.  The workspace is that of the kernel which is compiled, with all its orders of sums and ways of
 * messages.
 */
static ExplainBuild build_of(const Driver *d, const Model *m, const Kernel *k, const int64_t *given, uint32_t ngiven) {
  const Options *o = &d->options;
  const Kernel *first = ir_run_passes_with(d->arena, k, &(PassOptions){.reassociate = REASSOCIATE_NEVER}, NULL);
  const Kernel *compiled = derive_kernel(d->arena, plan_model(d->arena, m));
  const Kernel *whole = ir_run_passes_with(d->arena, compiled, &(PassOptions){.reassociate = o->reassociate}, NULL);
  BackOptions options = {.f64 = o->f64, .cpu = o->cpu, .optimise = true, .tile = !o->no_tiles};
  options.sizes = kernel_sizes(d->arena, whole, given, ngiven);
  ExplainBuild build = {.k = first, .scalar = why_scalar(o)};
  BackWorkspace w;
  if (back_workspace(d->arena, whole, &options, &w, &build.scalar))
    build.tiles = back_tile_plan(d->arena, first, &options);
  if (build.tiles) build.k = build.tiles->k;
  build.shared = w.shared, build.each = w.each;
  return build;
}

static const char *const *words_of(Arena *arena, const Plan *p, const int64_t *sizes) {
  const char **words = NEW_ARRAY(arena, const char *, p->components.n + 1);
  Known known = constant_known(arena, p->model, sizes);
  for (uint32_t i = 0; i < p->components.n; i++) {
    const Component *c = p->components.at[i];
    if (c->network && c->network->parts.at[0] == c) words[c->id] = network_words(arena, p, c->network, &known);
  }
  return words;
}

int verb_explain(Driver *d) {
  Chosen c;
  Inputs in;
  int status;
  const WordVec *words = &d->options.words;
  if (!load_model(d, &c, &status)) return status;
  status = bind_inputs(d->arena, c.model, d->options.f64, words->at + c.used, words->n - c.used, BIND_SIZES, &in);
  if (status) return status;
  Plan *p = plan_model(d->arena, c.model);
  p->both_ways = -1;                                             /* one way after the other is told more easily */
  Kernel *k = p->refusals.n ? NULL : derive_kernel(d->arena, p); /* what it cannot express becomes a refusal */
  ExplainBuild build = {.shared = -1, .each = -1};
  if (k) build = build_of(d, c.model, k, in.sizes, c.model->sizes.n);
  if (!p->refusals.n) build.networks = words_of(d->arena, p, in.sizes);
  if (k) k = ir_run_passes_with(d->arena, k, &(PassOptions){.as_derived = true}, NULL);
  return explain_model(c.model, p, k, in.sizes, &build, d->options.json, stdout)
             ? STATUS_DONE
             : wrong("cannot write the explanation");
}
