/* text: the explanation for people. */
#include <math.h>
#include <stdarg.h>

#include "explain/along.h"
#include "explain/explain.h"
#include "explain/formula.h"
#include "explain/live.h"
#include "explain/passes.h"
#include "explain/report.h"
#include "infer/bond.h"
#include "infer/network_plan.h"
#include "model/term.h"

typedef struct Text { Facts *f; FILE *to; } Text;

static const char *name(const Text *p, Sym s) { return sym_text(p->f->m->names, s); }
static const char *poly(const Text *p, const Poly *x) { return poly_text(&p->f->polys, x); }

__attribute__((format(printf, 2, 3))) static void say(const Text *p, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vfprintf(p->to, fmt, ap);
  va_end(ap);
}

static void heading(const Text *p, const char *title) { say(p, "\n%s\n", title); }

static const char *shape(const Text *p, const TermVec *dims) {
  const char *text = "";
  for (uint32_t i = 0; i < dims->n; i++)
    text = arena_printf(p->f->arena, "%s%s%s", text, i ? ", " : "", plain_text(p->f, dims->at[i], NULL));
  return text;
}

/* "i in M, j in N" */
static const char *binders(const Text *p, const IndexVec *v) {
  const char *text = "";
  for (uint32_t i = 0; i < v->n; i++)
    text = arena_printf(p->f->arena, "%s%s%s in %s", text, i ? ", " : "", name(p, v->at[i]->name),
                        range_text(p->f, &v->at[i]->range));
  return text;
}

static bool same_plates(const IndexVec *a, const IndexVec *b) {
  if (a->n != b->n) return false;
  for (uint32_t i = 0; i < a->n; i++)
    if (a->at[i] != b->at[i]) return false;
  return true;
}

/* 12345678 as 12.35 M; numbers below 10000 as they are */
static const char *number(const Text *p, double v) {
  static const struct { double at, by; const char *unit; } UNITS[] = {
      {1e15, 1e15, " P"}, {1e12, 1e12, " T"}, {1e9, 1e9, " G"}, {1e6, 1e6, " M"}, {1e4, 1e3, " k"}};
  if (!isfinite(v)) return "?";
  for (uint32_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++)
    if (fabs(v) >= UNITS[i].at) return arena_printf(p->f->arena, "%.4g%s", v / UNITS[i].by, UNITS[i].unit);
  return arena_printf(p->f->arena, "%.6g", v);
}

/* ---- the graph ------------------------------------------------------------------------------------------------- */

static void print_sizes(const Text *p) {
  const Model *m = p->f->m;
  say(p, "model %s", name(p, m->name));
  for (uint32_t i = 0; i < m->sizes.n; i++) {
    say(p, "%s%s", i ? ", " : ", sizes ", name(p, m->sizes.at[i]->name));
    if (p->f->sizes && p->f->sizes[i] >= 0) say(p, " = %lld", (long long)p->f->sizes[i]);
  }
  say(p, "\n");
}

static void print_input(const Text *p, const Input *in) {
  static const char *const ELEMS[] = {"reals", "f64",      "f32",          "f16",
                                      "bf16",  "integers", "truth values", "a sparse graph"};
  static const char *const ELEM[] = {"a real", "an f64",     "an f32",        "an f16",
                                     "a bf16", "an integer", "a truth value", "a graph"};
  say(p, "  %s %s", in->is_param ? "param" : "data ", name(p, in->name));
  if (in->dims.n) say(p, "[%s]  %s", shape(p, &in->dims), ELEMS[in->elem]);
  else say(p, "  %s", ELEM[in->elem]);
  if (in->init) say(p, ", default %s", plain_text(p->f, in->init, NULL));
  say(p, "\n");
}

static const char *let_left(const Text *p, const Let *l) {
  IndexVec all = {0};
  for (uint32_t i = 0; i < l->plates.n; i++) vec_push(p->f->arena, &all, l->plates.at[i]);
  for (uint32_t i = 0; i < l->own.n; i++) vec_push(p->f->arena, &all, l->own.at[i]);
  return all.n ? arena_printf(p->f->arena, "%s[%s]", name(p, l->name), binders(p, &all)) : name(p, l->name);
}

