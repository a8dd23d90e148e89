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

/* A profile build is told after each layer. Its layers stay functions of their own, so that no work moves past a mark;
 * elsewhere the compiler may merge them into the inference. */
#ifdef TN_PROFILE
void tn_mark(void);
#define TN_MARK() tn_mark()
#define TN_LAYER TN_APART void
#else
#define TN_MARK() ((void)0)
#define TN_LAYER static void
#endif

#endif
