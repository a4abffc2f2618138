/* The C library: what binds and what does not, errors as statuses, several threads at once.  A plain program, so
 * that it can be built with any sanitizer. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attn.h"

static int failures, checks;
static attn_message why;

#define EXPECT(cond)                                                                     \
  do {                                                                                   \
    checks++;                                                                            \
    if (!(cond)) failures++, fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #cond, why.text); \
  } while (0)

static const char rows[] = "model rows(M, N) {\n  data s: [M, N], v: [N], on: bool[N]\n  param t: real = 2\n  param "
                           "shift: int = 0\n  param flip: bool = false\n"
                           "  for i in M {\n    edge phi in N where on[phi]\n    potential exp(s[i, phi])\n"
                           "    out o[i] = E[v[phi]] * t + shift\n    out n[i] = if flip then 1 else 0\n  }\n}\n";
static const char gather[] =
    "model gather(M, N, K) {\n  data s: [M, N], v: [K], at: int[N]\n  for i in M {\n    edge phi in N\n"
    "    potential exp(s[i, phi])\n    out o[i] = E[v[at[phi]]]\n  }\n}\n";
static const char graph[] = "model g(M, N) {\n  data adj: graph[M, N], v: [N]\n  for i in M {\n    edge phi in "
                            "adj[i]\n    out o[i] = E[v[phi]]\n  }\n}\n";

static attn_model *load(const char *text, int threads) {
  attn_model *m = NULL;
  attn_options options = {.f64 = 1, .threads = threads};
  EXPECT(attn_model_load_text(text, strlen(text), NULL, &options, &m, &why) == ATTN_OK);
  return m;
}

static attn_array vector(void *data, attn_type type, int64_t n) { return attn_array_of(data, type, 1, &n); }

static attn_call *call_rows(const attn_model *m, double *s, float *v, uint8_t *on) {
  attn_call *c = NULL;
  attn_array a = attn_array_of(s, ATTN_F64, 2, (const int64_t[]){2, 3}), b = vector(v, ATTN_F32, 3),
             d = vector(on, ATTN_U8, 3);
  EXPECT(attn_call_new(m, &c, &why) == ATTN_OK);
  EXPECT(attn_call_input(c, "s", &a, &why) == ATTN_OK);
  EXPECT(attn_call_input(c, "v", &b, &why) == ATTN_OK);
  EXPECT(attn_call_input(c, "on", &d, &why) == ATTN_OK);
  return c;
}

static void test_information(void) {
  attn_model *m = load(rows, 1);
  attn_info x;
  EXPECT(attn_model_inputs(m) == 6 && attn_model_outputs(m) == 2 && attn_model_sizes(m) == 2);
  EXPECT(attn_model_input(m, 0, &x) == ATTN_OK && !strcmp(x.name, "s") && !strcmp(x.shape, "[M, N]") &&
         x.type == ATTN_F64);
  EXPECT(attn_model_input(m, 3, &x) == ATTN_OK && x.is_param && x.has_default && x.rank == 0 && !*x.shape);
  EXPECT(attn_model_output(m, 0, &x) == ATTN_OK && !strcmp(x.name, "o") && x.rank == 1);
  EXPECT(attn_model_input(m, 6, &x) == ATTN_ERROR_NAME && attn_model_output(m, -1, &x) == ATTN_ERROR_NAME);
  EXPECT(!strcmp(attn_model_size(m, 1), "N") && !attn_model_size(m, 2));
  EXPECT(*attn_version());
  attn_model_free(m);
}

static void test_binding(void) {
  attn_model *m = load(rows, 2);
  double s[6] = {0}, out[4] = {-1, -1, -1, -1};
  float v[] = {1, 2, 6};
  uint8_t on[] = {1, 0, 1};
  attn_call *c = call_rows(m, s, v, on);
  attn_array o;
  EXPECT(attn_call_result(c, "o", &o, &why) == ATTN_ERROR_NAME);
  EXPECT(attn_call_shape(c, "o", &o, &why) == ATTN_OK && o.rank == 1 && o.shape[0] == 2 && o.type == ATTN_F64 &&
         !o.data);
  EXPECT(attn_call_run(c, &why) == ATTN_OK);
  EXPECT(attn_call_result(c, "o", &o, &why) == ATTN_OK && ((double *)o.data)[1] == 7);
  attn_array strided = {out, ATTN_F64, 1, {2}, {2}};
  EXPECT(attn_call_output(c, "o", &strided, &why) == ATTN_OK);
  EXPECT(attn_call_output(c, "n", NULL, &why) == ATTN_OK);
  EXPECT(attn_call_int(c, "t", 3, &why) == ATTN_OK && attn_call_int(c, "shift", -1, &why) == ATTN_OK);
  EXPECT(attn_call_int(c, "flip", 1, &why) == ATTN_OK);
  EXPECT(attn_call_run(c, &why) == ATTN_OK);
  EXPECT(out[0] == 9.5 && out[1] == -1 && out[2] == 9.5);
  EXPECT(attn_call_result(c, "n", &o, &why) == ATTN_ERROR_NAME);
  attn_call_free(c);
  attn_model_free(m);
}

static void test_mistakes(void) {
  attn_model *m = load(rows, 1);
  double s[6] = {0};
  float v[] = {1, 2, 6};
  uint8_t on[] = {1, 0, 1};
  attn_call *c = call_rows(m, s, v, on);
  attn_array bad = vector(s, ATTN_F64, 4), none = vector(NULL, ATTN_F64, 3), o;
  EXPECT(attn_call_input(c, "nobody", &bad, &why) == ATTN_ERROR_NAME && strstr(why.text, "nobody"));
  EXPECT(attn_call_input(c, "v", &none, &why) == ATTN_ERROR_INPUT);
  EXPECT(attn_call_graph(c, "v", &bad, &bad, &why) == ATTN_ERROR_NAME);
  for (bad.rank = ATTN_MAX_RANK + 1; bad.rank < 99; bad.rank += 45)
    EXPECT(attn_call_input(c, "v", &bad, &why) == ATTN_ERROR_INPUT);
  bad.rank = -1;
  EXPECT(attn_call_input(c, "v", &bad, &why) == ATTN_ERROR_INPUT);
  EXPECT(attn_call_size(c, "K", 3, &why) == ATTN_ERROR_NAME && attn_call_size(c, "N", -3, &why) == ATTN_ERROR_INPUT);
  EXPECT(attn_call_run(c, &why) == ATTN_OK); /* nothing of that changed anything */
  bad = vector(s, ATTN_F64, 4);
  EXPECT(attn_call_input(c, "v", &bad, &why) == ATTN_OK);
  EXPECT(attn_call_run(c, &why) == ATTN_ERROR_INPUT && strstr(why.text, "'N'") && strstr(why.text, "4"));
  EXPECT(attn_call_result(c, "o", &o, &why) == ATTN_ERROR_NAME);
  bad = vector(v, ATTN_F32, 3);
  EXPECT(attn_call_input(c, "v", &bad, &why) == ATTN_OK && attn_call_input(c, "on", &bad, &why) == ATTN_OK);
  EXPECT(attn_call_run(c, &why) == ATTN_ERROR_INPUT && strstr(why.text, "bool"));
  bad = vector(on, ATTN_BOOL, 3);
  attn_array wrong = vector(s, ATTN_F64, 3);
  EXPECT(attn_call_input(c, "on", &bad, &why) == ATTN_OK && attn_call_output(c, "o", &wrong, &why) == ATTN_OK);
  EXPECT(attn_call_run(c, &why) == ATTN_ERROR_INPUT && strstr(why.text, "[3]"));
  EXPECT(attn_call_run(c, NULL) == ATTN_ERROR_INPUT);
  attn_call_free(c);
  EXPECT(attn_call_new(m, &c, &why) == ATTN_OK);
  EXPECT(attn_call_run(c, &why) == ATTN_ERROR_INPUT && strstr(why.text, "'s'"));
  attn_call_free(c);
  attn_model_free(m);
  attn_call_free(NULL);
  attn_model_free(NULL);
}