static void print_inputs(const Text *p) {
  const Model *m = p->f->m;
  if (m->inputs.n) heading(p, "What is observed");
  for (uint32_t i = 0; i < m->inputs.n; i++) print_input(p, m->inputs.at[i]);
  for (uint32_t i = 0; i < m->lets.n; i++) {
    const Let *l = m->lets.at[i];
    say(p, "  derived %s = %s\n", let_left(p, l), plain_text(p->f, l->value, &l->axes));
  }
}

static const char *for_every(const Text *p, const IndexVec *plates) {
  return plates->n ? arena_printf(p->f->arena, "for every %s: ", binders(p, plates)) : "once: ";
}

static void print_edge(const Text *p, const Edge *e) {
  say(p, "  %s%s, %s; prior: %s\n", for_every(p, &e->plates), name(p, e->name), support_text(p->f, e),
      prior_text(p->f, e));
}

static void print_weight(const Text *p, const Weight *w, const IndexVec *shown) {
  const char *plates = same_plates(&w->plates, shown) || !w->plates.n ? "" : for_every(p, &w->plates);
  say(p, "    %s%s\n", plates, weight_text(p->f, w));
}

static void print_latent(const Text *p, const Latent *z) {
  IndexVec all = {0};
  for (uint32_t i = 0; i < z->plates.n; i++) vec_push(p->f->arena, &all, z->plates.at[i]);
  for (uint32_t i = 0; i < z->own.n; i++) vec_push(p->f->arena, &all, z->own.at[i]);
  say(p, "  %slatent %s", for_every(p, &all), name(p, z->name));
  for (uint32_t i = 0; i < z->axes.n; i++)
    say(p, "%s%s", i ? " x " : ", a vector of ", range_text(p->f, &z->axes.at[i]->range));
  say(p, "; prior: %s; inferred by %s\n", z->priors.n ? "below" : "flat",
      z->infer ? infer_text(p->f, z->infer) : "nothing");
}

static bool is_edge_prior(const Weight *w) { return w->kind == WEIGHT_PRIOR && w->edge; }

static void print_graph(const Text *p) {
  const Model *m = p->f->m;
  heading(p, "What is latent: the connections");
  for (uint32_t i = 0; i < m->edges.n; i++) print_edge(p, m->edges.at[i]);
  for (uint32_t i = 0; i < m->latents.n; i++) print_latent(p, m->latents.at[i]);
  const IndexVec none = {0}, *shown = m->edges.n ? &m->edges.at[m->edges.n - 1]->plates : &none;
  for (uint32_t i = 0; i < m->weights.n; i++)
    if (!is_edge_prior(m->weights.at[i])) print_weight(p, m->weights.at[i], shown);
}

/* ---- formulas ---------------------------------------------------------------------------------------------------- */

static void print_posterior(const Text *p, const Component *c) {
  Posterior x = posterior_of(p->f, c);
  say(p, "  %s  is proportional to  ", x.left);
  for (uint32_t i = 0; i < x.factors.n; i++) say(p, "%s%s", i ? "\n      * " : "", x.factors.at[i]);
  say(p, "\n      for %s\n", x.values);
  say(p, "  %s\n", x.log_z);
  if (c->infer && c->infer->method != INFER_EXACT)
    say(p, "  in E and P it is replaced by %s\n", infer_text(p->f, c->infer));
}

static const char *out_left(const Text *p, const Out *o) {
  const char *text = name(p, o->name);
  for (uint32_t i = 0; i < o->slots.n; i++)
    text = arena_printf(p->f->arena, "%s%s%s", text, i ? ", " : "[", name(p, o->slots.at[i]->name));
  return o->slots.n ? arena_printf(p->f->arena, "%s]", text) : text;
}

