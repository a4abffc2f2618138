/* npy: reading.  One path for files and memory: a Source hands out bytes in order and may know how many
 * are left.  Where it knows (regular file, memory), a header that promises more is refused before anything
 * is allocated; where it does not (pipe), the block grows with what has arrived.  See npy.h. */
#include "npy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROW_FIRST = 1 << 20, MAGIC_SIZE = 6, READ_MAX = 1 << 30 };

static const char magic[] = "\x93NUMPY";

typedef struct Source {
  const char *name;
  const unsigned char *memory; /* next byte, or NULL: read from fd */
  int fd;
  bool sized;   /* left is known */
  uint64_t left; /* bytes not yet handed out */
} Source;

static ssize_t read_some(int fd, unsigned char *to, size_t n) {
  ssize_t got;
  do got = read(fd, to, n < READ_MAX ? n : READ_MAX);
  while (got < 0 && errno == EINTR);
  return got;
}

static bool read_fd(Source *s, unsigned char *to, size_t n, size_t *got, RtError *err) {
  for (*got = 0; *got < n;) {
    ssize_t r = read_some(s->fd, to + *got, n - *got);
    if (r < 0) return rt_fail(err, s->name, "cannot read: %s", strerror(errno));
    if (r == 0) break;
    *got += (size_t)r;
  }
  return true;
}

/* Up to n bytes; fewer only at the end.  False: the system refused to read. */
static bool source_read(Source *s, void *to, size_t n, size_t *got, RtError *err) {
  if (s->memory) {
    *got = n < s->left ? n : (size_t)s->left;
    if (*got) memcpy(to, s->memory, *got);
    s->memory += *got;
  } else if (!read_fd(s, to, n, got, err)) {
    return false;
  }
  if (s->sized) s->left -= *got < s->left ? *got : s->left;
  return true;
}

static bool source_exact(Source *s, void *to, size_t n, const char *what, RtError *err) {
  size_t got;
  if (!source_read(s, to, n, &got, err)) return false;
  return got == n || rt_fail(err, s->name, "truncated .npy file: it ends inside %s", what);
}

static bool not_npy(const Source *s, const unsigned char *head, size_t n, RtError *err) {
  if (n == 0) return rt_fail(err, s->name, "the file is empty");
  if (n >= 2 && memcmp(head, "PK", 2) == 0)
    return rt_fail(err, s->name, "not a .npy file but a zip archive (.npz?); save one array with numpy.save");
  return rt_fail(err, s->name, "not a .npy file (it does not start with the magic \\x93NUMPY)");
}

static bool read_header_length(Source *s, size_t *length, RtError *err) {
  unsigned char head[NPY_PREAMBLE_MAX];
  size_t got;
  if (!source_read(s, head, MAGIC_SIZE, &got, err)) return false;
  if (got < MAGIC_SIZE || memcmp(head, magic, MAGIC_SIZE) != 0) return not_npy(s, head, got, err);
  if (!source_exact(s, head, 2, "the version", err)) return false;
  if (head[0] < 1 || head[0] > 3 || head[1] != 0)
    return rt_fail(err, s->name, ".npy version %d.%d is not supported; accepted are 1.0, 2.0 and 3.0", head[0],
                   head[1]);
  int bytes = head[0] == 1 ? 2 : 4;
  if (!source_exact(s, head, (size_t)bytes, "the header length", err)) return false;
  *length = 0;
  for (int i = bytes - 1; i >= 0; i--) *length = *length << 8 | head[i];
  if (*length > NPY_HEADER_MAX)
    return rt_fail(err, s->name, "a .npy header of %zu bytes; at most %d are accepted", *length, NPY_HEADER_MAX);
  return true;
}

static bool read_header(Source *s, NpyHeader *h, RtError *err) {
  size_t length = 0;
  if (!read_header_length(s, &length, err)) return false;
  char *text = malloc(length + 1);
  if (!text) return rt_fail(err, s->name, "out of memory for a header of %zu bytes", length);
  bool ok = source_exact(s, text, length, "the header", err) && npy_parse_header(text, length, s->name, h, err);
  free(text);
  return ok;
}