static void test_models(void) {
  attn_model *m = NULL;
  attn_options options = {.cpu = "pdp11"};
  EXPECT(attn_model_load("/nowhere/m.attn", NULL, NULL, &m, &why) == ATTN_ERROR_MODEL && strstr(why.text, "nowhere"));
  EXPECT(attn_model_load_text("model m( {", 10, NULL, NULL, &m, &why) == ATTN_ERROR_MODEL &&
         strstr(why.text, "model:1:"));
  EXPECT(attn_model_load_text(rows, strlen(rows), "other", NULL, &m, &why) == ATTN_ERROR_MODEL &&
         strstr(why.text, "rows"));
  EXPECT(attn_model_load_text(rows, strlen(rows), NULL, &options, &m, &why) == ATTN_ERROR_MODEL &&
         strstr(why.text, "pdp11"));
  EXPECT(attn_model_load_text("", 0, NULL, NULL, &m, NULL) == ATTN_ERROR_MODEL);
  EXPECT(!m);
}

static void test_data_errors(void) {
  attn_model *m = load(gather, 2);
  attn_call *c = NULL;
  double s[2] = {0}, v[2] = {3, 4};
  int32_t at[2] = {0, 5};
  attn_array a = attn_array_of(s, ATTN_F64, 2, (const int64_t[]){1, 2}), b = vector(v, ATTN_F64, 2),
             d = vector(at, ATTN_I32, 2), o;
  EXPECT(attn_call_new(m, &c, &why) == ATTN_OK);
  EXPECT(!attn_call_input(c, "s", &a, &why) && !attn_call_input(c, "v", &b, &why) &&
         !attn_call_input(c, "at", &d, &why));
  EXPECT(attn_call_run(c, &why) == ATTN_ERROR_INDEX && strstr(why.text, "model:6:") && strstr(why.text, "5"));
  at[1] = 1;
  EXPECT(attn_call_run(c, &why) == ATTN_OK && !*why.text);
  EXPECT(attn_call_result(c, "o", &o, &why) == ATTN_OK && ((double *)o.data)[0] == 3.5);
  attn_call_free(c);
  attn_model_free(m);
}

