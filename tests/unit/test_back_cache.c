/* The cache of kernels: what hits, what misses, and that damage and strange folders do neither harm. */
#define _GNU_SOURCE 1 /* memmem */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "back_kernel.h"

enum { PATH_BYTES = 512 };

typedef struct Folder { char root[64], cache[96]; } Folder;

static Folder folder_new(void) {
  Folder f;
  strcpy(f.root, "/tmp/attn_cache_XXXXXX");
  cr_assert(mkdtemp(f.root));
  snprintf(f.cache, sizeof f.cache, "%s/a/b", f.root);
  return f;
}

static void folder_free(const Folder *f) {
  char command[PATH_BYTES];
  snprintf(command, sizeof command, "rm -rf '%s'", f->root);
  cr_assert(system(command) == 0);
}

/* out[i] = x[at[i]], with a check whose place in the file is `lo`. */
static void kernel(Rig *r, int64_t last, uint32_t lo) {
  int64_t at[3] = {0, 1, last};
  double value[3] = {5, 6, 7};
  rig_init(r, true);
  Builder *b = &r->b;
  Val dim = rig_size(r, 3);
  Array *index = rig_in(r, STORE_INT, dim, 3, at), *x = rig_reals(r, dim, 3, value),
        *out = rig_out(r, STORE_REAL, dim, 3);
  Loop *l = build_open(b, LOOP_PAR, build_int(b, 0), dim);
  Val v = build_load(b, index, &l->index);
  b->span = (Span){lo, lo + 5};
  build_check(b, IR_CHECK_INDEX, build_bool(b, true), v, dim);
  build_store(b, out, build_load(b, x, &v), &l->index);
  build_close(b, l);
}

/* A kernel out of the cache fails where the compiled one does. */
static void expect_failure(const Folder *f, uint32_t lo) {
  Rig r;
  const char *why;
  BackOptions options = {.f64 = true, .optimise = true, .cache = f->cache};
  kernel(&r, 9, lo);
  cr_assert(back_compile(&r.arena, r.b.k, &options, &r.c, &why), "%s", why);
  cr_expect(r.c->cached);
  cr_expect_eq(rig_run(&r), ATTN_ERROR_INDEX);
  cr_expect_eq(r.c->sites[r.err.site].lo, lo);
  rig_free(&r);
}

/* Whether the kernel came out of the cache. */
static bool hits(const Folder *f, uint32_t lo, BackOptions options) {
  Rig r;
  const char *why;
  options.f64 = options.optimise = true;
  options.cache = f->cache;
  kernel(&r, 1, lo);
  cr_assert(back_compile(&r.arena, r.b.k, &options, &r.c, &why), "%s", why);
  bool cached = r.c->cached;
  cr_expect_eq(rig_run(&r), ATTN_OK);
  cr_expect_eq(rig_real(&r, 0, 2), 6);
  rig_free(&r);
  return cached;
}

static int files_in(const char *path, char *first) {
  DIR *d = opendir(path);
  int n = 0;
  if (!d) return 0;
  for (struct dirent *at; (at = readdir(d));) {
    if (at->d_name[0] == '.') continue;
    if (first) snprintf(first, PATH_BYTES, "%s/%s", path, at->d_name);
    n++;
  }
  closedir(d);
  return n;
}

Test(back_cache, hits_and_misses) {
  Folder f = folder_new();
  struct stat st;
  int64_t fixed[] = {3};
  cr_expect(!hits(&f, 7, (BackOptions){0}));
  cr_expect(hits(&f, 7, (BackOptions){0}));
  expect_failure(&f, 7);
  cr_expect(!hits(&f, 8, (BackOptions){0}), "another place of the check");
  cr_expect(!hits(&f, 7, (BackOptions){.cpu = "x86-64-v2"}), "another processor");
  cr_expect(!hits(&f, 7, (BackOptions){.sizes = fixed}), "a fixed size");
  cr_expect(hits(&f, 7, (BackOptions){.sizes = fixed}));
  cr_expect_eq(files_in(f.cache, NULL), 4);
  cr_expect(!hits(&f, 7, (BackOptions){.tile = true}), "another option");
  cr_assert(stat(f.cache, &st) == 0);
  cr_expect_eq(st.st_mode & 0777, 0700);
  folder_free(&f);
}

