/* What kernels ask of the C compiler. Without GCC or Clang they work all the same, only slower. */
#ifndef TN_COMPILER_H
#define TN_COMPILER_H

#include <stdint.h>

#ifdef __GNUC__
/* Inlined even where the compiler finds it large: the layer's constants fold, and loops shrink. */
#define TN_FOLDED static inline __attribute__((always_inline))
/* Kept apart: inside a larger function, its loop would run out of registers. A layer, too: merged into the inference it
 * would cost up to 6 % more, and the work of one layer could not be told from another's. What writes, and is neither
 * a layer nor folded into one, ends with TN_WRITTEN(). */
#define TN_APART static __attribute__((noinline, unused))
#else
#define TN_FOLDED static inline
#define TN_APART static inline
#endif

/* One layer of a network. GCC 12 takes a loop that copies within the arena, when it expresses one address by the other,
 * for a use of a null pointer, concludes that the layer stores nothing, and drops the call. It must not conclude. */
#if defined __GNUC__ && !defined __clang__ && __GNUC__ >= 8
#define TN_LAYER static __attribute__((noipa))
#else
#define TN_LAYER TN_APART
#endif

/* Nor may it of a kernel that is kept apart. No instruction comes of this. */
#ifdef __GNUC__
#define TN_WRITTEN() __asm__ volatile("" ::: "memory")
#else
#define TN_WRITTEN() ((void)0)
#endif

/* A function written in assembly, which takes its arguments as the procedure call standard says. GCC must not conclude
 * from the empty body that arguments and registers are left alone. */
#ifdef __clang__
#define TN_ASSEMBLY __attribute__((naked, noinline, unused)) static
#elif defined __GNUC__
#define TN_ASSEMBLY __attribute__((naked, noipa, unused)) static
#endif

/* Before a loop: repeats its body two or four times in a row. */
#if defined __clang__ || (defined __GNUC__ && __GNUC__ >= 8)
#define TN_UNROLL_2 _Pragma("GCC unroll 2")
#define TN_UNROLL_4 _Pragma("GCC unroll 4")
#else
#define TN_UNROLL_2
#define TN_UNROLL_4
#endif

/* What weights and tables are. AVR reads its flash by instructions of their own, and a program's constants lie in RAM
 * unless it is compiled with this macro, as GNU C: then those are in flash, within its first 64 KiB, that no kernel takes
 * from the arena as well. GCC 5 needs -fno-ivopts for that. */
#ifdef TN_CONSTANTS_IN_FLASH
#define TN_FLASH const __flash
#else
#define TN_FLASH const
#endif

/* A profile build is told after each layer. */
#ifdef TN_PROFILE
void tn_mark(void);
#define TN_MARK() tn_mark()
#else
#define TN_MARK() ((void)0)
#endif

#endif
