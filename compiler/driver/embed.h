/* embed: files that the command carries with it. */
#ifndef ATTN_DRIVER_EMBED_H
#define ATTN_DRIVER_EMBED_H

/* Bytes from X_begin to X_end, no NUL behind them. */
extern const char embed_header_begin[], embed_header_end[];   /* runtime/attn_kernel.h */
extern const char embed_archive_begin[], embed_archive_end[]; /* libattn_rt.a */

#endif
