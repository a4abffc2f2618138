/* peak: how fast this machine multiplies and adds, measured when asked. */
#ifndef ATTN_DRIVER_PEAK_H
#define ATTN_DRIVER_PEAK_H

#include <stdbool.h>

/* Floating point operations a second (a fused multiply-add is two) of vectors that stay in registers, on as many
 * threads; takes about 50 ms. */
double peak_operations(bool f64, int threads);

#endif
