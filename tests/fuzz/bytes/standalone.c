/* standalone: a target over files, without libFuzzer: `TARGET FILE...`. */
#include "target.h"

enum { FILE_BYTES_MAX = 1 << 20 };

int main(int argc, char **argv) {
  static uint8_t bytes[FILE_BYTES_MAX];
  for (int k = 1; k < argc; k++) {
    FILE *f = fopen(argv[k], "rb");
    if (!f) return perror(argv[k]), 2;
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    uint8_t *exact = malloc(n ? n : 1); /* its end is the end of the memory that may be read */
    if (!exact) return 2;
    for (size_t b = 0; b < n; b++) exact[b] = bytes[b];
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
  }
  printf("%d files\n", argc - 1);
  return argc < 2;
}