static const char *out_shape(const Text *p, const Out *o) {
  const char *text = "";
  for (uint32_t i = 0; i < o->slots.n + o->axes.n; i++) {
    const Index *x = i < o->slots.n ? o->slots.at[i] : o->axes.at[i - o->slots.n];
    text = arena_printf(p->f->arena, "%s%s%s", text, i ? " x " : "", range_text(p->f, &x->range));
  }
  return *text ? text : "one number";
}

/* Is the output derived from chains beside the model's own (infer/twin.h)? */
static bool has_twin(const Text *p, uint32_t out) {
  const Model *m = p->f->plan->model;
  return p->f->plan->own_edges < m->edges.n && m->outs.at[out]->value != p->f->m->outs.at[out]->value;
}

static void print_formulas(const Text *p) {
  heading(p, "The posterior");
  for (uint32_t i = 0; i < p->f->plan->components.n; i++) {
    const Component *c = p->f->plan->components.at[i];
    if (c->edges.at[0]->id < p->f->plan->own_edges) print_posterior(p, c); /* others are a question's: conditioned.c */
  }
  heading(p, "What is asked of it");
  for (uint32_t i = 0; i < p->f->m->outs.n; i++) {
    const Out *o = p->f->m->outs.at[i];
    IndexVec axes = term_trailing_axes(p->f->arena, o->value, &o->axes);
    const char *asked = plain_text(p->f, o->value, &axes), *written = out_text(p->f, o);
    say(p, "  %s = %s   (%s)\n", out_left(p, o), asked, out_shape(p, o));
    if (has_twin(p, i)) say(p, "      = Z(f) / Z E_f[g], f of counts, p_f ~ p f: chains that f weighs as well\n");
    else if (strcmp(asked, written)) say(p, "      = %s\n", written);
  }
}

/* ---- the plan ---------------------------------------------------------------------------------------------------- */

static const char *factor_name(const Text *p, const Factor *f) {
  const char *edge = f->edge ? name(p, f->edge->name) : "";
  switch (f->kind) {
  case FACTOR_WEIGHT:
    if (f->is_prior) return arena_printf(p->f->arena, "the prior of %s", edge);
    return plain_text(p->f, f->weight->value ? f->weight->value : f->weight->left, NULL);
  case FACTOR_PRIOR: return arena_printf(p->f->arena, "the prior of %s", edge);
  case FACTOR_SUPPORT: return arena_printf(p->f->arena, "the support of %s", edge);
  case FACTOR_MARGINAL: return arena_printf(p->f->arena, "the marginals of %s", edge);
  case FACTOR_NORMALISER: return arena_printf(p->f->arena, "the normaliser of the prior of %s", edge);
  }
  return "?";
}

static void print_node(const Text *p, const Node *n, int indent) {
  say(p, "%*ssum over %s", indent, "", name(p, n->edge->name));
  bool first = true;
  for (uint32_t i = 0; i < n->factors.n; i++) {
    const Factor *f = n->factors.at[i];
    if (f->kind == FACTOR_PRIOR && !f->weight) continue;
    say(p, "%s%s", first ? ", of " : " * ", factor_name(p, f));
    first = false;
  }
  say(p, "%s\n", n->children.n ? ", times what is summed inside:" : "");
  for (uint32_t i = 0; i < n->children.n; i++) print_node(p, n->children.at[i], indent + 2);
}

static void print_structure(const Text *p, const Component *c) {
  const Edge *e = c->structure->edge;
  say(p, "  %s: %s", name(p, e->name),
      e->plates.n ? arena_printf(p->f->arena, "the copies (%s) are independent; within each ", binders(p, &e->plates))
                  : "");
  say(p, "the nodes are joined\n%s", family_text(p->f, c));
  for (uint32_t i = 0; i < c->constants.n; i++)
    say(p, "    %s depends on no edge: it cancels in every posterior and is counted only in log Z\n",
        factor_name(p, c->constants.at[i]));
}

