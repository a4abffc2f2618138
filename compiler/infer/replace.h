/* replace: see replace.c. */
#ifndef ATTN_INFER_REPLACE_H
#define ATTN_INFER_REPLACE_H

#include "infer/context.h"

/* Are E and P of the component's copies taken under other probabilities than the posterior? */
bool is_replaced(const Component *c);
/* The log of such a probability; -inf: none. */
Val replaced_log(Context *x, Copy copy, Choice value);
/* One of them: if it is no number, none is. */
Val replaced_any(Context *x, Copy copy);
/* What of the line is not compiled. */
void replace_check(Plan *p, const Infer *f);

#endif
