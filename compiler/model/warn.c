/* warn: what is legal and probably not meant. */
#include "model/checker.h"

void warn_division(Checker *c, const Expr *e) {
  if (e->binary.op != BINARY_DIV || e->binary.b->kind != EXPR_REDUCE || e->binary.b->parenthesised) return;
  const Expr *body = e->binary.b->reduce.body;
  bool product = body->kind == EXPR_BINARY && !body->parenthesised &&
                 (body->binary.op == BINARY_MUL || body->binary.op == BINARY_DIV);
  if (!product) return;
  Diag *d = diag_warning(c->diags, e->binary.b->span, "this divides by the whole product: '%s' reaches over '*' and '/'",
                         name_text(c, e->binary.b->reduce.op.sym));
  diag_hint(c->diags, d, "put brackets around the divisor");
}

void warn_model(Checker *c) {
  for (uint32_t i = 0; i < c->model->inputs.n; i++) {
    const Input *in = c->model->inputs.at[i];
    if (in->is_param && !c->input_used[i]) diag_warning(c->diags, in->span, "param '%s' is never used", name_text(c, in->name));
  }
}
