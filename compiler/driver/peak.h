/* peak: how fast this machine multiplies, adds and reads, measured in the same run as what is held against it.
 *
 * The rates are medians over many windows of some 10 microseconds, taken in short samples between the runs that are
 * timed.  A window is either undisturbed or falls into a time in which another process has the processor, and the
 * latter are few: a single long window would share its time with them, and show half the peak on a busy machine. */
#ifndef ATTN_DRIVER_PEAK_H
#define ATTN_DRIVER_PEAK_H

#include <stdbool.h>

typedef struct Peak Peak;

/* In what the operations are: PEAK_DOT: products of bf16 added to f32, where the machine has an instruction for it. */
typedef enum { PEAK_F32, PEAK_F64, PEAK_DOT } PeakKind;

/* bytes: how much the threads together read again and again, so that it lies in the same cache, or in memory, as the
 * data of a model of that size.  NULL: no memory. */
Peak *peak_open(PeakKind kind, int threads, double bytes);
void peak_sample(Peak *p); /* takes some milliseconds */
void peak_close(Peak *p);

/* Floating point operations a second (a fused multiply-add is two) of vectors that stay in registers; bytes read a
 * second; of all threads together.  0 before the first sample. */
double peak_operations(const Peak *p);
double peak_bandwidth(const Peak *p);

#endif
