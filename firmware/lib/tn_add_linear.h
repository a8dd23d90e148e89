/* ADD of two images of one shape, where the compiler has tried all pairs of inputs and found that one rounding gives what
 * the reference's three give.
 */
#ifndef TN_ADD_LINEAR_H
#define TN_ADD_LINEAR_H

#include <stddef.h>

#include "tn_dsp.h"

struct tn_add_linear {
    int32_t count;
    int32_t multiplier_a;
    int32_t multiplier_b;
    int32_t addend;
    int32_t shift;
    int32_t low;
    int32_t high;
};

/* saturated: a literal, 1 where the clamp is that of int8. */
TN_FOLDED int8_t tn_add_linear_one(const struct tn_add_linear *layer, int32_t saturated, int32_t a, int32_t b)
{
    const int32_t sum = (a * layer->multiplier_a + b * layer->multiplier_b + layer->addend) >> layer->shift;

    if (saturated) {
        return (int8_t)tn_ssat8(sum);
    }
    return (int8_t)(sum < layer->low ? layer->low : sum > layer->high ? layer->high : sum);
}

#if defined __ARM_FEATURE_MVE && __ARM_FEATURE_MVE && defined __GNUC__

_Static_assert(offsetof(struct tn_add_linear, multiplier_a) == 4 && sizeof(struct tn_add_linear) == 28,
               "the assembly loads six fields at once");

/* r4 and r5 multipliers, r6 the addend, r7 the shift, q2 and q3 the limits. */
TN_ASSEMBLY void tn_add_linear_some(const struct tn_add_linear *layer __attribute__((unused)),
                                    int32_t saturated __attribute__((unused)), int32_t count __attribute__((unused)),
                                    const int8_t *a __attribute__((unused)), const int8_t *b __attribute__((unused)),
                                    int8_t *output __attribute__((unused)))
{
    __asm__("push {r4-r9, lr}\n"
            "add r0, r0, #4\n"
            "ldm r0, {r4-r9}\n"
            "ldrd r0, r1, [sp, #28]\n"
            "rsb r7, r7, #0\n"
            "vdup.32 q2, r8\n"
            "vdup.32 q3, r9\n"
            "wlstp.32 lr, r2, 2f\n"
            "1:\n"
            "vldrb.s32 q0, [r3], #4\n"
            "vmul.i32 q0, q0, r4\n"
            "vldrb.s32 q1, [r0], #4\n"
            "vmla.s32 q0, q1, r5\n"
            "vadd.i32 q0, q0, r6\n"
            "vshl.s32 q0, r7\n"
            "vmax.s32 q0, q0, q2\n"
            "vmin.s32 q0, q0, q3\n"
            "vstrb.32 q0, [r1], #4\n"
            "letp lr, 1b\n"
            "2:\n"
            "pop {r4-r9, pc}\n");
}

#else

#if defined __ARM_FEATURE_DSP && defined __thumb2__

/* A shift that is a literal comes with the saturation, for nothing. The compiler prefers it. */
#define TN_ADD_SHIFT 21
#define TN_ADD_SHIFT_TEXT "21"

_Static_assert(offsetof(struct tn_add_linear, multiplier_a) == 4 && offsetof(struct tn_add_linear, addend) == 12,
               "the assembly loads three fields at once");

/* Saturated, `end` - `a` a positive multiple of four: r4 and r5 multipliers, r6 the addend, r8-r11 the sums. */
TN_ASSEMBLY void tn_add_linear_4(const int8_t *a __attribute__((unused)), const int8_t *b __attribute__((unused)),
                                 int8_t *output __attribute__((unused)), const int8_t *end __attribute__((unused)),
                                 const struct tn_add_linear *layer __attribute__((unused)))
{
    __asm__("push {r4-r11, lr}\n"
            "ldr lr, [sp, #36]\n"
            "add lr, #4\n"
            "ldmia lr, {r4, r5, r6}\n"
            "1:\n"
            "ldrsb r8, [r0], #4\n"
            "ldrsb r9, [r0, #-3]\n"
            "ldrsb r10, [r0, #-2]\n"
            "ldrsb r11, [r0, #-1]\n"
            "ldrsb r7, [r1], #4\n"
            "ldrsb r12, [r1, #-3]\n"
            "mla r8, r8, r4, r6\n"
            "mla r9, r9, r4, r6\n"
            "mla r10, r10, r4, r6\n"
            "mla r11, r11, r4, r6\n"
            "mla r8, r7, r5, r8\n"
            "mla r9, r12, r5, r9\n"
            "ldrsb r7, [r1, #-2]\n"
            "ldrsb r12, [r1, #-1]\n"
            "mla r10, r7, r5, r10\n"
            "mla r11, r12, r5, r11\n"
            ".irp sum, r8, r9, r10, r11\n"
            "ssat \\sum, #8, \\sum, asr #" TN_ADD_SHIFT_TEXT "\n"
            "strb \\sum, [r2], #1\n"
            ".endr\n"
            "cmp r0, r3\n"
            "bne 1b\n"
            "pop {r4-r11, pc}\n");
}

#endif

/* `count` outputs instead of all. */
TN_FOLDED void tn_add_linear_some(const struct tn_add_linear *layer, int32_t saturated, int32_t count, const int8_t *a,
                                  const int8_t *b, int8_t *output)
{
    const struct tn_add_linear fixed = *layer;
    const int8_t *const end = a + count;

#ifdef TN_ADD_SHIFT
    if (saturated && fixed.shift == TN_ADD_SHIFT && count >= 4) {
        const int32_t whole = count / 4 * 4;

        tn_add_linear_4(a, b, output, a + whole, layer);
        a += whole;
        b += whole;
        output += whole;
    }
#endif
    TN_UNROLL_4
    while (a != end) {
        *output++ = tn_add_linear_one(&fixed, saturated, *a++, *b++);
    }
}

#endif

TN_FOLDED void tn_add_linear(const struct tn_add_linear *layer, int32_t saturated, const int8_t *a, const int8_t *b,
                             int8_t *output)
{
    tn_add_linear_some(layer, saturated, layer->count, a, b, output);
}

#endif
