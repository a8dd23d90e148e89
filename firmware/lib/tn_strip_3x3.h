/* A strip of one channel of a depthwise 3x3 convolution: its nine weights stay in registers.
 *
 * Requantisation takes two instructions. For halves rounded up, TensorFlow Lite's two roundings of
 * t = accumulator * multiplier / 2^31 are one floor, floor((t + 1/2 + 2^(shift-1)) / 2^shift). The weights and the bias
 * are shifted left by 2 <= k <= 8 in advance, so that every channel shifts right by the same literal, 10 (where
 * 3 <= shift <= 9) or 17 (10 <= shift <= 16): SSAT(SMMLA(accumulator << k, multiplier, addend), 8, ASR 10). That halves
 * are rounded up does not show where negative values are clamped to the zero point anyway.
 */
#ifndef TN_STRIP_3X3_H
#define TN_STRIP_3X3_H

#include <stddef.h>

#include "tn_fixed_point.h"
#include "tn_planes.h"

/* What a strip's channels have in common. */
struct tn_strip_3x3 {
    int32_t column_step; /* of the output [B] */
    int32_t row_step;
    int32_t rows; /* of outputs */
    int32_t columns;
};

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(TN_ASSEMBLY)

_Static_assert(offsetof(struct tn_strip_3x3, column_step) == 0 && offsetof(struct tn_strip_3x3, row_step) == 4 &&
                   offsetof(struct tn_strip_3x3, rows) == 8 && offsetof(struct tn_strip_3x3, columns) == 12,
               "the assembly loads them in this order");

/* Registers: r0 plane, r1 output, r2:r3 two words of a row of the plane, r4-r7 sums, r8-r12 and lr the weights:
 * (w0, w1) and (w1, w2) for each row of the window.
 * Stack: 0 bias, 4 multiplier, 8 addend, 12 column step, 16 row step, 20 the plane's last row of windows, 24 columns
 * left, 28 plane and 32 output at this column's top; the caller's arguments are behind the saved registers.
 * Two columns by two rows of outputs at a time. Loops begin at whole words, and a store at a register offset comes after
 * a load of one word or away from the instruction that gives its base: each saves a cycle.
 * After SXTB16 and the shift left by k, what spills from the low half into the high half is cleared. */
#define TN_3X3_ENTER(rows_log, row_bytes, addend) \
    "push {r4-r11, lr}\n\t"                        \
    "ldm r0, {r7-r10}\n\t"                         \
    "ldrd r4, r5, [sp, #36]\n\t"                   \
    "ldr r0, [sp, #44]\n\t"                        \
    "sub sp, #36\n\t"                              \
    "lsls r4, r0\n\t"                              \
    "movs r6, #1\n\t"                              \
    "lsls r6, r0\n\t"                              \
    "lsrs r6, #2\n\t"                              \
    "sub r6, r6, #" addend "\n\t"                  \
    "add r9, r1, r9, lsl #" rows_log "\n\t"        \
    "sub r9, r9, #" row_bytes "\n\t"               \
    "mov r11, r1\n\t"                              \
    "mov r12, r2\n\t"                              \
    "stm sp, {r4-r12}\n\t"                         \
    "mov r4, #0x10000\n\t"                         \
    "lsl r5, r4, r0\n\t"                           \
    "subs r4, r5, r4\n\t"                          \
    "ldr r5, [r3]\n\t"                             \
    "sxtb16 r6, r5\n\t"                            \
    "sxtb16 r7, r5, ror #8\n\t"                    \
    "lsls r6, r0\n\t"                              \
    "lsls r7, r0\n\t"                              \
    "pkhbt r8, r6, r7, lsl #16\n\t"                \
    "bics r6, r4\n\t"                              \
    "pkhbt r9, r7, r6\n\t"                         \
    "ldr r5, [r3, #3]\n\t"                         \
    "sxtb16 r6, r5\n\t"                            \
    "sxtb16 r7, r5, ror #8\n\t"                    \
    "lsls r6, r0\n\t"                              \
    "lsls r7, r0\n\t"                              \
    "pkhbt r10, r6, r7, lsl #16\n\t"               \
    "bics r6, r4\n\t"                              \
    "pkhbt r11, r7, r6\n\t"                        \
    "ldr r5, [r3, #5]\n\t"                         \
    "sxtb16 r6, r5\n\t"                            \
    "sxtb16 r7, r5, ror #8\n\t"                    \
    "lsls r6, r0\n\t"                              \
    "lsls r7, r0\n\t"                              \
    "bics r6, r4\n\t"                              \
    "bics r7, r4\n\t"                              \
    "pkhbt r12, r7, r6\n\t"                        \
    "pkhtb lr, r7, r6, asr #16\n\t"                \
    "mov r0, r1\n\t"                               \
    "mov r1, r2\n\t"