static void test_graph(void) {
  attn_model *m = load(graph, 1);
  attn_call *c = NULL;
  int64_t indptr[] = {0, 2, 2};
  int32_t indices[] = {2, 0};
  double v[] = {1, 10, 5};
  attn_array p = vector(indptr, ATTN_I64, 3), i = vector(indices, ATTN_I32, 2), x = vector(v, ATTN_F64, 3), o;
  EXPECT(attn_call_new(m, &c, &why) == ATTN_OK);
  EXPECT(!attn_call_graph(c, "adj", &p, &i, &why) && !attn_call_input(c, "v", &x, &why));
  EXPECT(attn_call_run(c, &why) == ATTN_OK && !attn_call_result(c, "o", &o, &why));
  EXPECT(o.shape[0] == 2 && ((double *)o.data)[0] == 3 && ((double *)o.data)[1] == 0);
  int64_t apart[] = {2, 7, 0, 7};
  attn_array strided = {apart, ATTN_I64, 1, {2}, {2}};
  EXPECT(!attn_call_graph(c, "adj", &p, &strided, &why) && attn_call_run(c, &why) == ATTN_OK);
  EXPECT(!attn_call_result(c, "o", &o, &why) && ((double *)o.data)[0] == 3);
  EXPECT(!attn_call_graph(c, "adj", &p, &i, &why));
  indices[0] = 7;
  EXPECT(attn_call_run(c, &why) == ATTN_ERROR_INPUT && strstr(why.text, "adj"));
  attn_call_free(c);
  attn_model_free(m);
}

/* One model, one pool, several threads; and models made meanwhile. */
enum { THREADS = 4, ROUNDS = 8 };

