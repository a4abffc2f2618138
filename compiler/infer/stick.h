/* stick: priors that break a stick, see stick.c. */
#ifndef ATTN_INFER_STICK_H
#define ATTN_INFER_STICK_H

#include "infer/context.h"

/* log D at the value known in x of the copy `owner`, for the prior line f of the copy `home`; not yet renormalised. */
Val stick_log(Context *x, Copy home, Copy owner, const Factor *f);
/* log_w, or 0 where the line uses an edge that is none, and so is 1 as a whole. */
Val stick_unless_used(Context *x, Copy home, Copy owner, const Factor *f, Val log_w);

#endif