static void damage(const char *path, off_t at, off_t cut) {
  int fd = open(path, O_RDWR);
  char c = 0;
  cr_assert(fd >= 0);
  if (cut >= 0) cr_assert(ftruncate(fd, cut) == 0);
  else {
    cr_assert(pread(fd, &c, 1, at) == 1);
    c = (char)(c ^ 0x10);
    cr_assert(pwrite(fd, &c, 1, at) == 1);
  }
  close(fd);
}

Test(back_cache, damage_is_a_miss) {
  Folder f = folder_new();
  char path[PATH_BYTES];
  struct stat st;
  hits(&f, 7, (BackOptions){0});
  cr_assert_eq(files_in(f.cache, path), 1);
  cr_assert(stat(path, &st) == 0);
  for (off_t at = 0; at < st.st_size; at += at < 112 ? 9 : 531) {
    damage(path, at, -1);
    cr_expect(!hits(&f, 7, (BackOptions){0}), "byte %ld", (long)at);
    cr_expect(hits(&f, 7, (BackOptions){0}), "repaired after byte %ld", (long)at);
  }
  const off_t cuts[] = {0, 1, 50, 90, st.st_size - 1, st.st_size + 1};
  for (size_t n = 0; n < sizeof cuts / sizeof *cuts; n++) {
    damage(path, 0, cuts[n]);
    cr_expect(!hits(&f, 7, (BackOptions){0}), "cut to %ld", (long)cuts[n]);
  }
  folder_free(&f);
}

/* A whole file, but of another kernel; one that a link leads to. */
Test(back_cache, files_that_are_not_used) {
  Folder f = folder_new(), g = folder_new();
  char one[PATH_BYTES], other[PATH_BYTES], moved[PATH_BYTES];
  hits(&f, 7, (BackOptions){0});
  hits(&g, 8, (BackOptions){0});
  cr_assert(files_in(f.cache, one) == 1 && files_in(g.cache, other) == 1);
  snprintf(moved, sizeof moved, "%s%s", f.cache, strrchr(other, '/'));
  cr_assert(rename(other, moved) == 0 && rename(one, other) == 0 && rename(moved, one) == 0 &&
            rename(other, moved) == 0);
  cr_expect(!hits(&f, 7, (BackOptions){0}), "the file of another kernel");
  expect_failure(&f, 7);
  cr_assert(rename(one, other) == 0 && symlink(other, one) == 0);
  cr_expect(!hits(&f, 7, (BackOptions){0}), "a link");
  folder_free(&f);
  folder_free(&g);
}

/* Only the administrator can give files away. */
Test(back_cache, files_of_somebody_else) {
  Folder f = folder_new();
  char path[PATH_BYTES];
  hits(&f, 7, (BackOptions){0});
  cr_assert(files_in(f.cache, path) == 1);
  if (geteuid() == 0) {
    cr_assert(chown(path, 1, 1) == 0);
    cr_expect(!hits(&f, 7, (BackOptions){0}), "a file of somebody else");
    cr_assert(chown(path, 0, 0) == 0 && chown(f.cache, 1, 1) == 0);
    cr_expect(!hits(&f, 7, (BackOptions){0}), "a folder of somebody else");
  }
  folder_free(&f);
}

Test(back_cache, folders_that_are_not_used) {
  Folder f = folder_new();
  char link[PATH_BYTES];
  hits(&f, 7, (BackOptions){0});
  cr_assert(chmod(f.cache, 0770) == 0);
  cr_expect(!hits(&f, 7, (BackOptions){0}), "others may write there");
  cr_assert(chmod(f.cache, 0700) == 0);
  cr_expect(hits(&f, 7, (BackOptions){0}));
  snprintf(link, sizeof link, "%s/link", f.root);
  cr_assert(symlink(f.cache, link) == 0);
  Folder l = f;
  snprintf(l.cache, sizeof l.cache, "%.60s/link", f.root);
  cr_expect(!hits(&l, 7, (BackOptions){0}), "a link");
  Folder nowhere = f;
  strcpy(nowhere.cache, "/proc/attn/cache");
  cr_expect(!hits(&nowhere, 7, (BackOptions){0}));
  folder_free(&f);
}

