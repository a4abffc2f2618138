/* cache: see cache.h.
 *
 *   File   head, sites, objects.   The head's sum is that of the head, the sum itself being 0, and the rest. */
#include "back/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <llvm-c/blake3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "build_id.h"
#include "ir/walk.h"

enum { FILES_MAX = 65536, NAME_BYTES = 2 * CACHE_KEY_BYTES + 3 };
static const char magic[8] = "attn o2";
static const char suffix[] = ".o";

typedef struct Head {
  char magic[8];
  CacheKey key, sum;
  uint64_t sites, object[OBJECT_PARTS]; /* how many, and bytes; 0: no further object */
} Head;

/* ---- hashes ------------------------------------------------------------------------------------------- */

static void add(llvm_blake3_hasher *h, const void *bytes, size_t n) {
  uint64_t size = n;
  llvm_blake3_hasher_update(h, &size, sizeof size); /* so that two texts in a row are not one */
  llvm_blake3_hasher_update(h, bytes, n);
}
static void add_text(llvm_blake3_hasher *h, const char *s) { add(h, s, strlen(s)); }
static void add_number(llvm_blake3_hasher *h, int64_t x) { llvm_blake3_hasher_update(h, &x, sizeof x); }

static CacheKey finish(llvm_blake3_hasher *h) {
  CacheKey k;
  llvm_blake3_hasher_finalize(h, k.byte, sizeof k.byte);
  return k;
}

typedef struct Spans { const Kernel *k; llvm_blake3_hasher *h; } Spans;

static void add_check(void *ctx, Val v) {
  Spans *s = ctx;
  const Instr *i = ir_at(s->k, v);
  if (!ir_is_check(i->op)) return;
  add_number(s->h, i->span.lo);
  add_number(s->h, i->span.hi);
}

static void add_kernel(llvm_blake3_hasher *h, const Kernel *k) {
  size_t n;
  Text *text = text_open(k->arena);
  ir_print(k, text->to);
  const char *printed = text_close(text, &n);
  add(h, printed, n);
  walk_code(k, k->top, add_check, &(Spans){k, h});
}

static void add_machine(llvm_blake3_hasher *h, LLVMTargetMachineRef m) {
  char *text[] = {LLVMGetTargetMachineTriple(m), LLVMGetTargetMachineCPU(m), LLVMGetTargetMachineFeatureString(m)};
  for (int n = 0; n < 3; n++) {
    add_text(h, text[n]);
    LLVMDisposeMessage(text[n]);
  }
}

CacheKey cache_key(const Emit *e, const BackOptions *o) {
  llvm_blake3_hasher h;
  llvm_blake3_hasher_init(&h);
  add_text(&h, ATTN_VERSION " " ATTN_BUILD_ID);
  add_text(&h, back_version());
  add_machine(&h, e->machine);
  add_number(&h, o->f64 | o->optimise << 1 | o->levels << 2 | o->tile << 3);
  for (uint32_t n = 0; n < e->k->sizes.n; n++) add_number(&h, o->sizes ? o->sizes[n] : -1);
  for (uint32_t n = 0; e->plan && n < e->plan->rows.n; n++) {
    const TileRows *rows = e->plan->rows.at[n];
    add_number(&h, rows->around != NULL);
    for (uint32_t m = 0; m < rows->streams.n; m++) add_number(&h, rows->streams.at[m]->few);
  }
  add_kernel(&h, e->k);
  return finish(&h);
}

static CacheKey sum_of(Head head, const void *rest, size_t n) {
  llvm_blake3_hasher h;
  head.sum = (CacheKey){{0}};
  llvm_blake3_hasher_init(&h);
  add(&h, &head, sizeof head);
  add(&h, rest, n);
  return finish(&h);
}

/* ---- the folder ----------------------------------------------------------------------------------------- */

static void make_folders(Arena *arena, const char *path) {
  char *part = arena_strndup(arena, path, strlen(path));
  for (char *c = part + 1; *c; c++) {
    if (*c != '/') continue;
    *c = 0;
    mkdir(part, 0700);
    *c = '/';
  }
  mkdir(part, 0700);
}

/* A descriptor of a folder that is ours alone; -1: there is none. */
static int open_folder(Arena *arena, const char *path, bool make) {
  struct stat st;
  if (make) make_folders(arena, path);
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & 077)) return fd;
  close(fd);
  return -1;
}

static void name_of(const CacheKey *key, char *name) {
  for (int n = 0; n < CACHE_KEY_BYTES; n++) snprintf(name + 2 * n, 3, "%02x", key->byte[n]);
  memcpy(name + 2 * CACHE_KEY_BYTES, suffix, sizeof suffix);
}

/* ---- reading -------------------------------------------------------------------------------------------- */

static bool is_sound(const Head *head, const CacheKey *key, size_t rest) {
  if (memcmp(head->magic, magic, sizeof magic) || memcmp(&head->key, key, sizeof *key)) return false;
  if (head->sites > UINT32_MAX) return false;
  uint64_t bytes = head->sites * sizeof(Span);
  for (int n = 0; n < OBJECT_PARTS; n++) {
    if (head->object[n] > CACHE_BYTES_MAX) return false;
    bytes += head->object[n];
  }
  return bytes == rest;
}