static void *worker(void *arg) {
  const attn_model *m = arg;
  double s[6] = {0};
  float v[] = {1, 2, 6};
  uint8_t on[] = {1, 1, 1};
  long wrong = 0;
  for (int r = 0; r < ROUNDS; r++) {
    attn_call *c = NULL;
    attn_model *own = NULL;
    attn_array a = attn_array_of(s, ATTN_F64, 2, (const int64_t[]){2, 3}), b = vector(v, ATTN_F32, 3),
               d = vector(on, ATTN_U8, 3), o;
    attn_message local;
    v[0] = (float)r;
    wrong += attn_call_new(m, &c, &local) || attn_call_input(c, "s", &a, &local) ||
             attn_call_input(c, "v", &b, &local) || attn_call_input(c, "on", &d, &local) || attn_call_run(c, &local) ||
             attn_call_result(c, "o", &o, &local);
    wrong += ((double *)o.data)[0] != 2 * (((double)r + 8) / 3);
    if (r % 4 == 0) wrong += attn_model_load_text(graph, strlen(graph), NULL, NULL, &own, &local) != ATTN_OK;
    attn_call_free(c);
    attn_model_free(own);
  }
  return (void *)wrong;
}

static void test_threads(void) {
  attn_model *m = load(rows, 3);
  pthread_t id[THREADS];
  void *wrong;
  for (int n = 0; n < THREADS; n++) pthread_create(&id[n], NULL, worker, m);
  for (int n = 0; n < THREADS; n++) {
    pthread_join(id[n], &wrong);
    EXPECT(!wrong);
  }
  attn_model_free(m);
}

/* ---- different models at once ----------------------------------------------------------------------------- */

static const char *const texts[] = {
    "model a(N) {\n  data s: [N], v: [N]\n  edge phi in N\n  potential exp(s[phi])\n  out o = E[v[phi]]\n}\n",
    "model b(N) {\n  data s: [N], v: [N]\n  for t in N { edge c in bit; potential exp(s[t] * c) }\n"
    "  for t in 1..N { potential exp(v[t] * c[t] * c[t - 1]) }\n  out o = sum(t in N) E[c[t]]\n}\n",
    "model c(N) {\n  data s: [N], v: [N]\n  edge up in tree(N)\n  for n in N { potential if up[n] == none then 1 else "
    "exp(s[n] * v[up[n]]) }\n"
    "  out o = logZ\n}\n"};
enum { TEXTS = sizeof texts / sizeof *texts, MODEL_ROUNDS = 6, WIDTH = 9 };

typedef struct Work { int text, threads; double got[MODEL_ROUNDS]; int wrong; } Work;

static void *compile_and_run(void *work) {
  Work *w = work;
  double s[WIDTH], v[WIDTH];
  attn_options options = {.f64 = 1, .threads = w->threads};
  attn_message local;
  for (int r = 0; r < MODEL_ROUNDS; r++) {
    attn_model *m = NULL;
    attn_call *c = NULL;
    attn_array a = vector(s, ATTN_F64, WIDTH), b = vector(v, ATTN_F64, WIDTH), o;
    for (int k = 0; k < WIDTH; k++) s[k] = 0.25 * (k * (r + 2) % 7) - 0.5, v[k] = 0.125 * (k * (r + 3) % 5) - 0.25;
    w->wrong += attn_model_load_text(texts[w->text], strlen(texts[w->text]), NULL, &options, &m, &local) ||
                attn_call_new(m, &c, &local) || attn_call_input(c, "s", &a, &local) ||
                attn_call_input(c, "v", &b, &local) || attn_call_run(c, &local) || attn_call_result(c, "o", &o, &local);
    if (!w->wrong) w->got[r] = *(double *)o.data;
    attn_call_free(c);
    attn_model_free(m);
  }
  return NULL;
}

/* Each model alone, then all of them at once, with other numbers of threads: the same bits. */
static void test_models_at_once(void) {
  Work alone[TEXTS], beside[2 * TEXTS];
  pthread_t id[2 * TEXTS];
  for (int n = 0; n < TEXTS; n++) {
    alone[n] = (Work){.text = n, .threads = 1};
    compile_and_run(&alone[n]);
    EXPECT(!alone[n].wrong);
  }
  for (int n = 0; n < 2 * TEXTS; n++) {
    beside[n] = (Work){.text = n % TEXTS, .threads = 1 + n % 4};
    pthread_create(&id[n], NULL, compile_and_run, &beside[n]);
  }
  for (int n = 0; n < 2 * TEXTS; n++) {
    pthread_join(id[n], NULL);
    EXPECT(!beside[n].wrong);
    EXPECT(!memcmp(beside[n].got, alone[n % TEXTS].got, sizeof alone->got));
  }
}

