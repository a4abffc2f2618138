/* attn compile: native libraries. */
#include "driver/load.h"

int verb_compile(Driver *d) {
  Chosen c;
  int status;
  if (!load_model(d, &c, &status)) return status;
  return wrong("'attn compile' is not available yet; 'attn run' compiles in memory");
}
