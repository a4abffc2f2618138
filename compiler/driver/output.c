/* output: PATH/ or an existing folder takes every output as NAME.npy; PATH.npy takes a single one. */
#include "driver/output.h"

#include <errno.h>
#include <math.h>
#include <sys/stat.h>

#include "npy.h"

static bool is_folder(const char *path) {
  struct stat st;
  size_t n = strlen(path);
  return (n && path[n - 1] == '/') || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

static bool ends_in_npy(const char *path) {
  size_t n = strlen(path);
  return n > 4 && !strcmp(path + n - 4, ".npy");
}

bool output_plan(const Model *m, const char *path) {
  if (!path || is_folder(path)) return true;
  if (!ends_in_npy(path)) {
    wrong("-o '%s' is neither a folder nor an .npy file", path);
    hint("write '%s/' for a folder that takes every output, '%s.npy' for a single one", path, path);
    return false;
  }
  if (m->outs.n == 1) return true;
  wrong("-o '%s' can take one output, model '%s' has %u", path, sym_text(m->names, m->name), m->outs.n);
  hint("write a folder: -o DIR/");
  return false;
}

/* Makes the folder and those above it. */
static bool make_folder(Arena *arena, const char *path) {
  char *part = arena_strndup(arena, path, strlen(path));
  for (char *c = part + 1; *c; c++) {
    if (*c != '/') continue;
    *c = 0;
    if (mkdir(part, 0777) && errno != EEXIST && errno != EISDIR) break;
    *c = '/';
  }
  struct stat st;
  if (mkdir(path, 0777) && errno != EEXIST) {
    wrong("cannot make the folder '%s': %s", path, strerror(errno));
    return false;
  }
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return true;
  wrong("'%s' is not a folder", path);
  return false;
}

static bool write_one(const char *path, const AttnArray *a) {
  RtError err;
  if (npy_write(path, a, &err)) return true;
  wrong("%s", err.message);
  return false;
}

static bool write_all(Arena *arena, const Results *r, const char *folder) {
  if (!make_folder(arena, folder)) return false;
  const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
  for (uint32_t i = 0; i < r->model->outs.n; i++) {
    const char *name = sym_text(r->model->names, r->model->outs.at[i]->name);
    if (!write_one(arena_printf(arena, "%s%s%s.npy", folder, slash, name), &r->at[i])) return false;
  }
  return true;
}

bool output_results(Arena *arena, const Results *r, const char *path) {
  if (path) return is_folder(path) ? write_all(arena, r, path) : write_one(path, &r->at[0]);
  for (uint32_t i = 0; i < r->model->outs.n; i++)
    show_array(arena, sym_text(r->model->names, r->model->outs.at[i]->name), &r->at[i], stdout);
  return true;
}

double output_element(const AttnArray *a, int64_t at) {
  switch (a->type) {
  case ELEMTYPE_F64: return ((const double *)a->data)[at];
  case ELEMTYPE_F32: return (double)((const float *)a->data)[at];
  case ELEMTYPE_I64: return (double)((const int64_t *)a->data)[at];
  case ELEMTYPE_BOOL: return ((const uint8_t *)a->data)[at];
  case ELEMTYPE_F16: case ELEMTYPE_BF16: case ELEMTYPE_I32: case ELEMTYPE_U8: break;
  }
  return NAN;
}
