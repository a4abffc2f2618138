/* asan_options: what AddressSanitizer does unless ASAN_OPTIONS says otherwise.  LLVM allocates a lot: freed memory
 * waits in 16 MB instead of 256, and two calls above an allocation are noted instead of thirty, which saves a tenth of
 * the time (who looks for a fault gets them back: ASAN_OPTIONS=malloc_context_size=30).  A program may have options of
 * its own. */
const char *__asan_default_options(void) __attribute__((weak));

const char *__asan_default_options(void) {
  return "quarantine_size_mb=16:malloc_context_size=2:allocator_release_to_os_interval_ms=-1";
}