enum { LOOPS = 24 };

/* Loops enough for more than one object: out n [i] = x[at[i]], checked at n + 1. */
static void large_kernel(Rig *r, int64_t last) {
  int64_t at[3] = {0, 1, last};
  double value[3] = {5, 6, 7};
  rig_init(r, true);
  Builder *b = &r->b;
  Val dim = rig_size(r, 3);
  Array *index = rig_in(r, STORE_INT, dim, 3, at), *x = rig_reals(r, dim, 3, value);
  for (uint32_t n = 0; n < LOOPS; n++) {
    Array *out = rig_out(r, STORE_REAL, dim, 3);
    Loop *l = build_open(b, LOOP_PAR, build_int(b, 0), dim);
    Val v = build_load(b, index, &l->index);
    b->span = (Span){n + 1, n + 2};
    build_check(b, IR_CHECK_INDEX, build_bool(b, true), v, dim);
    build_store(b, out, build_load(b, x, &v), &l->index);
    build_close(b, l);
  }
}

static void run_large(const Folder *f, int64_t last, bool cached) {
  Rig r;
  const char *why;
  BackOptions options = {.f64 = true, .optimise = true, .cache = f->cache};
  large_kernel(&r, last);
  cr_assert(back_compile(&r.arena, r.b.k, &options, &r.c, &why), "%s", why);
  cr_expect_eq(r.c->cached, cached);
  cr_expect_eq(rig_run(&r), last < 3 ? ATTN_OK : ATTN_ERROR_INDEX);
  if (last >= 3) cr_expect_eq(r.c->sites[r.err.site].lo, 1);
  for (uint32_t n = 0; n < LOOPS && last < 3; n++) cr_expect_eq(rig_real(&r, n, 2), 5 + (double)last);
  rig_free(&r);
}

static size_t bytes_of(const Folder *f, char *bytes, size_t most) {
  char path[PATH_BYTES];
  cr_assert_eq(files_in(f->cache, path), 1);
  FILE *file = fopen(path, "rb");
  cr_assert(file);
  size_t n = fread(bytes, 1, most, file);
  fclose(file);
  return n;
}

Test(back_cache, objects_made_side_by_side) {
  enum { MOST = 1 << 20 };
  static char first[MOST], second[MOST];
  Folder f = folder_new(), g = folder_new();
  run_large(&f, 1, false);
  run_large(&f, 0, true);
  run_large(&f, 9, true);
  run_large(&g, 2, false);
  size_t n = bytes_of(&f, first, MOST);
  cr_expect(n < MOST);
  cr_expect_eq(bytes_of(&g, second, MOST), n);
  cr_expect(memcmp(first, second, n) == 0, "the same kernel, other bytes");
  cr_expect(memmem(first, n, "\177ELF", 4) != NULL);
  char *rest = (char *)memmem(first, n, "\177ELF", 4) + 4;
  cr_expect(memmem(rest, n - (size_t)(rest - first), "\177ELF", 4) != NULL, "one object alone");
  folder_free(&f);
  folder_free(&g);
}

static void leave(const Folder *f, const char *name, time_t used) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/%s", f->cache, name);
  int fd = open(path, O_CREAT | O_WRONLY, 0600);
  struct timespec times[2] = {{.tv_sec = used}, {.tv_sec = used}};
  cr_assert(fd >= 0 && ftruncate(fd, 150 * 1024 * 1024) == 0 && futimens(fd, times) == 0); /* takes no room */
  close(fd);
}

static bool there(const Folder *f, const char *name) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/%s", f->cache, name);
  return access(path, F_OK) == 0;
}

Test(back_cache, bounded) {
  Folder f = folder_new();
  hits(&f, 7, (BackOptions){0});
  leave(&f, "old.o", 1000);
  leave(&f, "older.o", 500);
  cr_expect(!hits(&f, 8, (BackOptions){0}));
  cr_expect(!there(&f, "older.o"), "used longest ago");
  cr_expect(there(&f, "old.o"));
  cr_expect(hits(&f, 8, (BackOptions){0}));
  cr_expect(hits(&f, 7, (BackOptions){0}));
  folder_free(&f);
}