static void print_list(const Text *p, const char *before, const TextVec *list) {
  say(p, "    %s", before);
  for (uint32_t i = 0; i < list->n; i++) say(p, "%s%s", i ? ", " : "", list->at[i]);
  say(p, "\n");
}

static void print_chain(const Text *p, const Component *c) {
  Along a = along_of(p->f, c);
  say(p, ": the copies along %s are joined: a chain%s\n", a.step,
      a.beside.n ? arena_printf(p->f->arena, " for every %s", binders(p, &a.beside)) : "");
  for (uint32_t i = 0; i < a.asked.n; i++) say(p, "    for what is asked, %s\n", a.asked.at[i]);
  print_list(p, "a step joins ", &a.joined);
  if (a.counts.n) print_list(p, "it counts ", &a.counts);
  print_list(p, "messages forward and backward along it are functions of ", &a.state);
  say(p, "    one pass looks at %s values and keeps %s numbers of 8 bytes%s\n", a.work, a.kept,
      c->chain->packed == NO_PLATE ? "" : arena_printf(p->f->arena, ", of all %s together",
                                                       name(p, c->plates.at[c->chain->packed]->name)));
  if (c->infer && c->infer->method == INFER_SAMPLE)
    say(p, "    all %s draws follow one pass back; each looks at the values of every copy given those before it\n",
        plain_text(p->f, c->infer->n, NULL));
}

/* Of all its edges at the first of them. */
static void print_network(const Text *p, const Component *c) {
  const Network *net = c->network;
  for (uint32_t i = 1; i < net->parts.n; i++) say(p, ", %s", name(p, net->parts.at[i]->edges.at[0]->name));
  IndexVec outer = {.at = c->plates.at, .n = net->outer};
  say(p, ": the copies are joined in a network%s\n",
      net->outer ? arena_printf(p->f->arena, " for every %s", binders(p, &outer)) : "");
  const ExplainBuild *build = p->f->build;
  if (build && build->networks && build->networks[c->id]) say(p, "%s", build->networks[c->id]);
  if (c->infer && c->infer->method == INFER_SAMPLE)
    say(p, "    all %s draws take one more such sum; each then looks at the values of every copy once\n",
        plain_text(p->f, c->infer->n, NULL));
}

static void print_component(const Text *p, const Component *c) {
  if (c->network && c->network->parts.at[0] != c) return;
  if (c->structure) {
    print_structure(p, c);
    return;
  }
  say(p, "  ");
  for (uint32_t i = 0; i < c->edges.n; i++) say(p, "%s%s", i ? ", " : "", name(p, c->edges.at[i]->name));
  if (c->chain) {
    print_chain(p, c);
    return;
  }
  if (c->network) {
    print_network(p, c);
    return;
  }
  if (c->plates.n) say(p, ": the copies (%s) are independent and run in parallel", binders(p, &c->plates));
  else say(p, ": one copy");
  say(p, "%s\n", c->edges.n > 1 ? "; within a copy these edges are joined" : "");
  if (c->root) print_node(p, c->root, 4);
  for (uint32_t i = 0; i < c->constants.n; i++)
    say(p, "    %s depends on no edge: it cancels in every posterior and is counted only in log Z\n",
        factor_name(p, c->constants.at[i]));
}

static const char *outs_of(const Text *p, const Stream *s) {
  const char *text = "";
  for (uint32_t i = 0; i < p->f->m->outs.n; i++)
    if (s->feeds[i])
      text = arena_printf(p->f->arena, "%s%s%s", text, *text ? ", " : "", name(p, p->f->m->outs.at[i]->name));
  return *text ? text : "none";
}

static void print_stream(const Text *p, const Stream *s) {
  say(p, "  %s: one pass over %s", *s->under ? arena_printf(p->f->arena, "for every %s", s->under) : "once",
      name(p, s->edge->name));
  say(p, " (%s values), for %s\n", poly(p, &s->trips), outs_of(p, s));
  for (uint32_t i = 0; i < s->loop->accs.n; i++) {
    bool said = false;
    for (uint32_t k = 0; k < i; k++) said |= !strcmp(s->carries[k], s->carries[i]);
    if (!said) say(p, "    carries %s\n", s->carries[i]);
  }
  passes_text(p->f, s, p->to);
}