#define TN_3X3_ARGUMENTS                                                                                             \
    const struct tn_strip_3x3 *strip __attribute__((unused)), const uint32_t *plane __attribute__((unused)),         \
        int8_t *output __attribute__((unused)), TN_FLASH int8_t *weights __attribute__((unused)),                       \
        int32_t bias __attribute__((unused)), int32_t multiplier __attribute__((unused)),                            \
        int32_t scale __attribute__((unused))

#define TN_3X3_LEAVE       \
    "add sp, #36\n\t"      \
    "pop {r4-r11, pc}\n\t"

#define TN_3X3_STRIDE_1(name, row, rows_log, shift, addend)                                                           \
TN_ASSEMBLY void name(TN_3X3_ARGUMENTS)                                                                               \
{                                                                                                                     \
    __asm__(TN_3X3_ENTER(rows_log, row, addend)                                                                       \
            "ldr r2, [sp, #24]\n\t"                                                                                   \
            "subs r2, #2\n\t"                                                                                         \
            "blo 4f\n"                                                                                                \
                                                                                                                      \
            "1:\n\t"                                                                                                  \
            "str r2, [sp, #24]\n\t"                                                                                   \
            "ldr r6, [sp]\n\t"                                                                                        \
                                                                                                                      \
            ".balign 4\n"                                                                                             \
            "2:\n\t"                                                                                                  \
            "ldrd r2, r3, [r0, #" row "]\n\t"                                                                         \
            "smlad r4, r2, r10, r6\n\t"                                                                               \
            "smlatb r5, r2, r10, r6\n\t"                                                                              \
            "smlatb r7, r2, r8, r6\n\t"                                                                               \
            "smlad r6, r2, r8, r6\n\t"                                                                                \
            "smlabt r4, r3, r11, r4\n\t"                                                                              \
            "smlad r5, r3, r11, r5\n\t"                                                                               \
            "smlabt r6, r3, r9, r6\n\t"                                                                               \
            "smlad r7, r3, r9, r7\n\t"                                                                                \
            "ldrd r2, r3, [r0, #2*" row "]\n\t"                                                                       \
            "smlad r4, r2, r12, r4\n\t"                                                                               \
            "smlatb r5, r2, r12, r5\n\t"                                                                              \
            "smlad r6, r2, r10, r6\n\t"                                                                               \
            "smlatb r7, r2, r10, r7\n\t"                                                                              \
            "smlabt r4, r3, lr, r4\n\t"                                                                               \
            "smlad r5, r3, lr, r5\n\t"                                                                                \
            "smlabt r6, r3, r11, r6\n\t"                                                                              \
            "smlad r7, r3, r11, r7\n\t"                                                                               \
            "ldrd r2, r3, [r0, #3*" row "]\n\t"                                                                       \
            "smlad r6, r2, r12, r6\n\t"                                                                               \
            "smlatb r7, r2, r12, r7\n\t"                                                                              \
            "smlabt r6, r3, lr, r6\n\t"                                                                               \
            "smlad r7, r3, lr, r7\n\t"                                                                                \
            "ldrd r2, r3, [r0], #2*" row "\n\t"                                                                       \
            "smlad r4, r2, r8, r4\n\t"                                                                                \
            "smlatb r5, r2, r8, r5\n\t"                                                                               \
            "smlabt r4, r3, r9, r4\n\t"                                                                               \
            "smlad r5, r3, r9, r5\n\t"                                                                                \
            "ldrd r2, r3, [sp, #4]\n\t"                                                                               \
            "smmla r4, r4, r2, r3\n\t"                                                                                \
            "smmla r5, r5, r2, r3\n\t"                                                                                \
            "smmla r6, r6, r2, r3\n\t"                                                                                \
            "smmla r7, r7, r2, r3\n\t"                                                                                \
            "ldrd r2, r3, [sp, #12]\n\t"                                                                              \
            "ssat r4, #8, r4, asr #" shift "\n\t"                                                                     \
            "ssat r5, #8, r5, asr #" shift "\n\t"                                                                     \
            "ssat r6, #8, r6, asr #" shift "\n\t"                                                                     \
            "ssat r7, #8, r7, asr #" shift "\n\t"                                                                     \
            "strb r4, [r1]\n\t"                                                                                       \
            "add r4, r1, r3\n\t"                                                                                      \
            "strb r5, [r1, r2]\n\t"                                                                                   \
            "add r1, r4, r3\n\t"                                                                                      \
            "strb r6, [r4]\n\t"                                                                                       \
            "ldr r3, [sp, #20]\n\t"                                                                                   \
            "ldr r6, [sp]\n\t"                                                                                        \
            "strb r7, [r4, r2]\n\t"                                                                                   \
            "cmp r0, r3\n\t"                                                                                          \
            "blo 2b\n\t"                                                                                              \
            "bne 3f\n\t"                                                                                              \
            "ldrd r2, r3, [r0]\n\t"                                                                                   \
            "smlad r4, r2, r8, r6\n\t"                                                                                \
            "smlatb r5, r2, r8, r6\n\t"                                                                               \
            "smlabt r4, r3, r9, r4\n\t"                                                                               \
            "smlad r5, r3, r9, r5\n\t"                                                                                \
            "ldrd r2, r3, [r0, #" row "]\n\t"                                                                         \
            "smlad r4, r2, r10, r4\n\t"                                                                               \
            "smlatb r5, r2, r10, r5\n\t"                                                                              \
            "smlabt r4, r3, r11, r4\n\t"                                                                              \
            "smlad r5, r3, r11, r5\n\t"                                                                               \
            "ldrd r2, r3, [r0, #2*" row "]\n\t"                                                                       \
            "smlad r4, r2, r12, r4\n\t"                                                                               \
            "smlatb r5, r2, r12, r5\n\t"                                                                              \
            "smlabt r4, r3, lr, r4\n\t"                                                                               \
            "smlad r5, r3, lr, r5\n\t"                                                                                \
            "ldrd r2, r3, [sp, #4]\n\t"                                                                               \
            "smmla r4, r4, r2, r3\n\t"                                                                                \
            "smmla r5, r5, r2, r3\n\t"                                                                                \
            "ldr r3, [sp, #12]\n\t"                                                                                   \
            "ssat r4, #8, r4, asr #" shift "\n\t"                                                                     \
            "ssat r5, #8, r5, asr #" shift "\n\t"                                                                     \
            "strb r4, [r1]\n\t"                                                                                       \
            "strb r5, [r1, r3]\n\t"                                                                                   \
            "ldr r3, [sp, #20]\n"                                                                                     \
                                                                                                                      \
            "3:\n\t"                                                                                                  \
            "adds r3, #4\n\t"                                                                                         \
            "str r3, [sp, #20]\n\t"                                                                                   \
            "ldrd r0, r1, [sp, #28]\n\t"                                                                              \
            "ldr r2, [sp, #12]\n\t"                                                                                   \
            "adds r0, #4\n\t"                                                                                         \
            "add r1, r1, r2, lsl #1\n\t"                                                                              \
            "strd r0, r1, [sp, #28]\n\t"                                                                              \
            "ldr r2, [sp, #24]\n\t"                                                                                   \
            "subs r2, #2\n\t"                                                                                         \
            "bhs 1b\n"                                                                                                \
                                                                                                                      \
            "4:\n\t"                                                                                                  \
            "adds r2, #1\n\t"                                                                                         \
            "bne 6f\n"                                                                                                \
                                                                                                                      \
            ".balign 4\n"                                                                                             \
            "5:\n\t"                                                                                                  \
            "ldrd r2, r3, [r0, #" row "]\n\t"                                                                         \
            "ldr r6, [sp]\n\t"                                                                                        \
            "smlad r4, r2, r10, r6\n\t"                                                                               \
            "smlad r6, r2, r8, r6\n\t"                                                                                \
            "smlabt r4, r3, r11, r4\n\t"                                                                              \
            "smlabt r6, r3, r9, r6\n\t"                                                                               \
            "ldrd r2, r3, [r0, #2*" row "]\n\t"                                                                       \
            "smlad r4, r2, r12, r4\n\t"                                                                               \
            "smlad r6, r2, r10, r6\n\t"                                                                               \
            "smlabt r4, r3, lr, r4\n\t"                                                                               \
            "smlabt r6, r3, r11, r6\n\t"                                                                              \
            "ldrd r2, r3, [r0, #3*" row "]\n\t"                                                                       \
            "smlad r6, r2, r12, r6\n\t"                                                                               \
            "smlabt r6, r3, lr, r6\n\t"                                                                               \
            "ldrd r2, r3, [r0], #2*" row "\n\t"                                                                       \
            "smlad r4, r2, r8, r4\n\t"                                                                                \
            "smlabt r4, r3, r9, r4\n\t"                                                                               \
            "ldrd r2, r3, [sp, #4]\n\t"                                                                               \
            "smmla r4, r4, r2, r3\n\t"                                                                                \
            "smmla r6, r6, r2, r3\n\t"                                                                                \
            "ldrd r2, r3, [sp, #16]\n\t"                                                                              \
            "ssat r4, #8, r4, asr #" shift "\n\t"                                                                     \
            "ssat r6, #8, r6, asr #" shift "\n\t"                                                                     \
            "strb r4, [r1]\n\t"                                                                                       \
            "strb r6, [r1, r2]\n\t"                                                                                   \
            "add r1, r1, r2, lsl #1\n\t"                                                                              \
            "cmp r0, r3\n\t"                                                                                          \
            "blo 5b\n\t"                                                                                              \
            "bne 6f\n\t"                                                                                              \
            "ldrd r2, r3, [r0]\n\t"                                                                                   \
            "ldr r6, [sp]\n\t"                                                                                        \
            "smlad r4, r2, r8, r6\n\t"                                                                                \
            "smlabt r4, r3, r9, r4\n\t"                                                                               \
            "ldrd r2, r3, [r0, #" row "]\n\t"                                                                         \
            "smlad r4, r2, r10, r4\n\t"                                                                               \
            "smlabt r4, r3, r11, r4\n\t"                                                                              \
            "ldrd r2, r3, [r0, #2*" row "]\n\t"                                                                       \
            "smlad r4, r2, r12, r4\n\t"                                                                               \
            "smlabt r4, r3, lr, r4\n\t"                                                                               \
            "ldrd r2, r3, [sp, #4]\n\t"                                                                               \
            "smmla r4, r4, r2, r3\n\t"                                                                                \
            "ssat r4, #8, r4, asr #" shift "\n\t"                                                                     \
            "strb r4, [r1]\n"                                                                                         \
                                                                                                                      \
            "6:\n\t" TN_3X3_LEAVE);                                                                                   \
}