/* ---- cancelling ------------------------------------------------------------------------------------------- */

static const char slow[] = /* a quarter of an hour, unless it is cancelled */
    "model slow(M, N) {\n  data s: [M], t: [N]\n  for i in M {\n    edge phi in N\n    potential exp(sin(s[i] * "
    "t[phi]) + cos(s[i] + t[phi]))\n"
    "    out z[i] = logZ\n  }\n}\n";

static void *cancel_soon(void *call) {
  nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
  attn_call_cancel(call);
  return NULL;
}

static void cancel_with(int threads) {
  enum { M = 1 << 17, N = 1 << 17 };
  attn_model *m = load(slow, threads);
  attn_call *c = NULL;
  double *s = calloc(M, sizeof *s), *t = calloc(N, sizeof *t);
  attn_array a = vector(s, ATTN_F64, M), b = vector(t, ATTN_F64, N), z;
  pthread_t id;
  EXPECT(s && t && attn_call_new(m, &c, &why) == ATTN_OK);
  EXPECT(attn_call_input(c, "s", &a, &why) == ATTN_OK && attn_call_input(c, "t", &b, &why) == ATTN_OK);
  pthread_create(&id, NULL, cancel_soon, c);
  EXPECT(attn_call_run(c, &why) == ATTN_ERROR_CANCELLED);
  EXPECT(strstr(why.text, "cancelled"));
  EXPECT(attn_call_result(c, "z", &z, &why) == ATTN_ERROR_NAME);
  pthread_join(id, NULL);
  /* the call is as good as new; and a cancel before a run ends that run, once */
  a.shape[0] = b.shape[0] = 3;
  EXPECT(attn_call_input(c, "s", &a, &why) == ATTN_OK && attn_call_input(c, "t", &b, &why) == ATTN_OK);
  attn_call_cancel(c);
  EXPECT(attn_call_run(c, &why) == ATTN_ERROR_CANCELLED);
  EXPECT(attn_call_run(c, &why) == ATTN_OK && attn_call_result(c, "z", &z, &why) == ATTN_OK);
  EXPECT(((double *)z.data)[2] == ((double *)z.data)[0]);
  attn_call_free(c);
  attn_model_free(m);
  free(s);
  free(t);
}

static void test_cancel(void) {
  cancel_with(1);
  cancel_with(3);
}

/* ---- limits ----------------------------------------------------------------------------------------------- */

/* A text that would take gigabytes to compile is an error of the model, and the process goes on. */
static void test_memory(void) {
  enum { LETS = 3000, LINE = 80 };
  char *text = malloc(LETS * LINE + 200);
  size_t n = 0;
  attn_model *m = NULL;
  EXPECT(text != NULL);
  n += (size_t)sprintf(text + n, "model m(N) {\n  data a: [N]\n  let t0[i in N] = a[i]\n");
  for (int k = 1; k < LETS; k++)
    n += (size_t)sprintf(text + n, "  let t%d[i in N] = t%d[i] + sum(j in N) t%d[j]\n", k, k - 1, k - 1);
  n += (size_t)sprintf(text + n, "  out o[i in N] = t%d[i]\n}\n", LETS - 1);
  EXPECT(attn_model_load_text(text, n, NULL, NULL, &m, &why) == ATTN_ERROR_MODEL && !m);
  EXPECT(strstr(why.text, "GiB of memory"));
  free(text);
}

int main(void) {
  test_information();
  test_binding();
  test_mistakes();
  test_models();
  test_data_errors();
  test_graph();
  test_threads();
  test_models_at_once();
  test_cancel();
  test_memory();
  printf("%d checks, %d failed\n", checks, failures);
  return failures != 0;
}
