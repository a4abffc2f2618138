/* Special functions against values of 20 digits computed with mpmath 1.4.1 at 60 digits (log B: 700), from the
 * arguments as the doubles they are here. */
#include <criterion/criterion.h>
#include <math.h>

#include "special.h"

typedef struct Case { double x, want; } Case;
typedef struct Case2 { double a, b, want; } Case2;

#define COUNT(A) (sizeof(A) / sizeof *(A))

static const Case lgamma_cases[] = {
    {1e-300, 690.77552789821370518}, {0.1, 2.252712651734205902}, {0.5, 0.57236494292470008707},
    {1.0000001, -5.772155829918507097e-8}, {1.9999999, -4.2278430309861298194e-8}, {2.5, 0.28468287047291915963},
    {10.0, 12.801827480081469611}, {171.6, 709.6573587630563213}, {1000000000.0, 19723265827.503716771},
    {1e+300, 6.8977552789821374147e+302}, {-0.5, 1.2655121234846453965}, {-1.5, 0.86004701537648101451},
    {-10.25, -14.203997900931090652},
};

static const Case digamma_cases[] = {
    {1e-300, -9.9999999999999997494e+299}, {1e-05, -100000.57719921567289}, {0.25, -4.2274535333762654081},
    {0.5, -1.9635100260214234794}, {1.0, -0.57721566490153286061}, {1.4616321449683622, -9.2412655217294275168e-17},
    {1.4616321, -4.3514636958769773704e-8}, {1.5, 0.036489973978576520559}, {2.0, 0.42278433509846713939},
    {3.75, 1.1825373886117962286}, {9.999, 2.2516474172057353142}, {10.0, 2.2517525890667211076},
    {100.0, 4.6001618527380874002}, {1000000000.0, 20.723265836446411156}, {1e+300, 690.77552789821370526},
    {-0.5, 0.036489973978576520559}, {-1.25, 3.7141391202135278304}, {-20.75, -0.085143521734187153786},
};

static const Case trigamma_cases[] = {
    {1e-150, 9.9999999999999998741e+299}, {1e-05, 10000000001.64490839}, {0.5, 4.9348022005446793094},
    {1.0, 1.6449340668482264365}, {1.5, 0.93480220054467930942}, {2.0, 0.64493406684822643647},
    {9.5, 0.11099728846909903237}, {10.0, 0.10516633568168574612}, {1000.0, 0.0010005001666666333334},
    {1000000000.0, 1.0000000005000000002e-9}, {1e+300, 9.999999999999999475e-301}, {-0.5, 8.9348022005446793094},
    {-1.25, 19.181879647671606498},
};

static const Case log1pexp_cases[] = {
    {-700.0, 9.8596765437597708567e-305}, {-50.0, 1.928749847963917783e-22}, {-37.0, 8.5330476257440654302e-17},
    {-1.0, 0.31326168751822283405}, {-1e-10, 0.69314718050994530942}, {0.0, 0.69314718055994530942},
    {1e-10, 0.69314718060994530942}, {1.0, 1.313261687518222834}, {18.0, 18.000000015229979629},
    {33.3, 33.300000000000000609}, {40.0, 40.000000000000000004}, {1000.0, 1000.0},
};

static const Case sigmoid_cases[] = {
    {-700.0, 9.8596765437597708567e-305}, {-40.0, 4.2483542552915889773e-18}, {-1.0, 0.26894142136999512075},
    {-1e-10, 0.499999999975}, {0.0, 0.5}, {1e-10, 0.500000000025}, {1.0, 0.73105857863000487925},
    {20.0, 0.99999999793884638181}, {37.0, 0.99999999999999991467},
};

static const Case log_sigmoid_cases[] = {
    {-1000.0, -1000.0}, {-40.0, -40.000000000000000004}, {-1.0, -1.313261687518222834},
    {0.0, -0.69314718055994530942}, {1.0, -0.31326168751822283405}, {20.0, -2.0611536203143807032e-9},
    {40.0, -4.2483542552915889863e-18}, {700.0, -9.8596765437597708567e-305},
};