/* The same with stride 2: the two rows of outputs share the middle one of five rows. An odd last row is computed together
 * with the one before it, again. */
#define TN_3X3_STRIDE_2(name, row, rows_log, shift, addend)                                                           \
TN_ASSEMBLY void name(TN_3X3_ARGUMENTS)                                                                               \
{                                                                                                                     \
    __asm__(TN_3X3_ENTER("1+" rows_log, "2*" row, addend)                                                             \
            "ldr r2, [sp, #24]\n\t"                                                                                   \
            "subs r2, #2\n\t"                                                                                         \
            "blo 4f\n"                                                                                                \
                                                                                                                      \
            "1:\n\t"                                                                                                  \
            "str r2, [sp, #24]\n\t"                                                                                   \
            "ldr r6, [sp]\n\t"                                                                                        \
                                                                                                                      \
            ".balign 4\n"                                                                                             \
            "2:\n\t"                                                                                                  \
            "ldrd r2, r3, [r0, #2*" row "]\n\t"                                                                       \
            "smlad r4, r2, r12, r6\n\t"                                                                               \
            "smlad r5, r3, r12, r6\n\t"                                                                               \
            "smlad r7, r3, r8, r6\n\t"                                                                                \
            "smlad r6, r2, r8, r6\n\t"                                                                                \
            "smlabt r4, r3, lr, r4\n\t"                                                                               \
            "smlabt r6, r3, r9, r6\n\t"                                                                               \
            "ldr r2, [r0, #2*" row "+8]\n\t"                                                                          \
            "smlabt r5, r2, lr, r5\n\t"                                                                               \
            "smlabt r7, r2, r9, r7\n\t"                                                                               \
            "ldrd r2, r3, [r0, #" row "]\n\t"                                                                         \
            "smlad r4, r2, r10, r4\n\t"                                                                               \
            "smlad r5, r3, r10, r5\n\t"                                                                               \
            "smlabt r4, r3, r11, r4\n\t"                                                                              \
            "ldr r2, [r0, #" row "+8]\n\t"                                                                            \
            "smlabt r5, r2, r11, r5\n\t"                                                                              \
            "ldrd r2, r3, [r0, #3*" row "]\n\t"                                                                       \
            "smlad r6, r2, r10, r6\n\t"                                                                               \
            "smlad r7, r3, r10, r7\n\t"                                                                               \
            "smlabt r6, r3, r11, r6\n\t"                                                                              \
            "ldr r2, [r0, #3*" row "+8]\n\t"                                                                          \
            "smlabt r7, r2, r11, r7\n\t"                                                                              \
            "ldrd r2, r3, [r0, #4*" row "]\n\t"                                                                       \
            "smlad r6, r2, r12, r6\n\t"                                                                               \
            "smlad r7, r3, r12, r7\n\t"                                                                               \
            "smlabt r6, r3, lr, r6\n\t"                                                                               \
            "ldr r2, [r0, #4*" row "+8]\n\t"                                                                          \
            "smlabt r7, r2, lr, r7\n\t"                                                                               \
            "ldr r2, [r0, #8]\n\t"                                                                                    \
            "smlabt r5, r2, r9, r5\n\t"                                                                               \
            "ldrd r2, r3, [r0], #4*" row "\n\t"                                                                       \
            "smlad r4, r2, r8, r4\n\t"                                                                                \
            "smlad r5, r3, r8, r5\n\t"                                                                                \
            "smlabt r4, r3, r9, r4\n\t"                                                                               \
            "ldrd r2, r3, [sp, #4]\n\t"                                                                               \
            "smmla r4, r4, r2, r3\n\t"                                                                                \
            "smmla r5, r5, r2, r3\n\t"                                                                                \
            "smmla r6, r6, r2, r3\n\t"                                                                                \
            "smmla r7, r7, r2, r3\n\t"                                                                                \
            "ldrd r2, r3, [sp, #12]\n\t"                                                                              \
            "ssat r4, #8, r4, asr #" shift "\n\t"                                                                     \
            "ssat r5, #8, r5, asr #" shift "\n\t"                                                                     \
            "ssat r6, #8, r6, asr #" shift "\n\t"                                                                     \
            "ssat r7, #8, r7, asr #" shift "\n\t"                                                                     \
            "strb r4, [r1]\n\t"                                                                                       \
            "add r4, r1, r3\n\t"                                                                                      \
            "strb r5, [r1, r2]\n\t"                                                                                   \
            "add r1, r4, r3\n\t"                                                                                      \
            "strb r6, [r4]\n\t"                                                                                       \
            "ldr r3, [sp, #20]\n\t"                                                                                   \
            "ldr r6, [sp]\n\t"                                                                                        \
            "strb r7, [r4, r2]\n\t"                                                                                   \
            "cmp r0, r3\n\t"                                                                                          \
            "blo 2b\n\t"                                                                                              \
            "bne 3f\n\t"                                                                                              \
            "subs r0, #2*" row "\n\t"                                                                                 \
            "ldr r3, [sp, #16]\n\t"                                                                                   \
            "subs r1, r1, r3\n\t"                                                                                     \
            "b 2b\n"                                                                                                  \
                                                                                                                      \
            "3:\n\t"                                                                                                  \
            "adds r3, #8\n\t"                                                                                         \
            "str r3, [sp, #20]\n\t"                                                                                   \
            "ldrd r0, r1, [sp, #28]\n\t"                                                                              \
            "ldr r2, [sp, #12]\n\t"                                                                                   \
            "adds r0, #8\n\t"                                                                                         \
            "add r1, r1, r2, lsl #1\n\t"                                                                              \
            "strd r0, r1, [sp, #28]\n\t"                                                                              \
            "ldr r2, [sp, #24]\n\t"                                                                                   \
            "subs r2, #2\n\t"                                                                                         \
            "bhs 1b\n"                                                                                                \
                                                                                                                      \
            "4:\n\t"                                                                                                  \
            "adds r2, #1\n\t"                                                                                         \
            "bne 6f\n"                                                                                                \
                                                                                                                      \
            ".balign 4\n"                                                                                             \
            "5:\n\t"                                                                                                  \
            "ldrd r2, r3, [r0, #2*" row "]\n\t"                                                                       \
            "ldr r6, [sp]\n\t"                                                                                        \
            "smlad r4, r2, r12, r6\n\t"                                                                               \
            "smlad r6, r2, r8, r6\n\t"                                                                                \
            "smlabt r4, r3, lr, r4\n\t"                                                                               \
            "smlabt r6, r3, r9, r6\n\t"                                                                               \
            "ldrd r2, r3, [r0, #" row "]\n\t"                                                                         \
            "smlad r4, r2, r10, r4\n\t"                                                                               \
            "smlabt r4, r3, r11, r4\n\t"                                                                              \
            "ldrd r2, r3, [r0, #3*" row "]\n\t"                                                                       \
            "smlad r6, r2, r10, r6\n\t"                                                                               \
            "smlabt r6, r3, r11, r6\n\t"                                                                              \
            "ldrd r2, r3, [r0, #4*" row "]\n\t"                                                                       \
            "smlad r6, r2, r12, r6\n\t"                                                                               \
            "smlabt r6, r3, lr, r6\n\t"                                                                               \
            "ldrd r2, r3, [r0], #4*" row "\n\t"                                                                       \
            "smlad r4, r2, r8, r4\n\t"                                                                                \
            "smlabt r4, r3, r9, r4\n\t"                                                                               \
            "ldrd r2, r3, [sp, #4]\n\t"                                                                               \
            "smmla r4, r4, r2, r3\n\t"                                                                                \
            "smmla r6, r6, r2, r3\n\t"                                                                                \
            "ldrd r2, r3, [sp, #16]\n\t"                                                                              \
            "ssat r4, #8, r4, asr #" shift "\n\t"                                                                     \
            "ssat r6, #8, r6, asr #" shift "\n\t"                                                                     \
            "strb r4, [r1]\n\t"                                                                                       \
            "strb r6, [r1, r2]\n\t"                                                                                   \
            "add r1, r1, r2, lsl #1\n\t"                                                                              \
            "cmp r0, r3\n\t"                                                                                          \
            "blo 5b\n\t"                                                                                              \
            "bne 6f\n\t"                                                                                              \
            "subs r0, #2*" row "\n\t"                                                                                 \
            "subs r1, r1, r2\n\t"                                                                                     \
            "b 5b\n"                                                                                                  \
                                                                                                                      \
            "6:\n\t" TN_3X3_LEAVE);                                                                                   \
}

