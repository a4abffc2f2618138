/* cancel: a call that another thread may end before it is done. */
#ifndef ATTN_DRIVER_CANCEL_H
#define ATTN_DRIVER_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "driver/execute.h"

/* As execute_call; looks at *stop before every item of work (at most 256 for each parallel loop).  Where it is set the
 * call ends: false and *stopped, outputs and workspace as they happen to be.  *stop is the caller's to set again. */
bool cancel_call(const Call *c, atomic_bool *stop, attn_error *err, bool *stopped);

#endif