static bool is_said(const Plan *plan, uint32_t component) {
  for (uint32_t i = 0; i < component; i++)
    if (plan->components.at[i]->bond == plan->components.at[component]->bond) return true;
  return false;
}

static void print_bonds(const Text *p) {
  const Plan *plan = p->f->plan;
  for (uint32_t i = 0; i < plan->components.n; i++) {
    const Bond *b = plan->components.at[i]->bond;
    for (uint32_t k = 0; b && !is_said(plan, i) && k < b->weights.n; k++)
      say(p, "  %s: where one of the copies that it joins has no value, none has\n",
          plain_text(p->f, b->weights.at[k].weight->value, NULL));
  }
}

static void print_plan(const Text *p) {
  const Plan *plan = p->f->plan;
  heading(p, "How the sum over connections is done");
  for (uint32_t i = 0; i < plan->components.n; i++) print_component(p, plan->components.at[i]);
  print_bonds(p);
  if (!p->f->k) return;
  heading(p, "Passes over the values");
  for (uint32_t i = 0; i < p->f->streams.n; i++) print_stream(p, &p->f->streams.at[i]);
  bool solved = false;
  for (uint32_t i = 0; i < plan->components.n; i++) solved |= plan->components.at[i]->structure != NULL;
  if (!p->f->streams.n)
    say(p, "  none: %s\n", solved ? "marginals are read where they are asked for" : "no output needs the posterior");
}

static const char *order_law(const Order *o) {
  static const char *const over[] = {"all values", "the values up to a bound that moves with",
                                     "the values from a bound that moves with"};
  return over[o->support];
}

static void print_chosen(const Text *p, const Order *o) {
  double direct = poly_value(&p->f->polys, &o->direct), reordered = poly_value(&p->f->polys, &o->reordered);
  if (!isfinite(direct) || !isfinite(reordered)) say(p, "    the cheaper one is chosen when the kernel is called\n");
  else
    say(p, "    at these sizes %s: %s\n", reordered < direct ? "the second" : "the first",
        number(p, fmin(direct, reordered)));
}

static void print_order(const Text *p, const Order *o) {
  const char *edge = name(p, o->edge->name);
  if (o->why) {
    say(p, "  %s: a weight that is a sum of products is not reassociated: %s\n", edge, o->why);
    return;
  }
  say(p, "  %s, over %s%s%s: its weight is a sum of products of a factor of %s and one of %s,\n", edge, order_law(o),
      o->chunk ? " " : "", o->chunk ? o->rows : "", o->rows, edge);
  say(p,
      "    so the sums may change places: values are summed first, for every product, into states that all %s share\n",
      o->rows);
  if (o->chunk)
    say(p, "    %s values are cut into T parts of L = %s; within its own part a copy sums value by value\n", o->parts,
        o->chunk);
  say(p, "    multiply-adds value by value: %s\n", poly(p, &o->direct));
  say(p, "    multiply-adds by states: %s, with %s numbers of 8 bytes kept\n", poly(p, &o->reordered),
      poly(p, &o->numbers));
  print_chosen(p, o);
}

static void print_orders(const Text *p) {
  if (p->f->orders.n) heading(p, "The order of the sums");
  for (uint32_t i = 0; i < p->f->orders.n; i++) print_order(p, &p->f->orders.at[i]);
}

/* ---- cost -------------------------------------------------------------------------------------------------------- */

static void print_amount(const Text *p, const char *what, const Poly *x) {
  if (poly_is_zero(x)) return;
  double v = poly_value(&p->f->polys, x);
  say(p, "  %-20s %s", what, poly(p, x));
  double constant;
  if (isfinite(v) && !poly_is_constant(x, &constant)) say(p, " = %s", number(p, v));
  say(p, "\n");
}

