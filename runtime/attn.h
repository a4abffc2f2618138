/* attn: models from C.  Load a model, bind arrays, run.
 *
 *   attn_model *model;              a compiled model; any number, each used by any number of threads at once
 *   attn_call *call;                the inputs and outputs of one run at a time; one thread at a time
 *   attn_message why;               the caller's room for messages
 *
 *   attn_model_load("attention.attn", NULL, NULL, &model, &why);
 *   attn_call_new(model, &call, &why);
 *   attn_call_input(call, "q", &q, &why);      ...
 *   attn_call_run(call, &why);
 *   attn_call_result(call, "o", &o, &why);
 *
 * Every function that can fail returns ATTN_OK or a status, and then writes what went wrong, for people, into the
 * message (NULL: dropped).  Nothing is printed, no environment is read, the process never ends but for a mistake in the
 * library itself.  A failed call changes nothing, and can be repeated. */
#ifndef ATTN_H
#define ATTN_H

#include <stddef.h>
#include <stdint.h>

#include "attn_kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Beside those of attn_status. */
enum {
  ATTN_ERROR_MODEL = 100,  /* unreadable, wrong, or not to be compiled */
  ATTN_ERROR_INPUT = 101,  /* inputs that are missing, do not fit together or break a rule of the model */
  ATTN_ERROR_NAME = 102,   /* there is nothing of that name or number, or it is something else */
  ATTN_ERROR_MEMORY = 103,
  ATTN_ERROR_CANCELLED = 104 /* attn_call_cancel */
};

enum { ATTN_MESSAGE_BYTES = 4096 };
typedef struct attn_message { char text[ATTN_MESSAGE_BYTES]; } attn_message; /* lines, cut short if too long */

const char *attn_version(void);

/* ---- arrays ---------------------------------------------------------------------------------------- */

typedef enum attn_type {
  ATTN_F16, ATTN_BF16, /* bits in a uint16_t */
  ATTN_F32, ATTN_F64, ATTN_I32, ATTN_I64, ATTN_U8,
  ATTN_BOOL,           /* a byte: 0 or 1 */
  ATTN_GRAPH           /* of inputs: two arrays of int */
} attn_type;

/* Element (i, j, ...) lies at data + i * stride[0] + j * stride[1] + ..., in elements.  Strides of inputs may be zero
 * or negative.  data may be NULL where there are no elements. */
typedef struct attn_array {
  void *data;
  attn_type type;
  int rank;
  int64_t shape[ATTN_MAX_RANK], stride[ATTN_MAX_RANK];
} attn_array;

/* The array in C order, the last axis fastest. */
attn_array attn_array_of(void *data, attn_type type, int rank, const int64_t *shape);

/* ---- models ---------------------------------------------------------------------------------------- */

typedef struct attn_model attn_model;

/* Zero is the default of each. */
typedef struct attn_options {
  int f64;         /* `real` is f64; else f32 */
  int threads;     /* that work on a run; 0: one for each processor */
  const char *cpu; /* "native", "x86-64-v3", ...; NULL: native */
  const char *cache; /* a folder that keeps compiled kernels between processes, made if need be; NULL: none */
} attn_options;

/* Compiles one model of a file, or of a text; `name` NULL: the only one.  The model is the caller's, to free after all
 * its calls. */
int attn_model_load(const char *path, const char *name, const attn_options *options, attn_model **model,
                    attn_message *why);
int attn_model_load_text(const char *text, size_t bytes, const char *name, const attn_options *options,
                         attn_model **model, attn_message *why);
void attn_model_free(attn_model *model); /* NULL: nothing */

/* What a model takes and gives; texts live as long as the model. */
typedef struct attn_info {
  const char *name;
  attn_type type;    /* as the kernel stores it: others of its kind are converted */
  int rank;
  const char *shape; /* "[M, D]", in the model's sizes; "" for a number */
  int is_param, has_default;
} attn_info;

int attn_model_inputs(const attn_model *model);
int attn_model_outputs(const attn_model *model);
int attn_model_sizes(const attn_model *model);
/* Number n; ATTN_ERROR_NAME where there is none. */
int attn_model_input(const attn_model *model, int n, attn_info *info);
int attn_model_output(const attn_model *model, int n, attn_info *info);
const char *attn_model_size(const attn_model *model, int n); /* NULL where there is none */

/* ---- calls ----------------------------------------------------------------------------------------- */

typedef struct attn_call attn_call;

int attn_call_new(const attn_model *model, attn_call **call, attn_message *why);
void attn_call_free(attn_call *call); /* NULL: nothing */

/* Binding.  What is bound stays bound for later runs, until it is bound again.  Arrays are read (written) where they
 * lie, during the run: they are the caller's, and are copied only to convert them.  Any type binds to a real input; i64
 * i32 u8 bool to an int; bool, or u8 of 0 and 1, to a bool.  Shapes are compared when all is there. */
int attn_call_input(attn_call *call, const char *name, const attn_array *array, attn_message *why);
/* A graph as CSR arrays: indptr [rows + 1], indices [nnz]. */
int attn_call_graph(attn_call *call, const char *name, const attn_array *indptr, const attn_array *indices,
                    attn_message *why);
/* Inputs that are numbers. */
int attn_call_real(attn_call *call, const char *name, double value, attn_message *why);
int attn_call_int(attn_call *call, const char *name, int64_t value, attn_message *why);
/* A size that follows from no shape. */
int attn_call_size(attn_call *call, const char *name, int64_t value, attn_message *why);
/* Of draws; 0 at first. */
void attn_call_seed(attn_call *call, int64_t seed);

/* Where an output goes: an array of its own type and shape that overlaps no other; NULL: it is not computed.  An output
 * that is not bound goes to memory of the call. */
int attn_call_output(attn_call *call, const char *name, const attn_array *array, attn_message *why);
/* The type and shape of an output, once the inputs are bound; data is NULL, strides are those of C order. */
int attn_call_shape(attn_call *call, const char *name, attn_array *array, attn_message *why);

/* Computes the outputs.  ATTN_ERROR_INDEX, ATTN_ERROR_DIVISOR and ATTN_ERROR_CONCAVE come from data: the message tells
 * the place in the model. After an error outputs may be partly written. */
int attn_call_run(attn_call *call, attn_message *why);
/* From any thread: the run under way ends with ATTN_ERROR_CANCELLED when the blocks of work at hand are done, of which
 * there are at most 256 in each loop over rows.  It has no results; arrays of the caller may be partly written, as
 * after any error.  If no run is under way the next one ends at once.  The call must not be freed meanwhile; it can be
 * run again. */
void attn_call_cancel(attn_call *call);
/* An output of the last run that went well.  Memory of the call is valid until its next run or question
 * about a shape. */
int attn_call_result(const attn_call *call, const char *name, attn_array *array, attn_message *why);

#ifdef __cplusplus
}
#endif

#endif
