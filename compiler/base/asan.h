/* asan: whether this build is one with AddressSanitizer, and its marks on memory. */
#ifndef ATTN_BASE_ASAN_H
#define ATTN_BASE_ASAN_H

#if defined(__SANITIZE_ADDRESS__)
#define ATTN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ATTN_ASAN 1
#endif
#endif

#ifdef ATTN_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ATTN_ASAN 0
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#endif