static void print_live(const Text *p, const Edge *e) {
  Live live;
  if (!live_is_countable(e)) {
    if (e->where)
      say(p, "  %s: its condition depends on data: the counts are those of all values it may take\n", name(p, e->name));
    return;
  }
  if (!p->f->sizes || !live_count(p->f->m, e, p->f->sizes, &live)) {
    say(p, "  %s: the counts are of all values in its range; give sizes to count those the support admits\n",
        name(p, e->name));
    return;
  }
  double share = live.visited ? 100.0 * (double)live.admitted / (double)live.visited : 0;
  say(p, "  %s: the support admits %lld of the %lld values in its range (%.3g %%)\n", name(p, e->name),
      (long long)live.admitted, (long long)live.visited, share);
}

static void print_cost(const Text *p) {
  Facts *f = p->f;
  heading(p, f->is_bound || f->is_masked ? "What it costs, at most" : "What it costs");
  print_amount(p, "contractions, flop", &f->cost.contraction);
  for (uint32_t i = 0; i < f->items.n; i++)
    say(p, "      %s: %s\n", poly(p, &f->items.at[i].flops), f->items.at[i].what);
  print_amount(p, "other arithmetic", &f->cost.arithmetic);
  print_amount(p, "divisions, roots", &f->cost.division);
  print_amount(p, "exp, log, ...", &f->cost.transcendental);
  print_amount(p, "tests and selects", &f->cost.selection);
  if (f->has_steps) {
    say(p, "  of these, in each step of inference:\n");
    print_amount(p, "  contractions, flop", &f->step.contraction);
    print_amount(p, "  other arithmetic", &f->step.arithmetic);
    print_amount(p, "  exp, log, ...", &f->step.transcendental);
  }
  print_amount(p, "bytes read", &f->bytes_read);
  print_amount(p, "bytes written", &f->bytes_written);
  double flops = poly_value(&f->polys, &f->cost.contraction);
  Poly moved = poly_add(&f->polys, &f->bytes_read, &f->bytes_written), kept = poly_scale(&f->polys, &f->bytes_kept, 2);
  moved = poly_add(&f->polys, &moved, &kept);
  double bytes = poly_value(&f->polys, &moved);
  if (isfinite(flops / bytes)) say(p, "  %-20s %.4g flop a byte\n", "intensity", flops / bytes);
  say(p, "  (reals of 4 bytes; every input once, every output once%s)\n",
      f->kept.n ? ", what is kept written and read" : "");
  for (uint32_t i = 0; i < f->legends.n; i++) say(p, "  %s is %s\n", f->legends.at[i].symbol, f->legends.at[i].meaning);
  for (uint32_t i = 0; i < f->m->edges.n; i++) print_live(p, f->m->edges.at[i]);
}

/* What the derivation keeps along chains, by the names it gives its arrays; a number tells them apart. */
static const char *kept_along(const char *name) {
  static const char *const kinds[][2] = {
    {"forward", "messages along the chain, of the copies so far"},
    {"backward", "messages along the chain, of the copies to come"},
    {"before", "the same, times all that depends on the state before alone"},
    {"after", "the same, times all that depends on the state after alone"},
    {"scale", "what the messages are relative to"},
    {"starts", "where the rows of each chain begin"},
    {"moved", "by how much that changes from step to step"},
    {"total", "the log of the sum over each chain"},
    {"marginal", "log probabilities of every value of every copy"},
    {"status", "whether the component of each copy has a value"},
    {"piece", "which component each copy is of"},
    {"pieces", "the log of the prior's sum over that component"},
    {"reached", "the same over the copies so far"},
    {"pick", "the mode, or the draws, of all copies"},
    {"pair", "log weights of pairs of copies"},
    {"held", "messages with one copy held at each of its values"},
    {"groups", "how many instances the weights of a network have"},
    {"dims", "how many values their copies have"},
    {"once.", "computed once, not again by every loop around it"},
  };
  const char *dot = strchr(name, '.');
  static const char *const of_edge[][2] = {
    {"names", "which copies every instance of a weight of the network names"},
    {"table", "log weights of every instance, for all values of what it names"},
    {"joint", "log probabilities of the same"},
    {"state", "the log of the sum over the component of each copy"},
    {"fixed", "which copies have which value, for each sum"},
    {"named", "the copies that have a prior of their own"},
    {"vars", "the copies of a network, and in which orders they are tried"},
  };
  for (uint32_t i = 0; dot && i < sizeof of_edge / sizeof *of_edge; i++) {
    size_t n = strlen(of_edge[i][0]);
    if (!strncmp(dot + 1, of_edge[i][0], n) && dot[1 + n] >= '0' && dot[1 + n] <= '9') return of_edge[i][1];
  }
  for (uint32_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    size_t n = strlen(kinds[i][0]);
    if (!strncmp(name, kinds[i][0], n) && name[n] >= '0' && name[n] <= '9') return kinds[i][1];
  }
  return NULL;
}