static const Case2 lbeta_cases[] = {
    {0.5, 0.5, 1.1447298858494001741}, {1.0, 2.0, -0.69314718055994530942}, {2.0, 3.0, -2.4849066497880003102},
    {5.0, 5.0, -6.4457198193855783719}, {1e-10, 1e-10, 23.718998110500402113}, {1e-10, 5.0, 23.02585092973212347},
    {0.5, 1000000000.0, -9.789267975423505491}, {1.5, 1000000000.5, -31.205680994179861956},
    {3.0, 1000000000.0, -61.476650333279288157}, {9.5, 1000000000.0, -185.18169207056863738},
    {10.0, 1000000000.0, -194.43083093438264181}, {50.0, 1000000000.0, -891.59754912597565159},
    {1000000000.0, 1000000000.0, -1386294370.2160114137}, {9.99, 10.0, -13.729038816824689642},
    {10.0, 10.0, -13.736229227036554814}, {10.0, 10.01, -13.743414247695436564},
    {2.0, 1e+300, -1381.5510557964274105}, {1e-300, 1e+300, 690.77552789821370518},
    {1e+300, 1e+300, -1.3862943611198906916e+300}, {100.0, 0.001, 6.9025787185060490766},
};

static void check(const char *name, const Case *c, size_t n, double (*f)(double), float (*f32)(float)) {
  for (size_t i = 0; i < n; i++) {
    double got = f(c[i].x);
    cr_assert(fabs(got - c[i].want) <= 1e-14 * fabs(c[i].want), "%s(%.17g) = %.17g, not %.17g", name, c[i].x, got,
              c[i].want);
    float x = (float)c[i].x;
    cr_assert(f32(x) == (float)f((double)x), "%sf(%.9g)", name, (double)x);
  }
  cr_assert(isnan(f(NAN)) && isnan(f32(NAN)), "%s(NaN)", name);
}

#define CHECK(F) check(#F, F##_cases, COUNT(F##_cases), attn_rt_##F, attn_rt_##F##f)

Test(special, lgamma) { CHECK(lgamma); }
Test(special, digamma) { CHECK(digamma); }
Test(special, trigamma) { CHECK(trigamma); }
Test(special, log1pexp) { CHECK(log1pexp); }
Test(special, sigmoid) { CHECK(sigmoid); }
Test(special, log_sigmoid) { CHECK(log_sigmoid); }

Test(special, lbeta) {
  for (size_t i = 0; i < COUNT(lbeta_cases); i++) {
    const Case2 *c = &lbeta_cases[i];
    double got = attn_rt_lbeta(c->a, c->b);
    cr_assert(fabs(got - c->want) <= 1e-14 * fabs(c->want), "log B(%g, %g) = %.17g, not %.17g", c->a, c->b, got,
              c->want);
    cr_assert(got == attn_rt_lbeta(c->b, c->a), "symmetry at (%g, %g)", c->a, c->b);
  }
}

/* The pmf of a beta-geometric law far out, by its own recurrence from d to d + 1. */
Test(special, lbeta_steps_far_out) {
  const double a = 1.25, b = 0.75;
  for (double d = 1; d < 2e9; d *= 7) {
    double here = attn_rt_lbeta(a + 1, b + d), next = attn_rt_lbeta(a + 1, b + d + 1);
    cr_assert_float_eq(next - here, log1p(-(a + 1) / (a + b + 1 + d)), 2e-14 * fabs(here), "at d = %g", d);
  }
}

Test(special, ends_of_the_range) {
  cr_assert(attn_rt_lgamma(0) == INFINITY && attn_rt_lgamma(-3) == INFINITY && attn_rt_lgamma(-INFINITY) == INFINITY);
  cr_assert(attn_rt_digamma(0.0) == -INFINITY && attn_rt_digamma(-0.0) == INFINITY);
  cr_assert(isnan(attn_rt_digamma(-2)) && isnan(attn_rt_digamma(-INFINITY)) && isnan(attn_rt_digamma(-1e300)));
  cr_assert(attn_rt_digamma(INFINITY) == INFINITY && attn_rt_trigamma(INFINITY) == 0);
  cr_assert(attn_rt_trigamma(0) == INFINITY && attn_rt_trigamma(-4) == INFINITY && isnan(attn_rt_trigamma(-INFINITY)));
  cr_assert(attn_rt_lbeta(0, 3) == INFINITY && attn_rt_lbeta(3, INFINITY) == -INFINITY);
  cr_assert(isnan(attn_rt_lbeta(-1, 3)) && isnan(attn_rt_lbeta(NAN, 3)) && isnan(attn_rt_lbeta(3, NAN)));
  cr_assert(attn_rt_lbetaf(2, 3) == (float)attn_rt_lbeta(2, 3));
  cr_assert(attn_rt_log1pexp(-INFINITY) == 0 && attn_rt_log1pexp(INFINITY) == INFINITY);
  cr_assert(attn_rt_sigmoid(-INFINITY) == 0 && attn_rt_sigmoid(INFINITY) == 1);
  cr_assert(attn_rt_log_sigmoid(-INFINITY) == -INFINITY && attn_rt_log_sigmoid(INFINITY) == 0);
}