static ObjectFiles files_in(const Head *head, char *bytes) {
  ObjectFiles files = {.sites = (Span *)(void *)bytes, .nsites = (uint32_t)head->sites};
  bytes += head->sites * sizeof(Span);
  for (int n = 0; n < OBJECT_PARTS && head->object[n]; n++) {
    files.at[files.n++] = (ObjectFile){bytes, head->object[n]};
    bytes += head->object[n];
  }
  return files;
}

static bool read_entry(Arena *arena, int fd, const CacheKey *key, ObjectFiles *files) {
  Head head;
  struct stat st;
  if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid()) return false;
  if (st.st_size < (off_t)sizeof head || st.st_size > CACHE_BYTES_MAX) return false;
  size_t rest = (size_t)st.st_size - sizeof head;
  if (!fd_read(fd, &head, sizeof head) || !is_sound(&head, key, rest)) return false;
  char *bytes = arena_alloc(arena, rest);
  if (!fd_read(fd, bytes, rest)) return false;
  CacheKey sum = sum_of(head, bytes, rest);
  if (memcmp(&sum, &head.sum, sizeof sum)) return false;
  *files = files_in(&head, bytes);
  return true;
}

bool cache_get(Arena *arena, const char *folder, const CacheKey *key, ObjectFiles *files) {
  char name[NAME_BYTES];
  int dir = open_folder(arena, folder, false);
  if (dir < 0) return false;
  name_of(key, name);
  int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  bool ok = fd >= 0 && read_entry(arena, fd, key, files);
  if (ok) futimens(fd, NULL); /* used now */
  if (fd >= 0) close(fd);
  close(dir);
  return ok;
}

/* ---- writing -------------------------------------------------------------------------------------------- */

static bool write_entry(Arena *arena, int fd, const CacheKey *key, const ObjectFiles *files) {
  Head head = {.key = *key, .sites = files->nsites};
  size_t rest = files->nsites * sizeof(Span), at = rest;
  for (uint32_t n = 0; n < files->n; n++) rest += head.object[n] = files->at[n].size;
  char *bytes = arena_alloc(arena, rest);
  memcpy(head.magic, magic, sizeof magic);
  if (at) memcpy(bytes, files->sites, at);
  for (uint32_t n = 0; n < files->n; n++) {
    memcpy(bytes + at, files->at[n].bytes, files->at[n].size);
    at += files->at[n].size;
  }
  head.sum = sum_of(head, bytes, rest);
  return fd_write(fd, &head, sizeof head) && fd_write(fd, bytes, rest);
}

typedef struct Old { char name[NAME_BYTES]; struct timespec used; off_t size; } Old;

static int by_use(const void *a, const void *b) {
  const struct timespec *x = &((const Old *)a)->used, *y = &((const Old *)b)->used;
  if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
  return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

/* Our files, and how many bytes they are; files that a dead process left aside are among them. */
static size_t list_files(Arena *arena, int dir, Old **files, off_t *bytes) {
  VEC(Old) list = {0};
  int copy = dup(dir);
  DIR *d = copy < 0 ? NULL : fdopendir(copy);
  if (!d && copy >= 0) close(copy);
  if (!d) return 0;
  rewinddir(d);
  for (struct dirent *at; (at = readdir(d)) && list.n < FILES_MAX;) {
    struct stat st;
    Old old;
    if (at->d_name[0] == '.' || strlen(at->d_name) >= sizeof old.name) continue;
    if (fstatat(dir, at->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode)) continue;
    strcpy(old.name, at->d_name);
    old.used = st.st_mtim;
    old.size = st.st_size;
    *bytes += st.st_size;
    vec_push(arena, &list, old);
  }
  closedir(d);
  *files = list.at;
  return list.n;
}

/* Down to three quarters, so that not every new file removes an old one. */
static void shrink(Arena *arena, int dir, off_t most) {
  Old *files = NULL;
  off_t bytes = 0;
  size_t n = list_files(arena, dir, &files, &bytes);
  if (bytes <= most) return;
  qsort(files, n, sizeof *files, by_use);
  for (size_t k = 0; k < n && bytes > most / 4 * 3; k++)
    if (unlinkat(dir, files[k].name, 0) == 0) bytes -= files[k].size;
}

void cache_put(Arena *arena, const char *folder, const CacheKey *key, const ObjectFiles *files) {
  char name[NAME_BYTES];
  int dir = open_folder(arena, folder, true);
  if (dir < 0) return;
  name_of(key, name);
  const char *aside = arena_printf(arena, "%.16s.%ld.tmp", name, (long)getpid());
  int fd = openat(dir, aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  bool ok = fd >= 0 && write_entry(arena, fd, key, files);
  if (fd >= 0) ok = close(fd) == 0 && ok;
  if (fd >= 0 && !(ok && renameat(dir, aside, dir, name) == 0)) unlinkat(dir, aside, 0);
  shrink(arena, dir, CACHE_BYTES_MAX);
  close(dir);
}
