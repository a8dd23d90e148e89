/* The loops of tn_mve_depthwise.h for Armv8.1-M with MVE, naked so that every program has the same code. */
#ifndef TN_MVE_DEPTHWISE_ASSEMBLY_H
#define TN_MVE_DEPTHWISE_ASSEMBLY_H

#include "tn_mve_depthwise.h"

#if defined __ARM_FEATURE_MVE && __ARM_FEATURE_MVE && defined __GNUC__

#define TN_MVE_TURNS_LAYOUT(field, offset) \
    _Static_assert(offsetof(struct tn_mve_turns, field) == (offset), "the assembly knows where " #field " lies")
TN_MVE_TURNS_LAYOUT(staged, 0);
TN_MVE_TURNS_LAYOUT(records, 4);
TN_MVE_TURNS_LAYOUT(output, 8);
TN_MVE_TURNS_LAYOUT(channels, 12);
TN_MVE_TURNS_LAYOUT(words, 16);
TN_MVE_TURNS_LAYOUT(column, 20);
TN_MVE_TURNS_LAYOUT(advance, 24);
TN_MVE_TURNS_LAYOUT(out_step, 28);
TN_MVE_TURNS_LAYOUT(turns, 32);
TN_MVE_TURNS_LAYOUT(mask, 36);
TN_MVE_TURNS_LAYOUT(last, 40);
TN_MVE_TURNS_LAYOUT(zero_point, 44);
TN_MVE_TURNS_LAYOUT(places, 48);
_Static_assert(offsetof(struct tn_mve_rows, step) == 16, "rows are loaded at once");

/* r4-r7 the rows, r8-r10 and r12 their steps. */
TN_ASSEMBLY void tn_mve_stage(const struct tn_mve_rows *rows __attribute__((unused)),
                              int32_t columns __attribute__((unused)), int32_t channels __attribute__((unused)),
                              int8_t *to __attribute__((unused)))
{
    __asm__("push {r4-r10, lr}\n"
            "vctp.8 r2\n"
            "ldm r0, {r4-r10, r12}\n"
            "dls lr, r1\n"
            "1:\n"
            "vpstttt\n"
            "vldrbt.u8 q0, [r4]\n"
            "vldrbt.u8 q1, [r5]\n"
            "vldrbt.u8 q2, [r6]\n"
            "vldrbt.u8 q3, [r7]\n"
            "add r4, r4, r8\n"
            "add r5, r5, r9\n"
            "add r6, r6, r10\n"
            "add r7, r7, r12\n"
            "vst40.8 {q0, q1, q2, q3}, [r3]\n"
            "vst41.8 {q0, q1, q2, q3}, [r3]\n"
            "vst42.8 {q0, q1, q2, q3}, [r3]\n"
            "vst43.8 {q0, q1, q2, q3}, [r3]!\n"
            "le lr, 1b\n"
            "pop {r4-r10, pc}\n");
}

/* r0 and the job in r7, r3 the step from outputs to outputs, r5 from window to window, r9-r11 bias, multiplier,
 * shift, r12 the zero point, q1 where the window's columns lie, q3 where the outputs go, q4 the weights. The next
 * channel's staged values are 4 bytes on, its outputs 1. */
#define TN_MVE_TURNS_ENTER      \
    "push {r4-r11, lr}\n"       \
    "vpush {d8-d15}\n"          \
    "mov r7, r0\n"              \
    "mov r2, #0\n"              \
    "ldrd r4, r5, [r7, #20]\n"  \
    "vidup.u32 q1, r2, #1\n"    \
    "vmul.i32 q1, q1, r4\n"     \
    "vldrw.32 q3, [r7, #48]\n"  \
    "ldr r3, [r7, #28]\n"       \
    "ldr r12, [r7, #44]\n"      \
    "1:\n"                      \
    "ldr r2, [r7, #4]\n"        \
    "ldr r6, [r7, #16]\n"       \
    "vctp.32 r6\n"              \
    "vpst\n"                    \
    "vldrwt.u32 q4, [r2]\n"     \
    "add r2, r2, r6, lsl #2\n"  \
    "ldm r2!, {r9, r10, r11}\n" \
    "str r2, [r7, #4]\n"        \
    "ldr r1, [r7]\n"            \
    "ldr r0, [r7, #8]\n"        \
    "add r2, r1, #4\n"          \
    "str r2, [r7]\n"            \
    "add r2, r0, #1\n"          \
    "str r2, [r7, #8]\n"        \
    "ldrd r4, r6, [r7, #32]\n"  \
    "vmsr p0, r6\n"

/* q5 the weights a row on, q6 a column on, q7 both. */
#define TN_MVE_WEIGHTS_SQUARE \
    "mov r2, #0\n"            \
    "vmov q6, q4\n"           \
    "vshl.i32 q5, q4, #8\n"   \
    "vshlc q6, r2, #32\n"     \
    "vshl.i32 q7, q6, #8\n"
#define TN_MVE_WEIGHTS_ROW ""

/* q6, q5, q7 the weights one, two, three bytes on. */
#define TN_MVE_WEIGHTS_LINE \
    "mov r2, #0\n"          \
    "vmov q6, q4\n"         \
    "vshlc q6, r2, #8\n"    \
    "vmov q5, q6\n"         \
    "vshlc q5, r2, #8\n"    \
    "vmov q7, q5\n"         \
    "vshlc q7, r2, #8\n"

/* r2, r4, r6, r8: the sums of four outputs. */
#define TN_MVE_SUMS_SQUARE     \
    "vldrw.u32 q0, [r1, q1]\n" \
    "vmladav.s8 r2, q0, q4\n"  \
    "vmladav.s8 r4, q0, q6\n"  \
    "vmladav.s8 r6, q0, q5\n"  \
    "vmladav.s8 r8, q0, q7\n"  \
    "add r1, r1, r5\n"
#define TN_MVE_SUMS_ROW        \
    "vldrw.u32 q0, [r1, q1]\n" \
    "add r1, r1, r5\n"         \
    "vmladav.s8 r2, q0, q4\n"  \
    "vldrw.u32 q5, [r1, q1]\n" \
    "add r1, r1, r5\n"         \
    "vmladav.s8 r4, q5, q4\n"  \
    "vldrw.u32 q6, [r1, q1]\n" \
    "add r1, r1, r5\n"         \
    "vmladav.s8 r6, q6, q4\n"  \
    "vldrw.u32 q7, [r1, q1]\n" \
    "add r1, r1, r5\n"         \
    "vmladav.s8 r8, q7, q4\n"

/* One less in what is negative: tn_mve.h says why. */
#define TN_MVE_HALVES_RELU ""
#define TN_MVE_HALVES_SIGNED \
    "vshr.s32 q2, q0, #31\n" \
    "vqadd.s32 q0, q0, q2\n"

/* Narrowing saturates, twice, and the lowest byte of each word is the output. */
#define TN_MVE_TURN(sums, halves) \
    sums                          \
    "vmov q0[2], q0[0], r2, r6\n" \
    "vmov q0[3], q0[1], r4, r8\n" \
    "vadd.i32 q0, q0, r9\n"       \
    "vqrdmulh.s32 q0, q0, r10\n"  \
    halves                        \
    "vrshl.s32 q0, r11\n"         \
    "vadd.i32 q0, q0, r12\n"      \
    "vqmovnb.s32 q0, q0\n"        \
    "vqmovnb.s16 q0, q0\n"        \
    "vpst\n"                      \
    "vstrbt.32 q0, [r0, q3]\n"    \
    "add r0, r0, r3\n"

#define TN_MVE_TURNS_OF(weights, sums, halves) \
    TN_MVE_TURNS_ENTER                         \
    weights                                    \
    "wls lr, r4, 3f\n"                         \
    "2:\n"                                     \
    TN_MVE_TURN(sums, halves)                  \
    "le lr, 2b\n"                              \
    "3:\n"                                     \
    "ldr r2, [r7, #40]\n"                      \
    "cmp r2, #0\n"                             \
    "beq 4f\n"                                 \
    "vmsr p0, r2\n"                            \
    TN_MVE_TURN(sums, halves)                  \
    "4:\n"                                     \
    "ldr r2, [r7, #12]\n"                      \
    "subs r2, r2, #1\n"                        \
    "str r2, [r7, #12]\n"                      \
    "bne 1b\n"                                 \
    "vpop {d8-d15}\n"                          \
    "pop {r4-r11, pc}\n"

#define TN_MVE_TURNS(name, halves)                                                          \
    TN_ASSEMBLY void tn_mve_square_##name(struct tn_mve_turns *job __attribute__((unused))) \
    {                                                                                       \
        __asm__(TN_MVE_TURNS_OF(TN_MVE_WEIGHTS_SQUARE, TN_MVE_SUMS_SQUARE, halves));        \
    }                                                                                       \
    TN_ASSEMBLY void tn_mve_row_##name(struct tn_mve_turns *job __attribute__((unused)))    \
    {                                                                                       \
        __asm__(TN_MVE_TURNS_OF(TN_MVE_WEIGHTS_ROW, TN_MVE_SUMS_ROW, halves));              \
    }                                                                                       \
    TN_ASSEMBLY void tn_mve_line_##name(struct tn_mve_turns *job __attribute__((unused)))   \
    {                                                                                       \
        __asm__(TN_MVE_TURNS_OF(TN_MVE_WEIGHTS_LINE, TN_MVE_SUMS_SQUARE, halves));          \
    }

TN_MVE_TURNS(relu, TN_MVE_HALVES_RELU)
TN_MVE_TURNS(signed, TN_MVE_HALVES_SIGNED)

#endif

#endif
