/* The loops of tn_mve.h for Armv8.1-M with MVE, naked so that every program has the same code: their registers are all
 * but two, and sums must be in even ones.
 *
 * The job is copied to the stack, below which lie the sums of three inputs and four channels.
 */
#ifndef TN_MVE_ASSEMBLY_H
#define TN_MVE_ASSEMBLY_H

#include "tn_mve.h"

#if defined __ARM_FEATURE_MVE && __ARM_FEATURE_MVE && defined __GNUC__

#define TN_MVE_LAYOUT(field, offset) \
    _Static_assert(offsetof(struct tn_mve_job, field) == (offset), "the assembly knows where " #field " lies")
TN_MVE_LAYOUT(inputs, 0);
TN_MVE_LAYOUT(depth, 12);
TN_MVE_LAYOUT(weights, 16);
TN_MVE_LAYOUT(bias, 20);
TN_MVE_LAYOUT(multipliers, 24);
TN_MVE_LAYOUT(shifts, 28);
TN_MVE_LAYOUT(output, 32);
TN_MVE_LAYOUT(pitch, 36);
TN_MVE_LAYOUT(channels, 40);
TN_MVE_LAYOUT(zero_point, 44);
TN_MVE_LAYOUT(low, 48);
TN_MVE_LAYOUT(high, 52);

/* On the stack. The pairs are loaded and stored together; `left` are the channels to go. */
#define TN_MVE_INPUTS "[sp, #48]"
#define TN_MVE_INPUT_2 "[sp, #56]"
#define TN_MVE_DEPTH_WEIGHTS "[sp, #60]"
#define TN_MVE_BIAS "[sp, #68]"
#define TN_MVE_MULTIPLIERS_SHIFTS "[sp, #72]"
#define TN_MVE_OUTPUT_PITCH "[sp, #80]"
#define TN_MVE_LEFT_ZERO_POINT "[sp, #88]"

/* q4 and q5: the limits, four times each. r11: the next channels' weights, r12 the depth. */
#define TN_MVE_ENTER                            \
    "push {r4-r11, lr}\n"                       \
    "vpush {d8-d11}\n"                          \
    "ldrd r1, r2, [r0, #48]\n"                  \
    "vdup.32 q4, r1\n"                          \
    "vdup.32 q5, r2\n"                          \
    "ldm r0, {r1-r12}\n"                        \
    "push {r1-r12}\n"                           \
    "sub sp, sp, #48\n"                         \
    "ldrd r12, r11, " TN_MVE_DEPTH_WEIGHTS "\n" \
    "1:\n"

/* r1, r3, r5 inputs, r7 and r9 weights of two channels, their sums in r0, r2, r4 and in r6, r8, r10. */
#define TN_MVE_SUMS_3(of_biases, of_sums_0, of_sums_1, of_sums_2) \
    "ldr r7, " TN_MVE_BIAS "\n"                                   \
    "ldrd r0, r6, [r7, #" of_biases "]\n"                         \
    "mov r7, r11\n"                                               \
    "ldrd r1, r3, " TN_MVE_INPUTS "\n"                            \
    "ldr r5, " TN_MVE_INPUT_2 "\n"                                \
    "add r9, r7, r12\n"                                           \
    "add r11, r9, r12\n"                                          \
    "mov r2, r0\n"                                                \
    "mov r4, r0\n"                                                \
    "mov r8, r6\n"                                                \
    "mov r10, r6\n"                                               \
    "dlstp.8 lr, r12\n"                                           \
    "2:\n"                                                        \
    "vldrb.8 q0, [r7], #16\n"                                     \
    "vldrb.8 q1, [r1], #16\n"                                     \
    "vmladava.s8 r0, q0, q1\n"                                    \
    "vldrb.8 q2, [r3], #16\n"                                     \
    "vmladava.s8 r2, q0, q2\n"                                    \
    "vldrb.8 q3, [r5], #16\n"                                     \
    "vmladava.s8 r4, q0, q3\n"                                    \
    "vldrb.8 q0, [r9], #16\n"                                     \
    "vmladava.s8 r6, q0, q1\n"                                    \
    "vmladava.s8 r8, q0, q2\n"                                    \
    "vmladava.s8 r10, q0, q3\n"                                   \
    "letp lr, 2b\n"                                               \
    "strd r0, r6, [sp, #" of_sums_0 "]\n"                         \
    "strd r2, r8, [sp, #" of_sums_1 "]\n"                         \
    "strd r4, r10, [sp, #" of_sums_2 "]\n"

/* r1 the input, r3, r5, r7, r9 weights of four channels, their sums in r0, r2, r4, r6 and then in q2. */
#define TN_MVE_SUMS_1             \
    "mov r3, r11\n"               \
    "ldr r8, " TN_MVE_BIAS "\n"   \
    "ldr r1, " TN_MVE_INPUTS "\n" \
    "ldrd r0, r2, [r8]\n"         \
    "ldrd r4, r6, [r8, #8]\n"     \
    "add r5, r3, r12\n"           \
    "add r7, r5, r12\n"           \
    "add r9, r7, r12\n"           \
    "add r11, r9, r12\n"          \
    "dlstp.8 lr, r12\n"           \
    "2:\n"                        \
    "vldrb.8 q0, [r1], #16\n"     \
    "vldrb.8 q1, [r3], #16\n"     \
    "vmladava.s8 r0, q0, q1\n"    \
    "vldrb.8 q2, [r5], #16\n"     \
    "vmladava.s8 r2, q0, q2\n"    \
    "vldrb.8 q1, [r7], #16\n"     \
    "vmladava.s8 r4, q0, q1\n"    \
    "vldrb.8 q2, [r9], #16\n"     \
    "vmladava.s8 r6, q0, q2\n"    \
    "letp lr, 2b\n"               \
    "vmov q2[2], q2[0], r0, r4\n" \
    "vmov q2[3], q2[1], r2, r6\n"

/* q0 multipliers, q1 shifts; behind them r1 and r2. r3, r7, r0 where the outputs go, r5 channels left, r6 the zero
 * point. */
#define TN_MVE_FACTORS                             \
    "ldrd r1, r2, " TN_MVE_MULTIPLIERS_SHIFTS "\n" \
    "ldrd r3, r4, " TN_MVE_OUTPUT_PITCH "\n"       \
    "ldrd r5, r6, " TN_MVE_LEFT_ZERO_POINT "\n"    \
    "add r7, r3, r4\n"                             \
    "add r0, r7, r4\n"                             \
    "vldrw.32 q0, [r1], #16\n"                     \
    "vldrb.s32 q1, [r2], #4\n"

/* One less in what is negative, unless nothing is shifted. */
#define TN_MVE_RELU ""
#define TN_MVE_SIGNED        \
    "vand q3, q2, q1\n"      \
    "vshr.s32 q3, q3, #31\n" \
    "vqadd.s32 q2, q2, q3\n"

#define TN_MVE_FINISH(form, output) \
    "vqrdmulh.s32 q2, q2, q0\n"     \
    form                            \
    "vrshl.s32 q2, q2, q1\n"        \
    "vadd.i32 q2, q2, r6\n"         \
    "vmax.s32 q2, q2, q4\n"         \
    "vmin.s32 q2, q2, q5\n"         \
    "vstrb.32 q2, [" output "], #4\n"

/* On to the next four channels. Where fewer are left, all pointers go back by those that are missing. */
#define TN_MVE_LEAVE                               \
    "ldr r10, " TN_MVE_BIAS "\n"                   \
    "add r10, r10, #16\n"                          \
    "subs r5, r5, #4\n"                            \
    "ble 4f\n"                                     \
    "cmp r5, #4\n"                                 \
    "bge 3f\n"                                     \
    "rsb r9, r5, #4\n"                             \
    "sub r1, r1, r9, lsl #2\n"                     \
    "sub r2, r2, r9\n"                             \
    "sub r3, r3, r9\n"                             \
    "sub r10, r10, r9, lsl #2\n"                   \
    "mls r11, r12, r9, r11\n"                      \
    "mov r5, #4\n"                                 \
    "3:\n"                                         \
    "str r10, " TN_MVE_BIAS "\n"                   \
    "strd r1, r2, " TN_MVE_MULTIPLIERS_SHIFTS "\n" \
    "strd r3, r4, " TN_MVE_OUTPUT_PITCH "\n"       \
    "strd r5, r6, " TN_MVE_LEFT_ZERO_POINT "\n"    \
    "b 1b\n"                                       \
    "4:\n"                                         \
    "add sp, sp, #96\n"                            \
    "vpop {d8-d11}\n"                              \
    "pop {r4-r11, pc}\n"

#define TN_MVE_PRODUCTS(name, form)                                                        \
    TN_ASSEMBLY void tn_mve_3_##name(const struct tn_mve_job *job __attribute__((unused))) \
    {                                                                                      \
        __asm__(TN_MVE_ENTER TN_MVE_SUMS_3("0", "0", "16", "32")                           \
                TN_MVE_SUMS_3("8", "8", "24", "40") TN_MVE_FACTORS                         \
                "vldrw.32 q2, [sp]\n" TN_MVE_FINISH(form, "r3")                            \
                "vldrw.32 q2, [sp, #16]\n" TN_MVE_FINISH(form, "r7")                       \
                "vldrw.32 q2, [sp, #32]\n" TN_MVE_FINISH(form, "r0")                       \
                TN_MVE_LEAVE);                                                             \
    }                                                                                      \
    TN_ASSEMBLY void tn_mve_1_##name(const struct tn_mve_job *job __attribute__((unused))) \
    {                                                                                      \
        __asm__(TN_MVE_ENTER TN_MVE_SUMS_1 TN_MVE_FACTORS                                  \
                TN_MVE_FINISH(form, "r3") TN_MVE_LEAVE);                                   \
    }

TN_MVE_PRODUCTS(relu, TN_MVE_RELU)
TN_MVE_PRODUCTS(signed, TN_MVE_SIGNED)

/* For depths of up to 16, whole fours of channels, and outputs clamped to int8 alone: inputs in q1-q3, weights of
 * four channels in q4-q7. Where one input's four sums are there, they take its place, and the factors then that of
 * the weights. r1, r3, r5 multipliers, shifts, bias, r7 the output, r11 the weights, r12 the depth. */
#define TN_MVE_SHORT_SUMS(input)                \
    "vmladav.s8 r0, " input ", q4\n"            \
    "vmladav.s8 r2, " input ", q5\n"            \
    "vmladav.s8 r4, " input ", q6\n"            \
    "vmladav.s8 r6, " input ", q7\n"            \
    "vmov " input "[2], " input "[0], r0, r4\n" \
    "vmov " input "[3], " input "[1], r2, r6\n"
#define TN_MVE_SHORT_RELU(sums) ""
#define TN_MVE_SHORT_SIGNED(sums) \
    "vand q0, " sums ", q5\n"     \
    "vshr.s32 q0, q0, #31\n"      \
    "vqadd.s32 " sums ", " sums ", q0\n"
#define TN_MVE_SHORT_FINISH(form, sums, output) \
    "vadd.i32 " sums ", " sums ", q6\n"         \
    "vqrdmulh.s32 " sums ", " sums ", q4\n"     \
    form(sums)                                  \
    "vrshl.s32 " sums ", " sums ", q5\n"        \
    "vadd.i32 " sums ", " sums ", r4\n"         \
    "vqmovnb.s32 " sums ", " sums "\n"          \
    "vqmovnb.s16 " sums ", " sums "\n"          \
    "vstrb.32 " sums ", [" output "], #4\n"

#define TN_MVE_SHORT(name, form)                                                               \
    TN_ASSEMBLY void tn_mve_short_##name(const struct tn_mve_job *job __attribute__((unused))) \
    {                                                                                          \
        __asm__("push {r4-r11, lr}\n"                                                          \
                "vpush {d8-d15}\n"                                                             \
                "ldm r0, {r1-r12}\n"                                                           \
                "push {r1-r12}\n"                                                              \
                "ldrd r12, r11, [sp, #12]\n"                                                   \
                "vctp.8 r12\n"                                                                 \
                "ldrd r5, r1, [sp, #20]\n"                                                     \
                "ldrd r3, r7, [sp, #28]\n"                                                     \
                "ldr lr, [sp, #40]\n"                                                          \
                "lsr lr, lr, #2\n"                                                             \
                "dls lr, lr\n"                                                                 \
                "1:\n"                                                                         \
                "ldrd r0, r2, [sp]\n"                                                          \
                "ldr r4, [sp, #8]\n"                                                           \
                "add r8, r11, r12\n"                                                           \
                "add r9, r8, r12\n"                                                            \
                "add r10, r9, r12\n"                                                           \
                "vpstttt\n"                                                                    \
                "vldrbt.u8 q4, [r11]\n"                                                        \
                "vldrbt.u8 q5, [r8]\n"                                                         \
                "vldrbt.u8 q6, [r9]\n"                                                         \
                "vldrbt.u8 q7, [r10]\n"                                                        \
                "vpsttt\n"                                                                     \
                "vldrbt.u8 q1, [r0]\n"                                                         \
                "vldrbt.u8 q2, [r2]\n"                                                         \
                "vldrbt.u8 q3, [r4]\n"                                                         \
                "add r11, r10, r12\n"                                                          \
                TN_MVE_SHORT_SUMS("q1")                                                        \
                TN_MVE_SHORT_SUMS("q2")                                                        \
                TN_MVE_SHORT_SUMS("q3")                                                        \
                "vldrw.32 q6, [r5], #16\n"                                                     \
                "vldrw.32 q4, [r1], #16\n"                                                     \
                "vldrb.s32 q5, [r3], #4\n"                                                     \
                "ldr r2, [sp, #36]\n"                                                          \
                "ldr r4, [sp, #44]\n"                                                          \
                "add r0, r7, r2\n"                                                             \
                "add r2, r0, r2\n"                                                             \
                TN_MVE_SHORT_FINISH(form, "q1", "r7")                                          \
                TN_MVE_SHORT_FINISH(form, "q2", "r0")                                          \
                TN_MVE_SHORT_FINISH(form, "q3", "r2")                                          \
                "le lr, 1b\n"                                                                  \
                "add sp, sp, #48\n"                                                            \
                "vpop {d8-d15}\n"                                                              \
                "pop {r4-r11, pc}\n");                                                         \
    }

TN_MVE_SHORT(relu, TN_MVE_SHORT_RELU)
TN_MVE_SHORT(signed, TN_MVE_SHORT_SIGNED)

TN_FOLDED void tn_mve_copy(int8_t *to, const int8_t *from, int32_t count)
{
    __asm__ volatile("wlstp.8 lr, %2, 2f\n"
                     "1:\n"
                     "vldrb.8 q0, [%1], #16\n"
                     "vstrb.8 q0, [%0], #16\n"
                     "letp lr, 1b\n"
                     "2:\n"
                     : "+&r"(to), "+&r"(from)
                     : "r"(count)
                     : "lr", "q0", "memory");
}

/* Of up to 16 bytes. */
TN_FOLDED void tn_mve_copy_short_rows(int8_t *to, int32_t to_pitch, const int8_t *from, int32_t from_pitch, int32_t count,
                                      int32_t rows)
{
    if (rows <= 0) {
        return;
    }
    __asm__ volatile("vctp.8 %4\n"
                     "dls lr, %5\n"
                     "1:\n"
                     "vpstt\n"
                     "vldrbt.u8 q0, [%1]\n"
                     "vstrbt.8 q0, [%0]\n"
                     "add %1, %1, %3\n"
                     "add %0, %0, %2\n"
                     "le lr, 1b\n"
                     : "+&r"(to), "+&r"(from)
                     : "r"(to_pitch), "r"(from_pitch), "r"(count), "r"(rows)
                     : "lr", "q0", "memory");
}

TN_FOLDED void tn_mve_fill(int8_t *to, int32_t value, int32_t count)
{
    __asm__ volatile("vdup.8 q0, %1\n"
                     "wlstp.8 lr, %2, 2f\n"
                     "1:\n"
                     "vstrb.8 q0, [%0], #16\n"
                     "letp lr, 1b\n"
                     "2:\n"
                     : "+&r"(to)
                     : "r"(value), "r"(count)
                     : "lr", "q0", "memory");
}

#endif

#endif
