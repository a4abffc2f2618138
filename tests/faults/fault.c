/* fault: see fault.h. */
#define _GNU_SOURCE 1
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static FaultKind kind;
static atomic_long left; /* calls until the one that fails */
static atomic_bool came;
static atomic_uint moved;

void fault_begin(FaultKind k, long n) {
  kind = k;
  atomic_store(&left, n);
  atomic_store(&came, false);
}

bool fault_came(void) { return atomic_load(&came); }

static bool fails(FaultKind k, int why) {
  if (kind != k || atomic_fetch_sub(&left, 1) != 1) return false;
  atomic_store(&came, true);
  errno = why;
  return true;
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n) { return fails(FAULT_MEMORY, ENOMEM) ? NULL : __real_malloc(n); }

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size) { return fails(FAULT_MEMORY, ENOMEM) ? NULL : __real_calloc(n, size); }

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n) { return fails(FAULT_MEMORY, ENOMEM) ? NULL : __real_realloc(p, n); }

void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n) {
  return fails(FAULT_MEMORY, ENOMEM) ? NULL : __real_aligned_alloc(align, n);
}

char *__real_realpath(const char *path, char *to);
char *__wrap_realpath(const char *path, char *to);
char *__wrap_realpath(const char *path, char *to) {
  return fails(FAULT_MEMORY, ENOMEM) ? NULL : __real_realpath(path, to);
}

FILE *__real_open_memstream(char **at, size_t *n);
FILE *__wrap_open_memstream(char **at, size_t *n);
FILE *__wrap_open_memstream(char **at, size_t *n) {
  return fails(FAULT_MEMORY, ENOMEM) ? NULL : __real_open_memstream(at, n);
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode) {
  return fails(FAULT_MEMORY, ENOMEM) ? NULL : __real_fopen(path, mode);
}

typedef void *Work(void *);
int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, Work *work, void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, Work *work, void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, Work *work, void *arg) {
  return fails(FAULT_MEMORY, EAGAIN) ? EAGAIN : __real_pthread_create(t, a, work, arg);
}

/* ---- bytes --------------------------------------------------------------------------------------------------- */

/* How many bytes of n may move; -1: interrupted. */
static ssize_t share(size_t n) {
  if (kind != FAULT_BYTES) return (ssize_t)n;
  if (atomic_fetch_add(&moved, 1) % 3 == 2) return errno = EINTR, -1;
  return n > 0;
}

ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n) {
  ssize_t most = share(n);
  return fails(FAULT_READ, EIO) || most < 0 ? -1 : __real_read(fd, to, (size_t)most);
}

ssize_t __real_write(int fd, const void *from, size_t n);
ssize_t __wrap_write(int fd, const void *from, size_t n);
ssize_t __wrap_write(int fd, const void *from, size_t n) {
  ssize_t most = share(n);
  return fails(FAULT_WRITE, ENOSPC) || most < 0 ? -1 : __real_write(fd, from, (size_t)most);
}

/* ---- files --------------------------------------------------------------------------------------------------- */

static mode_t mode_in(int flags, va_list more) { return flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0; }

int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = mode_in(flags, more);
  va_end(more);
  return fails(FAULT_FILE, EMFILE) ? -1 : __real_open(path, flags, mode);
}

int __real_openat(int folder, const char *path, int flags, mode_t mode);
int __wrap_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = mode_in(flags, more);
  va_end(more);
  return fails(FAULT_FILE, EMFILE) ? -1 : __real_openat(folder, path, flags, mode);
}

/* The descriptor is gone all the same, as on Linux, and what was written is lost. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd) {
  bool bad = fails(FAULT_FILE, EIO);
  if (bad && ftruncate(fd, 0)) errno = EIO; /* it was only read */
  int status = __real_close(fd);
  if (bad) errno = EIO;
  return bad ? -1 : status;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to) { return fails(FAULT_FILE, ENOSPC) ? -1 : __real_rename(from, to); }

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode) { return fails(FAULT_FILE, ENOSPC) ? -1 : __real_mkdir(path, mode); }

int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st) { return fails(FAULT_FILE, EIO) ? -1 : __real_fstat(fd, st); }
