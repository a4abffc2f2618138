/* fd: see fd.h. */
#include "base/fd.h"

#include <errno.h>
#include <unistd.h>

bool fd_read(int fd, void *to, size_t n) {
  for (char *p = to; n;) {
    ssize_t got = read(fd, p, n);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    p += got;
    n -= (size_t)got;
  }
  return true;
}

bool fd_write(int fd, const void *bytes, size_t n) {
  for (const char *p = bytes; n;) {
    ssize_t done = write(fd, p, n);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    p += done;
    n -= (size_t)done;
  }
  return true;
}