static void print_kept(const Text *p, const Kept *k) {
  const char *along = k->let ? NULL : kept_along(k->array->name);
  const char *why = k->let  ? "a derived array, stored"
                    : along ? along
                            : "results for every copy, asked for by other copies or by every value";
  say(p, "  %s: %s numbers; %s\n", k->name, poly(p, &k->elements), why);
  say(p, "      = %s\n", k->what);
}

static void print_carried(const Text *p) {
  const Poly *n = &p->f->row_numbers;
  if (!poly_is_zero(n)) say(p, "  a thread carries %s numbers of 8 bytes, and a few scalars\n", poly(p, n));
  else say(p, "  a thread carries a few scalars\n");
}

static void print_memory(const Text *p) {
  Facts *f = p->f;
  bool pairwise = false;
  heading(p, "Memory beside inputs and outputs");
  for (uint32_t i = 0; i < f->kept.n; i++) {
    print_kept(p, &f->kept.at[i]);
    pairwise |= f->kept.at[i].is_pairwise;
  }
  print_amount(p, "bytes kept", &f->bytes_kept);
  if (passes_any_scalar(f)) print_carried(p);
  workspace_text(f, p->to);
  for (uint32_t i = 0; i < f->plan->components.n; i++) pairwise |= f->plan->components.at[i]->structure != NULL;
  if (!f->m->edges.n) return;
  say(p, "  %s\n",
      pairwise ? "an array as large as copies times values is kept (above)"
               : "no array of copies times values is ever stored: weights are made and used as they stream by");
}

static void print_moved(const Text *p) {
  const Facts *f = p->f;
  if (f->hoists.n) heading(p, "Computed outside the loops that use it, since nothing in it depends on them");
  for (uint32_t i = 0; i < f->hoists.n; i++) {
    const Hoist *h = &f->hoists.at[i];
    say(p, "  %s: %s, used for every %s\n", h->what, h->where, h->used);
  }
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void print_refusals(const Text *p) {
  const Plan *plan = p->f->plan;
  if (!plan->refusals.n) return;
  heading(p, "Why it is not compiled");
  for (uint32_t i = 0; i < plan->refusals.n; i++) {
    const Refusal *r = &plan->refusals.at[i];
    Place at = source_place(p->f->m->source, r->span.lo);
    say(p, "  line %u, column %u: %s\n", at.line, at.column, r->text);
    if (r->hint) say(p, "      %s\n", r->hint);
  }
}

void explain_text(Facts *f, FILE *to) {
  Text p = {f, to};
  print_sizes(&p);
  print_inputs(&p);
  print_graph(&p);
  print_formulas(&p);
  latents_text(f, to);
  if (f->k || !f->plan->refusals.n) print_plan(&p);
  if (f->k) {
    print_orders(&p);
    print_cost(&p);
    print_memory(&p);
    print_moved(&p);
  }
  print_refusals(&p);
}
