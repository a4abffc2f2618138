/* report: the explanation as JSON, and the choice between the two. */
#include "explain/along.h"
#include "explain/report.h"

#include <math.h>

#include "explain/explain.h"
#include "explain/formula.h"
#include "base/json.h"
#include "explain/live.h"
#include "explain/passes.h"
#include "model/term.h"

static const char *name(const Facts *f, Sym s) { return sym_text(f->m->names, s); }

static void write_place(Json *j, const Facts *f, Span span) {
  Place at = source_place(f->m->source, span.lo);
  json_real(j, "line", at.line);
  json_real(j, "column", at.column);
}

static void write_poly(Json *j, Facts *f, const char *key, const Poly *p) {
  json_open(j, key, '{');
  json_string(j, "formula", poly_text(&f->polys, p));
  json_real(j, "value", poly_value(&f->polys, p));
  json_close(j, '}');
}

static void write_indices(Json *j, const Facts *f, const char *key, const IndexVec *v) {
  json_open(j, key, '[');
  for (uint32_t i = 0; i < v->n; i++) {
    json_open(j, NULL, '{');
    json_string(j, "name", name(f, v->at[i]->name));
    json_string(j, "range", range_text(f, &v->at[i]->range));
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void write_texts(Json *j, const char *key, const TextVec *v) {
  json_open(j, key, '[');
  for (uint32_t i = 0; i < v->n; i++) json_string(j, NULL, v->at[i]);
  json_close(j, ']');
}

/* ---- the graph --------------------------------------------------------------------------------------------------- */

static void write_sizes(Json *j, const Facts *f) {
  json_open(j, "sizes", '{');
  for (uint32_t i = 0; i < f->m->sizes.n; i++) {
    bool known = f->sizes && f->sizes[i] >= 0;
    json_real(j, name(f, f->m->sizes.at[i]->name), known ? (double)f->sizes[i] : (double)NAN);
  }
  json_close(j, '}');
}

static void write_inputs(Json *j, const Facts *f) {
  static const char *const ELEMS[] = {"real", "f64", "f32", "f16", "bf16", "int", "bool", "graph"};
  json_open(j, "inputs", '[');
  for (uint32_t i = 0; i < f->m->inputs.n; i++) {
    const Input *in = f->m->inputs.at[i];
    json_open(j, NULL, '{');
    json_string(j, "name", name(f, in->name));
    json_string(j, "kind", in->is_param ? "param" : "data");
    json_string(j, "type", ELEMS[in->elem]);
    json_open(j, "shape", '[');
    for (uint32_t d = 0; d < in->dims.n; d++) json_string(j, NULL, plain_text(f, in->dims.at[d], NULL));
    json_close(j, ']');
    json_string(j, "default", in->init ? plain_text(f, in->init, NULL) : NULL);
    json_close(j, '}');
  }
  json_close(j, ']');
}

/* Every plate once, in the order in which edges and outputs bring them. */
static void write_plates(Json *j, const Facts *f) {
  IndexVec all = {0};
  for (uint32_t i = 0; i < f->m->edges.n + f->m->outs.n; i++) {
    const IndexVec *v = i < f->m->edges.n ? &f->m->edges.at[i]->plates : &f->m->outs.at[i - f->m->edges.n]->plates;
    for (uint32_t k = 0; k < v->n; k++) {
      bool seen = false;
      for (uint32_t n = 0; n < all.n; n++) seen |= all.at[n] == v->at[k];
      if (!seen) vec_push(f->arena, &all, v->at[k]);
    }
  }
  write_indices(j, f, "plates", &all);
}

static void write_live(Json *j, const Facts *f, const Edge *e) {
  Live live;
  bool known = f->sizes && live_is_countable(e) && live_count(f->m, e, f->sizes, &live);
  json_real(j, "live_pairs", known ? (double)live.admitted : (double)NAN);
  json_real(j, "live_share", known && live.visited ? (double)live.admitted / (double)live.visited : (double)NAN);
}

static void write_edges(Json *j, const Facts *f) {
  static const char *const DOMAINS[] = {"range", "bit", "tree", "projective_tree", "permutation", "matching"};
  json_open(j, "edges", '[');
  for (uint32_t i = 0; i < f->m->edges.n; i++) {
    const Edge *e = f->m->edges.at[i];
    json_open(j, NULL, '{');
    json_string(j, "name", name(f, e->name));
    write_indices(j, f, "plates", &e->plates);
    json_string(j, "domain", DOMAINS[e->domain]);
    json_string(j, "range", e->domain == DOMAIN_RANGE ? range_text(f, &e->range) : NULL);
    json_bool(j, "or_none", e->or_none);
    json_string(j, "where", e->where ? plain_text(f, e->where, NULL) : NULL);
    json_string(j, "prior", prior_text(f, e));
    json_string(j, "infer", e->infer ? infer_text(f, e->infer) : "exact");
    write_live(j, f, e);
    write_place(j, f, e->span);
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void write_latents(Json *j, const Facts *f) {
  json_open(j, "latents", '[');
  for (uint32_t i = 0; i < f->m->latents.n; i++) {
    const Latent *z = f->m->latents.at[i];
    json_open(j, NULL, '{');
    json_string(j, "name", name(f, z->name));
    json_string(j, "infer", z->infer ? infer_text(f, z->infer) : NULL);
    write_place(j, f, z->span);
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void write_weights(Json *j, const Facts *f) {
  static const char *const KINDS[] = {"prior", "potential", "observe", "require"};
  json_open(j, "weights", '[');
  for (uint32_t i = 0; i < f->m->weights.n; i++) {
    const Weight *w = f->m->weights.at[i];
    json_open(j, NULL, '{');
    json_string(j, "kind", KINDS[w->kind]);
    json_string(j, "text", w->value ? plain_text(f, w->value, NULL) : weight_text(f, w));
    write_indices(j, f, "plates", &w->plates);
    write_place(j, f, w->span);
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void write_outputs(Json *j, const Facts *f) {
  static const char *const TYPES[] = {"bool", "int", "real"};
  json_open(j, "outputs", '[');
  for (uint32_t i = 0; i < f->m->outs.n; i++) {
    const Out *o = f->m->outs.at[i];
    json_open(j, NULL, '{');
    json_string(j, "name", name(f, o->name));
    json_string(j, "type", TYPES[o->type]);
    write_indices(j, f, "indices", &o->slots);
    write_indices(j, f, "axes", &o->axes);
    json_string(j, "text", plain_text(f, o->value, NULL));
    json_string(j, "formula", out_text(f, o));
    json_close(j, '}');
  }
  json_close(j, ']');
}

/* ---- the derivation ---------------------------------------------------------------------------------------------- */

static void write_order(Json *j, const Facts *f, const char *key, const Node *n) {
  json_open(j, key, '{');
  json_string(j, "edge", name(f, n->edge->name));
  json_open(j, "inside", '[');
  for (uint32_t i = 0; i < n->children.n; i++) write_order(j, f, NULL, n->children.at[i]);
  json_close(j, ']');
  json_close(j, '}');
}

static void write_along(Json *j, const Facts *f, const Component *c) {
  Along a = along_of(f, c);
  json_open(j, "chain", '{');
  json_string(j, "along", a.step);
  write_texts(j, "joined", &a.joined);
  write_texts(j, "state", &a.state);
  write_texts(j, "counts", &a.counts);
  json_string(j, "work", a.work);
  json_string(j, "kept", a.kept);
  json_close(j, '}');
}

static void write_components(Json *j, const Facts *f) {
  json_open(j, "components", '[');
  for (uint32_t i = 0; i < f->plan->components.n; i++) {
    const Component *c = f->plan->components.at[i];
    Posterior p = posterior_of(f, c);
    json_open(j, NULL, '{');
    json_open(j, "edges", '[');
    for (uint32_t k = 0; k < c->edges.n; k++) json_string(j, NULL, name(f, c->edges.at[k]->name));
    json_close(j, ']');
    Along a = {0};
    if (c->chain) a = along_of(f, c);
    write_indices(j, f, "parallel", c->chain ? &a.beside : &c->plates);
    json_string(j, "posterior", p.left);
    write_texts(j, "factors", &p.factors);
    json_string(j, "values", p.values);
    json_string(j, "log_z", p.log_z);
    json_string(j, "infer", c->infer ? infer_text(f, c->infer) : "exact");
    if (c->chain) write_along(j, f, c);
    if (c->root) write_order(j, f, "order", c->root);
    else json_string(j, "order", NULL);
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void write_cost(Json *j, Facts *f) {
  json_open(j, "cost", '{');
  write_poly(j, f, "flops", &f->cost.contraction);
  write_poly(j, f, "arithmetic", &f->cost.arithmetic);
  write_poly(j, f, "divisions", &f->cost.division);
  write_poly(j, f, "transcendental", &f->cost.transcendental);
  write_poly(j, f, "selections", &f->cost.selection);
  json_open(j, "contractions", '[');
  for (uint32_t i = 0; i < f->items.n; i++) {
    json_open(j, NULL, '{');
    json_string(j, "what", f->items.at[i].what);
    write_poly(j, f, "flops", &f->items.at[i].flops);
    json_close(j, '}');
  }
  json_close(j, ']');
  json_bool(j, "at_most", f->is_bound || f->is_masked);
  write_poly(j, f, "bytes_read", &f->bytes_read);
  write_poly(j, f, "bytes_written", &f->bytes_written);
  json_open(j, "symbols", '{');
  for (uint32_t i = 0; i < f->legends.n; i++) json_string(j, f->legends.at[i].symbol, f->legends.at[i].meaning);
  json_close(j, '}');
  json_close(j, '}');
}

static void write_memory(Json *j, Facts *f) {
  bool pairwise = false;
  json_open(j, "memory", '{');
  write_poly(j, f, "bytes_kept", &f->bytes_kept);
  write_poly(j, f, "row_numbers", &f->row_numbers);
  json_open(j, "arrays", '[');
  for (uint32_t i = 0; i < f->kept.n; i++) {
    const Kept *k = &f->kept.at[i];
    pairwise |= k->is_pairwise;
    json_open(j, NULL, '{');
    json_string(j, "name", k->name);
    json_string(j, "kind", k->let ? "derived" : "each");
    json_string(j, "value", k->what);
    write_poly(j, f, "elements", &k->elements);
    write_poly(j, f, "bytes", &k->bytes);
    json_bool(j, "pairwise", k->is_pairwise);
    json_close(j, '}');
  }
  json_close(j, ']');
  json_bool(j, "stores_pairwise", pairwise);
  workspace_json(f, j);
  json_close(j, '}');
}

static void write_hoisted(Json *j, const Facts *f) {
  json_open(j, "hoisted", '[');
  for (uint32_t i = 0; i < f->hoists.n; i++) {
    json_open(j, NULL, '{');
    json_string(j, "value", f->hoists.at[i].what);
    json_string(j, "computed", f->hoists.at[i].where);
    json_string(j, "used_for_every", f->hoists.at[i].used);
    json_bool(j, "reduction", f->hoists.at[i].is_reduction);
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void write_orders(Json *j, Facts *f) {
  static const char *const SUPPORTS[] = {"all", "prefix", "suffix"};
  json_open(j, "orders", '[');
  for (uint32_t i = 0; i < f->orders.n; i++) {
    const Order *o = &f->orders.at[i];
    json_open(j, NULL, '{');
    json_string(j, "edge", name(f, o->edge->name));
    json_string(j, "refused", o->why);
    json_string(j, "support", o->why ? NULL : SUPPORTS[o->support]);
    json_string(j, "chunk", o->chunk);
    write_poly(j, f, "direct", &o->direct);
    write_poly(j, f, "reassociated", &o->reordered);
    write_poly(j, f, "kept_numbers", &o->numbers);
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void write_fused(Json *j, Facts *f) {
  json_open(j, "fused", '[');
  for (uint32_t i = 0; i < f->streams.n; i++) {
    const Stream *s = &f->streams.at[i];
    json_open(j, NULL, '{');
    json_string(j, "edge", name(f, s->edge->name));
    json_string(j, "under", s->under);
    write_poly(j, f, "values", &s->trips);
    write_poly(j, f, "runs", &s->runs);
    json_open(j, "carries", '[');
    for (uint32_t k = 0; k < s->loop->accs.n; k++) json_string(j, NULL, s->carries[k]);
    json_close(j, ']');
    json_open(j, "outputs", '[');
    for (uint32_t k = 0; k < f->m->outs.n; k++)
      if (s->feeds[k]) json_string(j, NULL, name(f, f->m->outs.at[k]->name));
    json_close(j, ']');
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void write_refusals(Json *j, const Facts *f) {
  json_open(j, "refusals", '[');
  for (uint32_t i = 0; i < f->plan->refusals.n; i++) {
    const Refusal *r = &f->plan->refusals.at[i];
    json_open(j, NULL, '{');
    json_string(j, "text", r->text);
    json_string(j, "hint", r->hint);
    write_place(j, f, r->span);
    json_close(j, '}');
  }
  json_close(j, ']');
}

static void explain_json(Facts *f, FILE *to) {
  Json j = {.to = to};
  json_open(&j, NULL, '{');
  json_string(&j, "model", name(f, f->m->name));
  json_bool(&j, "compiled", f->k != NULL);
  write_sizes(&j, f);
  write_inputs(&j, f);
  write_plates(&j, f);
  write_edges(&j, f);
  write_latents(&j, f);
  write_weights(&j, f);
  write_components(&j, f);
  write_outputs(&j, f);
  write_cost(&j, f);
  write_memory(&j, f);
  write_hoisted(&j, f);
  write_fused(&j, f);
  passes_json(f, &j);
  write_orders(&j, f);
  write_refusals(&j, f);
  json_close(&j, '}');
}

bool explain_model(const Model *m, const Plan *plan, const Kernel *k, const int64_t *sizes, const ExplainBuild *build,
                   bool json, FILE *to) {
  Facts *f = facts_of(plan->arena, m, plan, k, sizes);
  if (k && build) f->build = build, f->built = facts_of(plan->arena, m, plan, build->k, sizes);
  if (json) explain_json(f, to);
  else explain_text(f, to);
  return !ferror(to);
}