TN_3X3_STRIDE_1(tn_strip_4_stride_1, "64", "6", "10", "130560")
TN_3X3_STRIDE_2(tn_strip_4_stride_2, "64", "6", "10", "130560")
TN_3X3_STRIDE_1(tn_strip_4_stride_1_far, "64", "6", "17", "16711680")
TN_3X3_STRIDE_2(tn_strip_4_stride_2_far, "64", "6", "17", "16711680")
TN_3X3_STRIDE_1(tn_strip_8_stride_1, "128", "7", "10", "130560")
TN_3X3_STRIDE_2(tn_strip_8_stride_2, "128", "7", "10", "130560")
TN_3X3_STRIDE_1(tn_strip_8_stride_1_far, "128", "7", "17", "16711680")
TN_3X3_STRIDE_2(tn_strip_8_stride_2_far, "128", "7", "17", "16711680")

#else

#define TN_3X3_TWIN(name, pitch, stride, shift)                                                                             \
    static inline void name(const struct tn_strip_3x3 *strip, const uint32_t *plane, int8_t *output,                 \
                            TN_FLASH int8_t *weights, int32_t bias, int32_t multiplier, int32_t scale)                  \
    {                                                                                                                \
        tn_strip_twin(strip, pitch, stride, shift, plane, output, weights, bias, multiplier, scale);                         \
    }

