/* latents: how each latent moves in a step, as a formula, and which law made it one. */
#include "explain/formula.h"
#include "explain/report.h"
#include "infer/latent.h"

typedef struct Text {
  Facts *f;
  FILE *to;
} Text;

#define say(p, ...) fprintf((p)->to, __VA_ARGS__)

static const char *name(const Text *p, Sym s) { return sym_text(p->f->m->names, s); }

/* z[k, d] */
static const char *component(const Text *p, const LatentPlan *l) {
  uint32_t n = latent_rank(l->z);
  const char *text = name(p, l->z->name);
  for (uint32_t i = 0; i < n; i++)
    text = arena_printf(p->f->arena, "%s%s%s%s", text, i ? ", " : "[", name(p, latent_index(l->z, i)->name),
                        i + 1 == n ? "]" : "");
  return text;
}

/* z[k, d'] */
static const char *other_component(const Text *p, const LatentPlan *l) {
  const char *text = name(p, l->z->name);
  for (uint32_t i = 0; i < l->other.n; i++)
    text = arena_printf(p->f->arena, "%s%s%s%s", text, i ? ", " : "[", name(p, l->other.at[i]->name),
                        i + 1 == l->other.n ? "]" : "");
  return text;
}

static bool is_zero(const Term *t) {
  return (t->kind == TERM_REAL && t->real == 0) || (t->kind == TERM_INT && t->integer == 0);
}

static void print_sum(const Text *p, const char *what, const TermList *t) {
  say(p, "      %s =", what);
  for (uint32_t i = 0; i < t->n; i++) say(p, "%s %s", i ? "\n         +" : "", plain_text(p->f, t->at[i], NULL));
  say(p, "%s\n", t->n ? "" : " 0");
}

/* ---- the q of a line --------------------------------------------------------------------------------------------- */

static const char *q_text(const LatentPlan *l) {
  switch (l->family) {
  case Q_FAMILY_POINT: return "a point";
  case Q_FAMILY_NORMAL: return "a normal distribution for each component";
  case Q_FAMILY_BETA: return "a beta distribution for each component";
  case Q_FAMILY_GAMMA: return "a gamma distribution for each component";
  case Q_FAMILY_DIRICHLET: return "a dirichlet distribution for each vector";
  }
  return "?";
}

static const Term *init_of(const LatentPlan *l) {
  for (uint32_t i = 0; i < l->line->init.n; i++)
    if (l->line->latents.at[i] == l->z) return l->line->init.at[i];
  return NULL;
}

static void print_q(const Text *p, const LatentPlan *l) {
  const Term *init = init_of(l);
  say(p, "    q is %s; it starts at %s\n", q_text(l), init ? plain_text(p->f, init, NULL) : "the prior");
  if (l->family == Q_FAMILY_POINT)
    say(p,
        "    raises F = log of the sum over all connections of the joint weight: each closed step is one of MAP-EM\n");
  else
    say(p, "    raises the mean-field bound F = E_q E_r[log w] + H[q] + H[r], r the distribution of the connections, "
           "which is below the\n"
           "    collapsed bound E_q[log of the sum over connections] + H[q] by Jensen's inequality\n");
}

/* ---- symmetry ---------------------------------------------------------------------------------------------------- */

static bool prior_tells_apart(const Latent *z, const Index *own, uint32_t at) {
  for (uint32_t i = 0; i < z->priors.n; i++) {
    const Weight *w = z->priors.at[i];
    const Term *index = w->left->args.at[at];
    if (index->kind != TERM_INDEX) return true;
    for (uint32_t k = 0; k < w->params.n; k++)
      if (term_mentions_index(w->params.at[k], index->index) || term_mentions_index(w->params.at[k], own)) return true;
  }
  return false;
}

/* Copies that start at one place, and that their priors do not tell apart, stay together if the weights treat them
 * alike. */
static void print_symmetry(const Text *p, const LatentPlan *l) {
  const Term *init = init_of(l);
  for (uint32_t i = 0; i < l->z->own.n; i++) {
    const Index *own = l->z->own.at[i];
    if (init && l->family <= Q_FAMILY_NORMAL && term_mentions_index(init, own)) continue;
    if (prior_tells_apart(l->z, own, l->z->plates.n + i)) continue;
    say(p,
        "    warning: all copies %s of '%s' start at the same place: those that the weights treat alike stay equal\n",
        name(p, own->name), name(p, l->z->name));
    say(p, "      an 'init' that depends on %s tells them apart\n", name(p, own->name));
  }
}

/* ---- the step ---------------------------------------------------------------------------------------------------- */

static void print_damping(const Text *p, const Infer *line) {
  if (!is_zero(line->damping))
    say(p, "      damped: (1 - %s) new + %s old\n", plain_text(p->f, line->damping, NULL),
        plain_text(p->f, line->damping, NULL));
  if (!is_zero(line->tol))
    say(p, "      rests once nothing changes by more than %s\n", plain_text(p->f, line->tol, NULL));
}

