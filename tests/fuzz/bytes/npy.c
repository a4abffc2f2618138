/* npy: bytes as an array.  What is read has a count of elements that its memory holds, and comes back as it was when
 * written. */
#include "npy.h"

#include <string.h>
#include <unistd.h>

#include "target.h"

enum { WRITTEN_MAX = 1 << 12 };

static void try_writing(const AttnArray *a) {
  char path[64];
  AttnArray back;
  RtError err;
  snprintf(path, sizeof path, "/tmp/attn-fuzz-%ld.npy", (long)getpid());
  if (!npy_write(path, a, &err)) return;
  bool ok = npy_read(path, &back, &err);
  unlink(path);
  if (!ok) target_broken("what is written can be read");
  bool same =
      back.type == a->type && back.rank == a->rank && !memcmp(back.shape, a->shape, sizeof *a->shape * (size_t)a->rank);
  size_t bytes = (size_t)array_count(a) * elem_size(a->type);
  unsigned char *x = malloc(bytes + 1), *y = malloc(bytes + 1);
  if (x && y && same) {
    array_pack(a, 0, array_count(a), x);
    array_pack(&back, 0, array_count(a), y);
    same = !memcmp(x, y, bytes);
  }
  if (!same) target_broken("what is read is what was written");
  free(x);
  free(y);
  array_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  AttnArray a;
  RtError err;
  if (!npy_read_memory(data, n, "bytes", &a, &err)) return 0;
  int64_t count = array_count(&a);
  if (count < 0 || (count && (uint64_t)count > n / elem_size(a.type))) target_broken("no more elements than bytes");
  if (count <= WRITTEN_MAX) try_writing(&a);
  array_free(&a);
  return 0;
}
