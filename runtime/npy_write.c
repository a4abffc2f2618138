/* npy_write: writing .npy files whole or not at all.
 *
 * The elements go through one buffer to a file descriptor, so that the first failing write ends the work
 * and its errno is the reason given.  A new or regular target is written aside and renamed; only rename
 * makes the result visible.  Nothing is fsynced: the promise is about this program's failures, not about
 * power cuts. */
#define _XOPEN_SOURCE 700 /* realpath */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "npy.h"

enum { BUFFER = 1 << 16, HEADER_ROOM = 512, HEADER_ALIGN = 64, PREAMBLE = 10, NAME_TRIES = 1000 };

/* --- bytes ---------------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *p, size_t n) {
  while (n > 0) {
    ssize_t w = write(fd, p, n);
    if (w < 0 && errno == EINTR) continue;
    if (w < 0) return false;
    p += w;
    n -= (size_t)w;
  }
  return true;
}

static const char *descr_code(ElemType t) {
  switch (t) {
  case ELEMTYPE_F16: return "f2";
  case ELEMTYPE_F32: return "f4";
  case ELEMTYPE_F64: return "f8";
  case ELEMTYPE_I32: return "i4";
  case ELEMTYPE_I64: return "i8";
  case ELEMTYPE_U8: return "u1";
  case ELEMTYPE_BOOL: return "b1";
  case ELEMTYPE_BF16: return "V2";
  }
  return "";
}

static char order_mark(ElemType t) {
  const uint16_t one = 1;
  if (elem_size(t) == 1) return '|';
  return *(const unsigned char *)&one ? '<' : '>';
}

/* 16 dimensions of 20 digits fit in HEADER_ROOM with all else. */
static size_t make_header(const AttnArray *a, char *out) {
  char *text = out + PREAMBLE;
  int n = snprintf(text, HEADER_ROOM - PREAMBLE, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                   order_mark(a->type), descr_code(a->type));
  for (int k = 0; k < a->rank; k++)
    n += snprintf(text + n, (size_t)(HEADER_ROOM - PREAMBLE - n), "%" PRId64 "%s", a->shape[k],
                  a->rank == 1 ? "," : k + 1 < a->rank ? ", " : "");
  n += snprintf(text + n, (size_t)(HEADER_ROOM - PREAMBLE - n), "), }");
  size_t total = ((size_t)(PREAMBLE + n) + 1 + HEADER_ALIGN - 1) / HEADER_ALIGN * HEADER_ALIGN;
  memset(text + n, ' ', total - PREAMBLE - (size_t)n);
  out[total - 1] = '\n';
  memcpy(out, "\x93NUMPY\x01\x00", 8);
  out[8] = (char)((total - PREAMBLE) & 0xff);
  out[9] = (char)((total - PREAMBLE) >> 8);
  return total;
}

static void fill_buffer(const AttnArray *a, int64_t first, int64_t n, char *buffer) {
  array_pack(a, first, n, buffer);
  for (int64_t i = 0; a->type == ELEMTYPE_BOOL && i < n; i++) buffer[i] = buffer[i] != 0;
}

static bool write_array(int fd, const AttnArray *a) {
  char buffer[BUFFER];
  if (!write_all(fd, buffer, make_header(a, buffer))) return false;
  int64_t count = array_count(a), size = (int64_t)elem_size(a->type), step = BUFFER / size;
  for (int64_t i = 0; i < count; i += step) {
    int64_t n = count - i < step ? count - i : step;
    fill_buffer(a, i, n, buffer);
    if (!write_all(fd, buffer, (size_t)(n * size))) return false;
  }
  return true;
}

/* --- signals that would kill the process instead of failing the write ------------------------------- */

typedef struct Held {
  sigset_t before; /* the thread's mask */
  sigset_t ours;   /* of SIGPIPE and SIGXFSZ, those that were not pending already */
} Held;

static void hold_signals(Held *h) {
  static const int kinds[] = {SIGPIPE, SIGXFSZ};
  sigset_t pending, both;
  sigemptyset(&both);
  sigemptyset(&h->ours);
  sigpending(&pending);
  for (int i = 0; i < 2; i++) {
    sigaddset(&both, kinds[i]);
    if (!sigismember(&pending, kinds[i])) sigaddset(&h->ours, kinds[i]);
  }
  pthread_sigmask(SIG_BLOCK, &both, &h->before);
}

static void release_signals(const Held *h) {
  const struct timespec now = {0, 0};
  int saved = errno;
  while (sigtimedwait(&h->ours, NULL, &now) > 0) {}
  pthread_sigmask(SIG_SETMASK, &h->before, NULL);
  errno = saved;
}

/* --- files ---------------------------------------------------------------------------------------- */

static bool write_failed(const char *path, RtError *err) {
  return rt_fail(err, path, "cannot write: %s", strerror(errno));
}

/* Writes and closes; errno tells the first failure. */
static bool write_and_close(int fd, const AttnArray *a) {
  bool ok = write_array(fd, a);
  int saved = errno;
  if (close(fd) != 0 && ok) return false;
  errno = saved;
  return ok;
}

static bool write_in_place(const char *path, const AttnArray *a, RtError *err) {
  int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return rt_fail(err, path, "cannot open for writing: %s", strerror(errno));
  return write_and_close(fd, a) || write_failed(path, err);
}

/* In the folder of `path`, so that rename stays inside one file system; its own short name, so that the
 * longest legal file name still works.  open() with 0666 lets the umask decide, which mkstemp would not. */
static int open_aside(const char *path, char *aside, size_t room) {
  const char *slash = strrchr(path, '/');
  int folder = slash ? (int)(slash - path) + 1 : 0;
  for (int i = 0; i < NAME_TRIES; i++) {
    int n = snprintf(aside, room, "%.*s.npy-%ld-%d.tmp", folder, path, (long)getpid(), i);
    if (n < 0 || (size_t)n >= room) break;
    int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

static bool replace(const char *path, const struct stat *old, const AttnArray *a, RtError *err) {
  size_t room = strlen(path) + 64;
  char *aside = malloc(room);
  if (!aside) return rt_fail(err, path, "out of memory for its name");
  int fd = open_aside(path, aside, room);
  bool ok = fd >= 0;
  if (!ok) rt_fail(err, path, "cannot create a file in its folder: %s", strerror(errno));
  if (ok && old) (void)!fchmod(fd, old->st_mode & 0777);
  if (ok && !((ok = write_and_close(fd, a) && rename(aside, path) == 0))) {
    write_failed(path, err);
    unlink(aside);
  }
  free(aside);
  return ok;
}

static bool replace_existing(const char *path, const struct stat *old, const AttnArray *a, RtError *err) {
  if (access(path, W_OK) != 0) return write_failed(path, err);
  char *target = realpath(path, NULL);
  if (!target) return rt_fail(err, path, "cannot resolve: %s", strerror(errno));
  bool ok = replace(target, old, a, err);
  free(target);
  return ok;
}

static bool write_file(const char *path, const AttnArray *a, RtError *err) {
  struct stat st;
  if (stat(path, &st) != 0) {
    if (errno != ENOENT) return write_failed(path, err);
    return replace(path, NULL, a, err);
  }
  if (S_ISDIR(st.st_mode)) return rt_fail(err, path, "cannot write: is a directory");
  return S_ISREG(st.st_mode) ? replace_existing(path, &st, a, err) : write_in_place(path, a, err);
}

bool npy_write(const char *path, const AttnArray *a, RtError *err) {
  Held held;
  hold_signals(&held);
  bool ok = write_file(path, a, err);
  release_signals(&held);
  return ok;
}
