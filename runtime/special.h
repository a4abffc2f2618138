/* special: functions of a real argument that densities and log weights need and C lacks.
 *
 * Relative error of the f64 forms is at most 1e-14, with the exceptions named below; the f32 forms compute
 * in f64 and round, so they are correct to the last bit but for near-ties.  NaN in gives NaN out; all are
 * thread-safe, set no errno that anyone reads, and touch no global (not even signgam). */
#ifndef ATTN_RT_SPECIAL_H
#define ATTN_RT_SPECIAL_H

/* log |Gamma(x)|.  +inf at 0, -1, -2, ... and at both infinities.  Near its zeros at x < 0 the error is
 * 1e-14 absolute. */
double attn_rt_lgamma(double x);
float attn_rt_lgammaf(float x);

/* d/dx log |Gamma(x)|.  -inf at +0, +inf at -0 (the one-sided limits), NaN at -1, -2, ... and -inf.  For x < 0
 * the error is relative to the larger of the two terms of the reflection formula. */
double attn_rt_digamma(double x);
float attn_rt_digammaf(float x);

/* Second derivative of log |Gamma(x)|, positive.  +inf at 0, -1, -2, ...; 0 at +inf; NaN at -inf. */
double attn_rt_trigamma(double x);
float attn_rt_trigammaf(float x);

/* log B(a, b) = lgamma(a) + lgamma(b) - lgamma(a + b) for a, b >= 0 of any sizes, without subtracting large
 * numbers when one is much larger.  +inf if a or b is 0, else -inf if one is inf; NaN if one is negative.
 * Where log B is near 0 (as at a = b = 1) the error is 1e-14 absolute. */
double attn_rt_lbeta(double a, double b);
float attn_rt_lbetaf(float a, float b);

/* log(1 + e^x), known as softplus: no overflow for large x, no loss for very negative x. */
double attn_rt_log1pexp(double x);
float attn_rt_log1pexpf(float x);

/* 1 / (1 + e^-x), and its log, -log(1 + e^-x). */
double attn_rt_sigmoid(double x);
float attn_rt_sigmoidf(float x);
double attn_rt_log_sigmoid(double x);
float attn_rt_log_sigmoidf(float x);

#endif