/* scale: the shift left k. */
TN_FOLDED void tn_strip_twin(const struct tn_strip_3x3 *strip, int32_t pitch, int32_t stride, int32_t shift,
                            const uint32_t *plane, int8_t *output, TN_FLASH int8_t *weights, int32_t bias, int32_t multiplier, int32_t scale)
{
    const int32_t addend = (1 << scale >> 2) + (1 << (shift - 1)) - 128 * (1 << shift);

    for (int32_t y = 0; y < strip->rows; y++) {
        for (int32_t x = 0; x < strip->columns; x++) {
            uint32_t sum = (uint32_t)bias << scale;

            for (int32_t i = 0; i < 9; i++) {
                const uint32_t *const row = plane + 4 * pitch * (y * stride + i / 3);

                sum += (uint32_t)(tn_planes_value(row, x * stride + i % 3) * (weights[i] * (1 << scale)));
            }
            const int32_t high = (int32_t)(((int64_t)(int32_t)sum * multiplier) >> 32);

            output[y * strip->row_step + x * strip->column_step] = (int8_t)tn_ssat8((high + addend) >> shift);
        }
    }
}

TN_3X3_TWIN(tn_strip_4_stride_1, 4, 1, 10)
TN_3X3_TWIN(tn_strip_4_stride_2, 4, 2, 10)
TN_3X3_TWIN(tn_strip_4_stride_1_far, 4, 1, 17)
TN_3X3_TWIN(tn_strip_4_stride_2_far, 4, 2, 17)
TN_3X3_TWIN(tn_strip_8_stride_1, 8, 1, 10)
TN_3X3_TWIN(tn_strip_8_stride_2, 8, 2, 10)
TN_3X3_TWIN(tn_strip_8_stride_1_far, 8, 1, 17)
TN_3X3_TWIN(tn_strip_8_stride_2_far, 8, 2, 17)

#endif

/* A channel whose factor no literal shift suits: rare, so small rather than fast. */
TN_APART void tn_strip_exact(const struct tn_strip_3x3 *strip, int32_t pitch, int32_t stride,
                                 const uint32_t *plane, int8_t *output, TN_FLASH int8_t *weights, int32_t bias,
                                 int32_t multiplier, int32_t shift)
{
    static const struct tn_rescale rescale = {.zero_point = -128, .low = -128, .high = 127};

    for (int32_t y = 0; y < strip->rows; y++) {
        for (int32_t x = 0; x < strip->columns; x++) {
            uint32_t sum = (uint32_t)bias;

            for (int32_t i = 0; i < 9; i++) {
                const uint32_t *const row = plane + 4 * pitch * (y * stride + i / 3);

                sum += (uint32_t)(tn_planes_value(row, x * stride + i % 3) * weights[i]);
            }
            output[y * strip->row_step + x * strip->column_step] = tn_rescale(&rescale, 1, sum, multiplier, -shift);
        }
    }
    TN_WRITTEN();
}

#endif
