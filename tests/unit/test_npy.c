/* .npy files: agreement with NumPy, hostile headers, and writing that never leaves half a file.
 * A file read from memory is copied into a block of exactly its size, so that ASan sees any byte too far. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <dirent.h>
#include <unistd.h>

#include "npy.h"

/* --- helpers -------------------------------------------------------------------------------------- */

static char folder[64];

static void make_folder(void) {
  strcpy(folder, "/tmp/attn-npy-XXXXXX");
  cr_assert(mkdtemp(folder));
}

static int entries(void) {
  int n = 0;
  DIR *d = opendir(folder);
  while (readdir(d)) n++;
  closedir(d);
  return n - 2;
}

static void remove_folder(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  cr_assert_eq(system(command), 0);
}

static const char *in_folder(const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void put_file(const char *path, const void *bytes, size_t n) {
  FILE *f = fopen(path, "wb");
  cr_assert(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

/* Version 1.0 with the given header, then n bytes of data 0, 1, 2, ...; returns the size. */
static size_t make_file(unsigned char *out, const char *header, size_t n) {
  size_t length = strlen(header);
  memcpy(out, "\x93NUMPY\x01\x00", 8);
  out[8] = (unsigned char)(length & 0xff), out[9] = (unsigned char)(length >> 8);
  memcpy(out + 10, header, length);
  for (size_t i = 0; i < n; i++) out[10 + length + i] = (unsigned char)i;
  return 10 + length + n;
}

static bool read_exact_block(const void *bytes, size_t n, AttnArray *a, RtError *err) {
  unsigned char *block = malloc(n ? n : 1);
  if (n) memcpy(block, bytes, n);
  bool ok = npy_read_memory(block, n, "x.npy", a, err);
  free(block);
  return ok;
}

static bool read_header_and(const char *header, size_t data, AttnArray *a, RtError *err) {
  unsigned char file[1024];
  *err = (RtError){""};
  return read_exact_block(file, make_file(file, header, data), a, err);
}

static void refuse(const char *header, size_t data, const char *message) {
  AttnArray a;
  RtError err;
  cr_assert(!read_header_and(header, data, &a, &err), "accepted: %s", header);
  cr_assert(strstr(err.message, "x.npy: ") == err.message, "no file name: %s", err.message);
  cr_assert(strstr(err.message, message), "header %s\n  says:  %s\n  want:  %s", header, err.message, message);
  cr_assert_null(a.data);
}

/* --- with NumPy ----------------------------------------------------------------------------------- */

#ifdef NUMPY_PYTHON

typedef struct Shape { const char *name; int rank; int64_t shape[4]; } Shape;

static const Shape shapes[] = {
    {"scalar", 0, {0}}, {"vec", 1, {5}}, {"mat", 2, {3, 4}}, {"cube", 3, {2, 3, 4}}, {"none", 3, {3, 0, 2}},
    {"one", 4, {1, 1, 7, 1}},
};
typedef struct Type { const char *name; ElemType type; } Type;
static const Type types[] = {
    {"f2", ELEMTYPE_F16}, {"f4", ELEMTYPE_F32}, {"f8", ELEMTYPE_F64},  {"i4", ELEMTYPE_I32},
    {"i8", ELEMTYPE_I64}, {"u1", ELEMTYPE_U8},  {"b1", ELEMTYPE_BOOL}, {"V2", ELEMTYPE_BF16},
};
enum { SHAPES = sizeof shapes / sizeof *shapes, TYPES = sizeof types / sizeof *types };

static void numpy(const char *verb) {
  char command[512];
  snprintf(command, sizeof command, "'%s' '%s' %s '%s'", NUMPY_PYTHON, NUMPY_SCRIPT, verb, folder);
  cr_assert_eq(system(command), 0, "%s", command);
}

static double expected(ElemType t, int64_t i) { return t == ELEMTYPE_BOOL ? i % 3 != 0 : (double)i; }

static void check_counting(const char *path, const Type *t, const Shape *s) {
  AttnArray a, d;
  RtError err = {""};
  cr_assert(npy_read(path, &a, &err), "%s", err.message);
  cr_assert(a.type == t->type && a.rank == s->rank, "%s", path);
  for (int k = 0; k < s->rank; k++) cr_assert_eq(a.shape[k], s->shape[k], "%s", path);
  cr_assert(array_convert(&a, ELEMTYPE_F64, &d, path, &err), "%s", err.message);
  for (int64_t i = 0; i < array_count(&d); i++)
    cr_assert_eq(((double *)d.data)[i], expected(t->type, i), "%s element %d", path, (int)i);
  array_free(&a);
  array_free(&d);
}

Test(npy, reads_what_numpy_writes, .init = make_folder, .fini = remove_folder) {
  char name[64];
  numpy("write");
  for (int t = 0; t < TYPES; t++)
    for (int form = 0; form < 12; form++)
      for (int s = 0; s < SHAPES; s++) {
        snprintf(name, sizeof name, "%s_%c%c%d_%s.npy", types[t].name, "lb"[form & 1], "CF"[form >> 1 & 1],
                 1 + form / 4, shapes[s].name);
        check_counting(in_folder(name), &types[t], &shapes[s]);
      }
}

static void refuse_file(const char *name, const char *message) {
  AttnArray a;
  RtError err = {""};
  cr_assert(!npy_read(in_folder(name), &a, &err), "accepted: %s", name);
  cr_assert(strstr(err.message, name) && strstr(err.message, message), "%s says: %s", name, err.message);
}

Test(npy, refuses_what_it_cannot_hold, .init = make_folder, .fini = remove_folder) {
  static const char *bad[] = {"b", "h", "H", "I", "L", "F", "D", "S", "U", "M", "g"};
  char name[64];
  numpy("write");
  refuse_file("object.npy", "Python objects, dtype '|O' not supported; accepted are f2 f4 f8 i4 i8 u1 b1");
  refuse_file("struct.npy", "structured dtypes are not supported");
  refuse_file("archive.npz", "zip archive");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    snprintf(name, sizeof name, "bad_%s.npy", bad[i]);
    refuse_file(name, "not supported; accepted are f2 f4 f8 i4 i8 u1 b1 of any byte order");
  }
}

static void write_counting(const Type *t, const Shape *s) {
  AttnArray a;
  char name[64];
  RtError err = {""};
  cr_assert(array_alloc(&a, t->type, s->rank, s->shape, NULL, NULL));
  for (int64_t i = 0; i < array_count(&a); i++) {
    float x = (float)i;
    uint16_t h = f32_to_f16(x), brain = f32_to_bf16(x);
    double d = x;
    int32_t j = (int32_t)i;
    unsigned char b = (unsigned char)(t->type == ELEMTYPE_BOOL ? 7 * (i % 3) : i);
    const void *bits[ELEMTYPE_COUNT] = {&h, &brain, &x, &d, &j, &i, &b, &b};
    memcpy((char *)a.data + (size_t)i * elem_size(t->type), bits[t->type], elem_size(t->type));
  }
  snprintf(name, sizeof name, "out_%s_%s.npy", t->name, s->name);
  cr_assert(npy_write(in_folder(name), &a, &err), "%s", err.message);
  array_free(&a);
}

Test(npy, writes_what_numpy_reads, .init = make_folder, .fini = remove_folder) {
  double x[12];
  AttnArray a;
  for (int t = 0; t < TYPES; t++)
    for (int s = 0; s < SHAPES; s++) write_counting(&types[t], &shapes[s]);
  for (int i = 0; i < 12; i++) x[i] = i;
  array_view(&a, x, ELEMTYPE_F64, 2, (int64_t[]){4, 3});
  a.data = x + 3;
  a.stride[0] = -1, a.stride[1] = 4;
  cr_assert(npy_write(in_folder("out_transposed.npy"), &a, NULL));
  cr_assert_eq(entries(), TYPES * SHAPES + 1);
  numpy("check");
}

#endif

/* --- headers -------------------------------------------------------------------------------------- */

Test(npy, accepts_any_spelling_of_the_dict) {
  static const char *good[] = {
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n",
      "{'descr':'<f4','fortran_order':False,'shape':(2,3)}",
      " \t{ \"shape\" : ( 2 , 3 , ) , \"fortran_order\" : False , \"descr\" : \"<f4\" , } \r\n\n",
      "{'shape': (2L, 3L), 'descr': '<f4', 'fortran_order': False}",
  };
  AttnArray a;
  RtError err;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    cr_assert(read_header_and(good[i], 24, &a, &err), "%s", err.message);
    cr_assert(a.rank == 2 && a.shape[0] == 2 && a.shape[1] == 3 && a.stride[0] == 3 && a.type == ELEMTYPE_F32);
    array_free(&a);
  }
  cr_assert(read_header_and("{'descr': 'b1', 'fortran_order': True, 'shape': (3,)}", 3, &a, &err), "%s", err.message);
  cr_assert(((unsigned char *)a.data)[2] == 1, "bools are 0 or 1");
  array_free(&a);
  cr_assert(read_header_and("{'descr': '=i4', 'fortran_order': False, 'shape': (0, 5)}", 0, &a, &err));
  array_free(&a);
  cr_assert(read_header_and("{'descr': '>f8', 'fortran_order': False, 'shape': ()}", 100, &a, &err), "bytes too many");
  array_free(&a);
}

#define HEAD "{'descr': '<f4', 'fortran_order': False, 'shape': "

Test(npy, refuses_malformed_headers) {
  refuse("", 0, "ends where '{' is expected");
  refuse("[]", 0, "expected '{', found '['");
  refuse("{", 0, "ends where a key or '}' is expected");
  refuse("{}", 0, "lacks the key 'descr'");
  refuse("{'descr': '<f4', 'shape': ()}", 4, "lacks the key 'fortran_order'");
  refuse("{'descr': '<f4', 'fortran_order': False}", 4, "lacks the key 'shape'");
  refuse("{'descr': '<f4', 'descr': '<f4'}", 4, "'descr' stands twice");
  refuse("{'color': 1}", 4, "unknown key 'color'");
  refuse("{'descr' '<f4'}", 4, "expected ':'");
  refuse("{'descr': <f4}", 4, "a string for 'descr', found '<'");
  refuse("{'descr': '<f4", 4, "ends where the end of a string is expected");
  refuse("{'descr': '\\x3cf4'", 4, "a plain string");
  refuse("{'descr': '<f4' 'shape': ()}", 4, "',' or '}'");
  refuse("{'fortran_order': 0}", 4, "True or False");
  refuse("{,}", 4, "a key or '}'");
  refuse("{'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa': 1}", 4,
         "a string of over 63 bytes");
  refuse(HEAD "(2,)} import os", 8, "the end of the header, found 'i'");
  refuse(HEAD "__import__('os').system('false')}", 8, "a tuple for 'shape', found '_'");
  refuse(HEAD "3}", 12, "a tuple for 'shape'");
  refuse(HEAD "[3]}", 12, "a tuple for 'shape'");
  refuse(HEAD "(3)}", 12, "a tuple of one");
  refuse(HEAD "(,)}", 12, "a dimension");
  refuse(HEAD "(2 2)}", 12, "',' or ')'");
  refuse(HEAD "(2,,2)}", 12, "a dimension, found ','");
  refuse(HEAD "(2.0, 2)}", 12, "',' or ')', found '.'");
  refuse(HEAD "(0x2,)}", 12, "found 'x'");
  refuse(HEAD "(2,\xff)}", 12, "a control or non-ASCII byte");
  refuse(HEAD "(2,", 12, "ends where a dimension is expected");
  refuse(HEAD "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}", 12, "more than 16 dimensions");
}

Test(npy, refuses_impossible_sizes) {
  refuse(HEAD "(-3,)}", 12, "the dimension -3 in the .npy header is negative");
  refuse(HEAD "(9223372036854775808,)}", 12, "exceeds 2^63 - 1");
  refuse(HEAD "(99999999999999999999999999999999,)}", 12, "exceeds 2^63 - 1");
  refuse(HEAD "(9223372036854775807,)}", 12, "too large to address");
  refuse(HEAD "(4294967296, 4294967296)}", 12, "shape [4294967296, 4294967296] in the .npy header is too large");
  refuse(HEAD "(0, 4294967296, 4294967296)}", 0, "too large to address");
  refuse(HEAD "(1000000000000,)}", 12, "needs 4000000000000 bytes of data, the file holds 12");
  refuse(HEAD "(4,)}", 15, "shape [4] of f32 needs 16 bytes of data, the file holds 15");
}

Test(npy, refuses_other_element_types) {
  refuse("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", 8, "Python objects");
  refuse("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", 8, "structured");
  refuse("{'descr': '', 'fortran_order': False, 'shape': (1,)}", 8, "dtype '' not supported");
  refuse("{'descr': '<f44', 'fortran_order': False, 'shape': (1,)}", 8, "dtype '<f44' not supported; accepted are f2");
  refuse("{'descr': '<<f4', 'fortran_order': False, 'shape': (1,)}", 8, "not supported");
}

/* Every prefix of a good file is truncated somewhere, and says so; no byte changed makes it read outside. */
Test(npy, survives_truncation_and_damage) {
  unsigned char file[256];
  AttnArray a;
  RtError err;
  size_t n = make_file(file, HEAD "(2, 3), }", 24);
  for (size_t k = 0; k < n; k++) {
    cr_assert(!read_exact_block(file, k, &a, &err), "a prefix of %zu bytes was accepted", k);
    cr_assert(strstr(err.message, k == 0 ? "empty" : k < 6 ? "magic" : "truncated"), "%zu: %s", k, err.message);
  }
  for (size_t k = 0; k < n; k++)
    for (int value = 0; value < 256; value++) {
      unsigned char kept = file[k];
      file[k] = (unsigned char)value;
      if (read_exact_block(file, n, &a, &err)) array_free(&a);
      file[k] = kept;
    }
}

Test(npy, refuses_other_preambles) {
  AttnArray a;
  RtError err;
  cr_assert(!read_exact_block("\x93NUMPY\x04\x00\x10\x00\x00\x00", 12, &a, &err));
  cr_assert_str_eq(err.message, "x.npy: .npy version 4.0 is not supported; accepted are 1.0, 2.0 and 3.0");
  cr_assert(!read_exact_block("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12, &a, &err));
  cr_assert_str_eq(err.message, "x.npy: a .npy header of 4294967295 bytes; at most 65536 are accepted");
  cr_assert(!read_exact_block("1,2,3\n4,5,6\n", 12, &a, &err));
  cr_assert_str_eq(err.message, "x.npy: not a .npy file (it does not start with the magic \\x93NUMPY)");
  cr_assert(!npy_read_memory(NULL, 0, "x.npy", &a, &err));
  cr_assert_str_eq(err.message, "x.npy: the file is empty");
}

/* --- files that are no files ------------------------------------------------------------------------ */

static void refuse_path(const char *path, const char *message) {
  AttnArray a;
  RtError err = {""};
  cr_assert(!npy_read(path, &a, &err));
  cr_assert(strstr(err.message, path) == err.message && strstr(err.message, message), "%s", err.message);
}

Test(npy, refuses_unreadable_paths, .init = make_folder, .fini = remove_folder) {
  refuse_path(folder, "is a directory");
  refuse_path(in_folder("missing.npy"), "cannot open: No such file or directory");
  put_file(in_folder("empty.npy"), "", 0);
  refuse_path(in_folder("empty.npy"), "the file is empty");
  refuse_path("/dev/null", "the file is empty");
  refuse_path("/dev/zero", "not a .npy file");
  if (geteuid() == 0) return; /* root reads everything */
  cr_assert_eq(chmod(in_folder("empty.npy"), 0), 0);
  refuse_path(in_folder("empty.npy"), "cannot open: Permission denied");
}

typedef struct Feed { char path[256]; const unsigned char *bytes; size_t n; } Feed;

static void *feed(void *arg) {
  const Feed *f = arg;
  FILE *out = fopen(f->path, "wb");
  if (out) {
    fwrite(f->bytes, 1, f->n, out);
    fclose(out);
  }
  return NULL;
}

static bool read_through_fifo(const unsigned char *bytes, size_t n, AttnArray *a, RtError *err) {
  Feed f = {.bytes = bytes, .n = n};
  pthread_t thread;
  strcpy(f.path, in_folder("fifo"));
  unlink(f.path);
  cr_assert_eq(mkfifo(f.path, 0600), 0);
  cr_assert_eq(pthread_create(&thread, NULL, feed, &f), 0);
  bool ok = npy_read(f.path, a, err);
  pthread_join(thread, NULL);
  return ok;
}

Test(npy, reads_a_pipe_in_growing_blocks, .init = make_folder, .fini = remove_folder) {
  enum { DATA = 3333332 };
  unsigned char *file = malloc(DATA + 200);
  AttnArray a;
  RtError err;
  size_t n = make_file(file, HEAD "(833333,), }", DATA);
  cr_assert(read_through_fifo(file, n, &a, &err), "%s", err.message);
  cr_assert(a.shape[0] == 833333 && memcmp(a.data, file + n - DATA, DATA) == 0);
  array_free(&a);
  cr_assert(!read_through_fifo(file, n - 1, &a, &err));
  cr_assert(strstr(err.message, "needs 3333332 bytes of data, the file holds 3333331"), "%s", err.message);
  n = make_file(file, HEAD "(1000000000000000, 1000), }", 100);
  cr_assert(!read_through_fifo(file, n, &a, &err), "must not ask for 4e18 bytes before they come");
  cr_assert(strstr(err.message, "the file holds 100"), "%s", err.message);
  free(file);
}

/* --- writing -------------------------------------------------------------------------------------- */

static AttnArray numbers(int64_t n) {
  AttnArray a;
  cr_assert(array_alloc(&a, ELEMTYPE_F64, 1, &n, NULL, NULL));
  return a;
}

Test(npy, a_full_disk_is_an_error) {
  AttnArray a = numbers(100);
  RtError err = {""};
  cr_assert(npy_write("/dev/null", &a, &err));
  cr_assert(!npy_write("/dev/full", &a, &err));
  cr_assert_str_eq(err.message, "/dev/full: cannot write: No space left on device");
  array_free(&a);
}

/* A limit on the file size fails inside the data, as a full disk would; SIGXFSZ must not kill. */
Test(npy, a_failed_write_leaves_the_old_file_alone, .init = make_folder, .fini = remove_folder) {
  AttnArray small = numbers(1), large = numbers(100000), back;
  RtError err = {""};
  const char *path = in_folder("x.npy");
  cr_assert(npy_write(path, &small, &err) && entries() == 1);
  struct rlimit limit = {200000, RLIM_INFINITY}, old;
  getrlimit(RLIMIT_FSIZE, &old);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
  cr_assert(!npy_write(path, &large, &err));
  cr_assert(strstr(err.message, "x.npy: cannot write: File too large"), "%s", err.message);
  cr_assert(!npy_write(in_folder("new.npy"), &large, &err));
  setrlimit(RLIMIT_FSIZE, &old);
  cr_assert_eq(entries(), 1, "a temporary file was left");
  cr_assert(npy_read(in_folder("x.npy"), &back, &err) && back.shape[0] == 1, "%s", err.message);
  array_free(&back);
  cr_assert(npy_write(in_folder("x.npy"), &large, &err) && entries() == 1);
  array_free(&small);
  array_free(&large);
}

static void *read_little(void *arg) {
  char buffer[64];
  int fd = open(arg, O_RDONLY);
  ssize_t got = read(fd, buffer, sizeof buffer);
  close(fd);
  return got == sizeof buffer ? arg : NULL;
}

Test(npy, a_reader_that_goes_away_is_an_error, .init = make_folder, .fini = remove_folder) {
  AttnArray a = numbers(1000000);
  RtError err = {""};
  pthread_t thread;
  void *result;
  char path[256];
  strcpy(path, in_folder("fifo"));
  cr_assert_eq(mkfifo(path, 0600), 0);
  cr_assert_eq(pthread_create(&thread, NULL, read_little, path), 0);
  cr_assert(!npy_write(path, &a, &err));
  cr_assert(strstr(err.message, "cannot write: Broken pipe"), "%s", err.message);
  pthread_join(thread, &result);
  sigset_t pending;
  sigpending(&pending);
  cr_assert(result && !sigismember(&pending, SIGPIPE));
  array_free(&a);
}

Test(npy, targets_of_every_kind, .init = make_folder, .fini = remove_folder) {
  AttnArray a = numbers(3);
  RtError err = {""};
  struct stat st;
  char link_path[256], long_name[256];
  cr_assert(!npy_write(folder, &a, &err) && strstr(err.message, "is a directory"), "%s", err.message);
  cr_assert(!npy_write(in_folder("no/x.npy"), &a, &err) && strstr(err.message, "No such file"), "%s", err.message);
  cr_assert(!npy_write("", &a, &err) && err.message[0]);
  put_file(in_folder("real.npy"), "old", 3);
  cr_assert_eq(chmod(in_folder("real.npy"), 0640), 0);
  strcpy(link_path, in_folder("link.npy"));
  cr_assert_eq(symlink("real.npy", link_path), 0);
  cr_assert(npy_write(link_path, &a, &err), "%s", err.message);
  cr_assert(lstat(link_path, &st) == 0 && S_ISLNK(st.st_mode), "the link was replaced");
  cr_assert(stat(in_folder("real.npy"), &st) == 0 && (st.st_mode & 0777) == 0640 && st.st_size == 128 + 24);
  memset(long_name, 'n', 255);
  long_name[255] = '\0';
  char *path = malloc(512);
  snprintf(path, 512, "%s/%s", folder, long_name);
  cr_assert(npy_write(path, &a, &err), "%s", err.message);
  free(path);
  cr_assert_eq(entries(), 3);
  array_free(&a);
}