static bool too_short(const Source *s, const NpyHeader *h, uint64_t need, uint64_t have, RtError *err) {
  char text[128];
  return rt_fail(err, s->name,
                 "truncated .npy file: shape %s of %s needs %" PRIu64 " bytes of data, the file holds %" PRIu64,
                 shape_text(h->rank, h->shape, text, sizeof text), elem_name(h->type), need, have);
}

static bool read_sized(Source *s, const NpyHeader *h, size_t need, unsigned char **data, RtError *err) {
  size_t got;
  if (need > s->left) return too_short(s, h, need, s->left, err);
  *data = malloc(need ? need : 1);
  if (!*data) return rt_fail(err, s->name, "out of memory: the array needs %zu bytes", need);
  if (!source_read(s, *data, need, &got, err)) return false;
  return got == need || too_short(s, h, need, got, err);
}

static bool read_growing(Source *s, const NpyHeader *h, size_t need, unsigned char **data, RtError *err) {
  size_t room = 0, filled = 0, got;
  do {
    size_t next = room ? (room > need / 2 ? need : 2 * room) : need < GROW_FIRST ? need : GROW_FIRST;
    unsigned char *larger = realloc(*data, next ? next : 1);
    if (!larger) return rt_fail(err, s->name, "out of memory: the array needs %zu bytes", need);
    *data = larger;
    if (!source_read(s, larger + filled, next - room, &got, err)) return false;
    filled += got;
    room = next;
  } while (filled == room && room < need);
  return filled == need || too_short(s, h, need, filled, err);
}

static void swap_bytes(unsigned char *p, int64_t count, size_t size) {
  for (; count > 0; count--, p += size)
    for (size_t i = 0; i < size / 2; i++) {
      unsigned char t = p[i];
      p[i] = p[size - 1 - i];
      p[size - 1 - i] = t;
    }
}

static void normalise(const NpyHeader *h, unsigned char *data, int64_t count) {
  if (h->swapped) swap_bytes(data, count, elem_size(h->type));
  for (int64_t i = 0; h->type == ELEMTYPE_BOOL && i < count; i++) data[i] = data[i] != 0;
}

static bool read_array(Source *s, AttnArray *a, RtError *err) {
  NpyHeader h;
  int64_t count = 0;
  unsigned char *data = NULL;
  *a = (AttnArray){.type = ELEMTYPE_F64};
  if (!read_header(s, &h, err)) return false;
  shape_count(h.rank, h.shape, elem_size(h.type), &count);
  size_t need = (size_t)count * elem_size(h.type);
  if (!(s->sized ? read_sized : read_growing)(s, &h, need, &data, err)) {
    free(data);
    return false;
  }
  normalise(&h, data, count);
  array_view(a, data, h.type, h.rank, h.shape);
  shape_strides(h.rank, h.shape, h.fortran, a->stride);
  a->owned = true;
  return true;
}

bool npy_read_memory(const void *bytes, size_t n, const char *name, AttnArray *a, RtError *err) {
  Source s = {.name = name, .memory = n ? bytes : (const void *)"", .fd = -1, .sized = true, .left = n};
  return read_array(&s, a, err);
}

/* A regular file of size 0 may be one of /proc, which has bytes all the same. */
static bool source_open(Source *s, RtError *err) {
  struct stat st;
  s->fd = open(s->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (s->fd < 0) return rt_fail(err, s->name, "cannot open: %s", strerror(errno));
  if (fstat(s->fd, &st) != 0) return rt_fail(err, s->name, "cannot examine: %s", strerror(errno));
  if (S_ISDIR(st.st_mode)) return rt_fail(err, s->name, "is a directory, not a .npy file");
  s->sized = S_ISREG(st.st_mode) && st.st_size > 0;
  s->left = s->sized ? (uint64_t)st.st_size : 0;
  return true;
}

bool npy_read(const char *path, AttnArray *a, RtError *err) {
  Source s = {.name = path};
  *a = (AttnArray){.type = ELEMTYPE_F64};
  bool ok = source_open(&s, err) && read_array(&s, a, err);
  if (s.fd >= 0) close(s.fd);
  return ok;
}
