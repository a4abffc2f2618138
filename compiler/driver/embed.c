/* embed: see embed.h.  The assembler reads the files while this one is compiled. */
#include "driver/embed.h"

#define EMBED(name, path)                                                       \
  __asm__(".pushsection .rodata\n"                                              \
          ".globl " #name "_begin\n.globl " #name "_end\n.balign 16\n" #name    \
          "_begin:\n.incbin \"" path "\"\n" #name "_end:\n.byte 0\n"            \
          ".popsection\n")

EMBED(embed_header, EMBED_HEADER);
EMBED(embed_archive, EMBED_ARCHIVE);