static void print_gradient(const Text *p, const LatentPlan *l) {
  const char *z = component(p, l), *rate = plain_text(p->f, l->line->rate, NULL);
  if (l->line->step == STEP_GRADIENT)
    say(p, "    along the gradient, as the line asks\n");
  else {
    Place at = source_place(p->f->m->source, l->why.span.lo);
    say(p, "    along the gradient: no closed step, since E[log w] is not %s (line %u: %s)\n", form_text(l->form),
        at.line, l->why.text);
  }
  static const char *const moves[] = {[FORM_NONE] = "",
                                      [FORM_QUADRATIC] = "%s <- %s + %s g",
                                      [FORM_BETA] = "logit %s <- logit %s + %s z (1 - z) g",
                                      [FORM_GAMMA] = "log %s <- log %s + %s z g",
                                      [FORM_SPREAD] = "%s <- %s + %s g",
                                      [FORM_DIRICHLET] = "log %s <- log %s + %s z (g - sum z g), normalised"};
  say(p, "      ");
  if (l->family == Q_FAMILY_NORMAL) {
    say(p, "mean of %s <- mean + %s g\n", z, rate);
    say(p, "      log of the variance <- log variance + %s (variance h + 1/2), H[q] giving the 1/2\n", rate);
    print_sum(p, "g = dF/dmean", &l->sum[0]);
    print_sum(p, "h = dE[log w]/dvariance", &l->sum[1]);
    return;
  }
  say(p, moves[l->form], z, z, rate);
  say(p, "\n");
  print_sum(p, "g = dF/dz", &l->sum[0]);
}

static void print_joint(const Text *p, const LatentPlan *l) {
  say(p, "    closed: E[log w] is a quadratic that joins components; they are solved for together, A z = b by "
         "elimination%s\n", l->joint->concave ? ": A has no negative direction" : ";");
  if (!l->joint->concave)
    say(p,
        "    where A is not positive definite, copy after copy is solved for, in index order; where one has no top, "
        "%s\n",
        may_slope(l) ? "all take a step along the gradient" : "that is an error of the run");
  print_sum(p, "b", &l->sum[0]);
  print_sum(p, "A's diagonal is -2 times", &l->sum[1]);
  for (uint32_t i = 0; i < l->joint->pairs.n; i++) {
    const Pair *pair = &l->joint->pairs.at[i];
    if (pair->u == l)
      say(p, "      A joins %s and %s, and the other way round: -(%s)\n", component(p, l), other_component(p, pair->v),
          plain_text(p->f, pair->t, NULL));
  }
}

static void print_closed(const Text *p, const LatentPlan *l) {
  const char *z = component(p, l);
  bool point = l->family == Q_FAMILY_POINT;
  switch (l->form) {
  case FORM_NONE: return;
  case FORM_QUADRATIC:
    say(p, "    closed: E[log w] is b z + a z^2 in each component z\n      %s <- b / (-2 a)%s; kept where a = b = 0\n",
        z, point ? "" : ", variance 1 / (-2 a)");
    if (!l->concave)
      say(p, "      whether a < 0 is known in the run only; where it is not, %s\n",
          may_slope(l) ? "all components take a step along the gradient" : "that is an error");
    break;
  case FORM_BETA:
    say(p, "    closed: E[log w] is a log z + b log(1 - z), the log of a beta density\n      %s <- %s\n", z,
        point ? "a / (a + b), its mode" : "beta(a + 1, b + 1)");
    break;
  case FORM_GAMMA:
    say(p, "    closed: E[log w] is a log z + b z, the log of a gamma density\n      %s <- %s\n", z,
        point ? "a / -b, its mode" : "gamma(a + 1, -b)");
    break;
  case FORM_DIRICHLET:
    say(p, "    closed: E[log w] is a sum of a log z, the log of a dirichlet density\n      %s <- %s\n", z,
        point ? "a / sum a, its mode" : "dirichlet(a + 1)");
    break;
  case FORM_SPREAD:
    say(p,
        "    closed: E[log w] is a log z + b / z^2, as of the spread of a normal\n      %s <- sqrt(2 b / a), the root "
        "of "
        "the weighted mean square; kept where a = b = 0\n",
        z);
    break;
  }
  print_sum(p, l->form == FORM_QUADRATIC ? "b" : "a", &l->sum[0]);
  if (l->form != FORM_DIRICHLET) print_sum(p, l->form == FORM_QUADRATIC ? "a" : "b", &l->sum[1]);
}

static void print_latent(const Text *p, const LatentPlan *l) {
  say(p, "  %s: %s steps\n", component(p, l), plain_text(p->f, l->line->steps, NULL));
  print_q(p, l);
  if (l->gradient)
    print_gradient(p, l);
  else if (l->joint)
    print_joint(p, l);
  else
    print_closed(p, l);
  print_damping(p, l->line);
  print_symmetry(p, l);
}

/* Lines in the order in which a step runs them; within a line first what has a closed step. */
void latents_text(Facts *f, FILE *to) {
  Text p = {f, to};
  const Latents *all = f->plan->latents;
  if (!all || f->plan->refusals.n) return;
  say(&p, "\nHow the latents are inferred\n");
  for (uint32_t i = 0; i < f->m->infers.n; i++) {
    const Infer *line = f->m->infers.at[i];
    for (int gradient = 0; gradient < 2; gradient++)
      for (uint32_t k = 0; line->method == INFER_COLLAPSED && k < line->latents.n; k++)
        if (all->of[line->latents.at[k]->id].gradient == gradient) print_latent(&p, &all->of[line->latents.at[k]->id]);
  }
  say(&p, "  E[..] is over the connections, given the latents before the line; sums over them stream, no array of "
          "copies times values is kept\n");
  if (!model_is_exact(f->m))
    say(&p, "  where a method replaces the posterior of connections E[..] is under what it puts there, and F may "
            "fall\n");
}
