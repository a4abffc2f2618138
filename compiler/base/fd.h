/* fd: all of some bytes from or to an open file, however often a call is interrupted or takes a part. */
#ifndef ATTN_BASE_FD_H
#define ATTN_BASE_FD_H

#include <stdbool.h>
#include <stddef.h>

bool fd_read(int fd, void *to, size_t n); /* false: an error, or the file ends before */
bool fd_write(int fd, const void *bytes, size_t n);

#endif
