/* What kernels ask of the C compiler. Without GCC or Clang they work all the same, only slower. */
#ifndef TN_COMPILER_H
#define TN_COMPILER_H

#include <stdint.h>

#ifdef __GNUC__
/* Inlined even where the compiler finds it large: the layer's constants fold, and loops shrink. */
#define TN_FOLDED static inline __attribute__((always_inline))
/* Kept apart: inside a larger function, its loop would run out of registers. */
#define TN_APART static __attribute__((noinline, unused))
#else
#define TN_FOLDED static inline
#define TN_APART static inline
#endif

#endif
