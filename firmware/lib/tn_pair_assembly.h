/* The loops of tn_pair.h for ARMv7E-M, where they take all fourteen registers: written out, because no C compiler is
 * sure to find this allocation, and naked, so that every program has the same code whatever it is compiled with.
 *
 * The job is copied to the stack, where its fields are one instruction away.
 */
#ifndef TN_PAIR_ASSEMBLY_H
#define TN_PAIR_ASSEMBLY_H

#include "tn_pair.h"

#if defined __ARM_FEATURE_DSP && defined __thumb2__

#define TN_PAIR_LAYOUT(job, field, offset) \
    _Static_assert(offsetof(struct job, field) == (offset), "the assembly knows where " #field " lies")
TN_PAIR_LAYOUT(tn_pair_job_3, staged, 0);
TN_PAIR_LAYOUT(tn_pair_job_3, skip, 4);
TN_PAIR_LAYOUT(tn_pair_job_3, end, 8);
TN_PAIR_LAYOUT(tn_pair_job_3, low, 12);
TN_PAIR_LAYOUT(tn_pair_job_3, output, 20);
TN_PAIR_LAYOUT(tn_pair_job_3, pitch, 24);
TN_PAIR_LAYOUT(tn_pair_job_3, last, 28);
TN_PAIR_LAYOUT(tn_pair_job_3, odd, 32);
TN_PAIR_LAYOUT(tn_pair_job_3, weights, 36);
TN_PAIR_LAYOUT(tn_pair_job_3, records, 40);
TN_PAIR_LAYOUT(tn_pair_job_1, staged, 0);
TN_PAIR_LAYOUT(tn_pair_job_1, skip, 4);
TN_PAIR_LAYOUT(tn_pair_job_1, end, 8);
TN_PAIR_LAYOUT(tn_pair_job_1, low, 12);
TN_PAIR_LAYOUT(tn_pair_job_1, output, 20);
TN_PAIR_LAYOUT(tn_pair_job_1, left, 24);
TN_PAIR_LAYOUT(tn_pair_job_1, weights, 28);
TN_PAIR_LAYOUT(tn_pair_job_1, records, 32);
_Static_assert(sizeof(struct tn_pair_job_3) == 44 && sizeof(struct tn_pair_job_1) == 36, "jobs are copied at once");
_Static_assert(sizeof(struct tn_pair_record) == 28, "a record is loaded as two and five words");

/* In every job. */
#define TN_PAIR_STAGED "[sp, #0]"
#define TN_PAIR_SKIP "[sp, #4]"
#define TN_PAIR_END "[sp, #8]"
#define TN_PAIR_LIMITS "[sp, #12]"
#define TN_PAIR_OUTPUT "[sp, #20]"

#define TN_PAIR_PITCH "[sp, #24]"
#define TN_PAIR_LAST "[sp, #28]"
#define TN_PAIR_ODD "[sp, #32]"
#define TN_PAIR_WEIGHTS "[sp, #36]"

#define TN_PAIR_RECORDS "[sp, #32]"

/* A literal shift for all channels: see `relu` in tn_requantize.h. */
#define TN_PAIR_SHIFT "12"

/* r0-r2 inputs of three pixels, r3-r5 their sums of both channels, r6-r8 those of the first, r9 and r10 weights, r11
 * the staged input, r12 the weights, lr the records. The first quad starts the sums from the biases. The jump lands 4 bytes on, at the
 * loop, where nothing is skipped, and behind it where nothing is left. */
#define TN_PAIR_SUMS_3                       \
    "push {r4-r11, lr}\n"                    \
    "ldmia r0, {r1-r11}\n"                   \
    "push {r1-r11}\n"                        \
    "mov lr, r11\n"                          \
    "mov r12, r10\n"                         \
    "1:\n"                                   \
    "ldr r11, " TN_PAIR_STAGED "\n"          \
    "ldr r3, [lr], #4\n"                     \
    "ldr r6, [lr], #4\n"                     \
    "ldmia.w r11!, {r0, r1, r2}\n"           \
    "ldrd r9, r10, [r12], #8\n"              \
    "smlad r4, r1, r9, r3\n"                 \
    "smlad r5, r2, r9, r3\n"                 \
    "smlad r3, r0, r9, r3\n"                 \
    "sxtb16 r9, r9\n"                        \
    "smlad r7, r1, r9, r6\n"                 \
    "smlad r8, r2, r9, r6\n"                 \
    "smlad r6, r0, r9, r6\n"                 \
    "ldmia.w r11!, {r0, r1, r2}\n"           \
    "smlad r3, r0, r10, r3\n"                \
    "smlad r4, r1, r10, r4\n"                \
    "smlad r5, r2, r10, r5\n"                \
    "sxtb16 r10, r10\n"                      \
    "smlad r6, r0, r10, r6\n"                \
    "ldr r0, " TN_PAIR_SKIP "\n"             \
    "smlad r7, r1, r10, r7\n"                \
    "smlad r8, r2, r10, r8\n"                \
    "add pc, r0\n"                           \
    "nop\n"                                  \
    "2:\n"                                   \
    TN_PAIR_REPEAT_3                         \
    "ldmia.w r11!, {r0, r1, r2}\n"           \
    "ldrd r9, r10, [r12], #8\n"              \
    "smlad r3, r0, r9, r3\n"                 \
    "smlad r4, r1, r9, r4\n"                 \
    "smlad r5, r2, r9, r5\n"                 \
    "sxtb16 r9, r9\n"                        \
    "smlad r6, r0, r9, r6\n"                 \
    "smlad r7, r1, r9, r7\n"                 \
    "smlad r8, r2, r9, r8\n"                 \
    "ldmia.w r11!, {r0, r1, r2}\n"           \
    "smlad r3, r0, r10, r3\n"                \
    "smlad r4, r1, r10, r4\n"                \
    "smlad r5, r2, r10, r5\n"                \
    "sxtb16 r10, r10\n"                      \
    "smlad r6, r0, r10, r6\n"                \
    "smlad r7, r1, r10, r7\n"                \
    "smlad r8, r2, r10, r8\n"                \
    ".endr\n"                                \
    "ldr r0, " TN_PAIR_END "\n"              \
    "cmp r11, r0\n"                          \
    "bne 2b\n"

/* r0 and r1 multipliers, r2 and r9 addends, r10 shifts, r11 the second channel's shift; its sums times 256 in r3-r5. */
#define TN_PAIR_FINISH_3                     \
    "ldmia lr!, {r0, r1, r2, r9, r10}\n"     \
    "sub r3, r3, r6\n"                       \
    "sub r4, r4, r7\n"                       \
    "sub r5, r5, r8\n"                       \
    "lsr r11, r10, #8\n"

/* Both channels' outputs side by side; a last channel without a second one goes through all of it once more. */
#define TN_PAIR_STORE_3                      \
    "ldr r11, " TN_PAIR_LAST "\n"            \
    "ldr r0, " TN_PAIR_OUTPUT "\n"           \
    "ldr r1, " TN_PAIR_PITCH "\n"            \
    "bfi r6, r3, #8, #8\n"                   \
    "cmp lr, r11\n"                          \
    "bhi 3f\n"                               \
    "bfi r7, r4, #8, #8\n"                   \
    "bfi r8, r5, #8, #8\n"                   \
    "strh r8, [r0, r1, lsl #1]\n"            \
    "strh r7, [r0, r1]\n"                    \
    "strh r6, [r0], #2\n"                    \
    "str r0, " TN_PAIR_OUTPUT "\n"           \
    "bne 1b\n"                               \
    "ldr r0, " TN_PAIR_ODD "\n"              \
    "cmp r0, #0\n"                           \
    "bne 1b\n"                               \
    "b 4f\n"                                 \
    "3:\n"                                   \
    "strb r8, [r0, r1, lsl #1]\n"            \
    "strb r7, [r0, r1]\n"                    \
    "strb r6, [r0]\n"                        \
    "4:\n"                                   \
    "add sp, #44\n"                          \
    "pop {r4-r11, pc}\n"

/* Sixteen products of one pair: r0-r3 inputs of one pixel, r4-r7 weights. */
#define TN_PAIR_PRODUCTS_1(both, first)      \
    "ldmia.w lr!, {r4, r5, r6, r7}\n"        \
    "smlad " both ", r0, r4, " both "\n"     \
    "sxtb16 r4, r4\n"                        \
    "smlad " both ", r1, r5, " both "\n"     \
    "sxtb16 r5, r5\n"                        \
    "smlad " both ", r2, r6, " both "\n"     \
    "sxtb16 r6, r6\n"                        \
    "smlad " both ", r3, r7, " both "\n"     \
    "sxtb16 r7, r7\n"                        \
    "smlad " first ", r0, r4, " first "\n"   \
    "smlad " first ", r1, r5, " first "\n"   \
    "smlad " first ", r2, r6, " first "\n"   \
    "smlad " first ", r3, r7, " first "\n"

/* One pixel times two pairs of channels: r8 and r10 the sums of both channels, r9 and r11 those of the first, r12 the
 * staged input, lr the weights. */
#define TN_PAIR_SUMS_1                         \
    "push {r4-r11, lr}\n"                      \
    "ldmia r0, {r1-r9}\n"                      \
    "push {r1-r9}\n"                           \
    "mov lr, r8\n"                             \
    "1:\n"                                     \
    "ldr r0, " TN_PAIR_RECORDS "\n"            \
    "ldrd r8, r9, [r0]\n"                      \
    "ldrd r10, r11, [r0, #28]\n"               \
    "ldrd r12, r0, " TN_PAIR_STAGED "\n"       \
    "add pc, r0\n"                             \
    "nop\n"                                    \
    "2:\n"                                     \
    TN_PAIR_REPEAT_1                           \
    "ldmia.w r12!, {r0, r1, r2, r3}\n"         \
    TN_PAIR_PRODUCTS_1("r8", "r9")             \
    TN_PAIR_PRODUCTS_1("r10", "r11")           \
    ".endr\n"                                  \
    "ldr r0, " TN_PAIR_END "\n"                \
    "cmp r12, r0\n"                            \
    "bne 2b\n"                                 \
    "ldr r12, " TN_PAIR_RECORDS "\n"

/* The rest of a pair's record: r0 and r1 multipliers, r2 and r3 addends, r4 shifts, r5 the second channel's shift; the
 * second channel's sum times 256. `form` brings both to int8. */
#define TN_PAIR_FINISH_1(both, first, form)  \
    "add r12, #8\n"                          \
    "ldmia r12!, {r0, r1, r2, r3, r4}\n"     \
    "sub " both ", " both ", " first "\n"    \
    "lsr r5, r4, #8\n"                       \
    form(both, first)                        \
    "bfi " first ", " both ", #8, #8\n"

#define TN_PAIR_STORE_1                      \
    "str r12, " TN_PAIR_RECORDS "\n"         \
    "ldrd r0, r1, " TN_PAIR_OUTPUT "\n"      \
    "pkhbt r9, r9, r11, lsl #16\n"           \
    "subs r1, #4\n"                          \
    "blo 3f\n"                               \
    "str r9, [r0], #4\n"                     \
    "strd r0, r1, " TN_PAIR_OUTPUT "\n"      \
    "bne 1b\n"                               \
    "b 4f\n"                                 \
    "3:\n"                                   \
    "adds r1, #4\n"                          \
    "5:\n"                                   \
    "strb r9, [r0], #1\n"                    \
    "lsr r9, r9, #8\n"                       \
    "subs r1, #1\n"                          \
    "bne 5b\n"                               \
    "4:\n"                                   \
    "add sp, #36\n"                          \
    "pop {r4-r11, pc}\n"

/* `registers` to int8 by a shift of their own in `shift`; `sums` are twice the accumulators. */
#define TN_PAIR_SIGNED(registers, multiplier, addend, shift, spare)                     \
    ".irp sum, " registers "\n"                                                         \
    "smmlar " spare ", \\sum, " multiplier ", " addend "\n"                             \
    "add \\sum, " spare ", \\sum, asr #31\n"                                            \
    "asr \\sum, \\sum, " shift "\n"                                                     \
    ".endr\n"

#define TN_PAIR_SATURATE(registers) \
    ".irp sum, " registers "\n"     \
    "ssat \\sum, #8, \\sum\n"       \
    ".endr\n"

#define TN_PAIR_CLAMP(registers, low, high) \
    "ldrd " low ", " high ", " TN_PAIR_LIMITS "\n" \
    ".irp sum, " registers "\n"             \
    "cmp \\sum, " low "\n"                  \
    "it lt\n"                               \
    "movlt \\sum, " low "\n"                \
    "cmp \\sum, " high "\n"                 \
    "it gt\n"                               \
    "movgt \\sum, " high "\n"               \
    ".endr\n"

/* Twice the accumulators, to int8 before the clamp. The walk through the weights leaves its register for a moment. */
#define TN_PAIR_SIGNED_3                                        \
    ".irp sum, r3, r4, r5\n"                                    \
    "asr \\sum, \\sum, #7\n"                                    \
    ".endr\n"                                                   \
    "str r12, " TN_PAIR_WEIGHTS "\n"                            \
    TN_PAIR_SIGNED("r3, r4, r5", "r1", "r9", "r11", "r12")      \
    ".irp sum, r6, r7, r8\n"                                    \
    "lsl \\sum, \\sum, #1\n"                                    \
    ".endr\n"                                                   \
    TN_PAIR_SIGNED("r6, r7, r8", "r0", "r2", "r10", "r12")      \
    "ldr r12, " TN_PAIR_WEIGHTS "\n"

/* Each sum is shifted so that all channels shift right by the same literal, which SSAT does in passing. */
#define TN_PAIR_RELU(registers, shift, multiplier, addend)          \
    ".irp sum, " registers "\n"                                     \
    shift "\n"                                                      \
    "smmla \\sum, \\sum, " multiplier ", " addend "\n"              \
    "ssat \\sum, #8, \\sum, asr #" TN_PAIR_SHIFT "\n"               \
    ".endr\n"

#define TN_PAIR_RELU_3                                                   \
    TN_PAIR_RELU("r3, r4, r5", "asr \\sum, \\sum, r11", "r1", "r9")      \
    TN_PAIR_RELU("r6, r7, r8", "lsl \\sum, \\sum, r10", "r0", "r2")

#define TN_PAIR_RELU_1(both, first)                                 \
    TN_PAIR_RELU(both, "asr \\sum, \\sum, r5", "r1", "r3")          \
    TN_PAIR_RELU(first, "lsl \\sum, \\sum, r4", "r0", "r2")

#define TN_PAIR_DOUBLED_1(both, first)               \
    "asr " both ", " both ", #7\n"                   \
    "lsl " first ", " first ", #1\n"                 \
    TN_PAIR_SIGNED(both, "r1", "r3", "r5", "r6")     \
    TN_PAIR_SIGNED(first, "r0", "r2", "r4", "r6")

#define TN_PAIR_SIGNED_1(both, first) TN_PAIR_DOUBLED_1(both, first) TN_PAIR_SATURATE(both ", " first)
#define TN_PAIR_CLAMPED_1(both, first) TN_PAIR_DOUBLED_1(both, first) TN_PAIR_CLAMP(both ", " first, "r0", "r1")

#define TN_PAIR_FUNCTION(name, job, code)                                            \
    TN_ASSEMBLY void name(const struct job *with __attribute__((unused)))            \
    {                                                                                \
        __asm__(code);                                                               \
    }
#define TN_PAIR_3(name, form) \
    TN_PAIR_FUNCTION(name, tn_pair_job_3, TN_PAIR_SUMS_3 TN_PAIR_FINISH_3 form TN_PAIR_STORE_3)
#define TN_PAIR_1(name, form)                                                                                          \
    TN_PAIR_FUNCTION(name, tn_pair_job_1,                                                                              \
                     TN_PAIR_SUMS_1 TN_PAIR_FINISH_1("r8", "r9", form) TN_PAIR_FINISH_1("r10", "r11", form)            \
                         TN_PAIR_STORE_1)

TN_PAIR_3(tn_pair_3_relu, TN_PAIR_RELU_3)
TN_PAIR_3(tn_pair_3_signed, TN_PAIR_SIGNED_3 TN_PAIR_SATURATE("r3, r4, r5, r6, r7, r8"))
TN_PAIR_3(tn_pair_3_clamped, TN_PAIR_SIGNED_3 TN_PAIR_CLAMP("r3, r4, r5, r6, r7, r8", "r0", "r1"))
TN_PAIR_1(tn_pair_1_relu, TN_PAIR_RELU_1)
TN_PAIR_1(tn_pair_1_signed, TN_PAIR_SIGNED_1)
TN_PAIR_1(tn_pair_1_clamped, TN_PAIR_CLAMPED_1)

/* Stages `count` values of three pixels, side by side; count is a positive multiple of four. */
TN_ASSEMBLY int8_t *
tn_stage_3(const int8_t *a __attribute__((unused)), const int8_t *b __attribute__((unused)),
           const int8_t *c __attribute__((unused)), int8_t *to __attribute__((unused)),
           int32_t count __attribute__((unused)))
{
    __asm__("push {r4-r8, lr}\n"
            "ldr lr, [sp, #24]\n"
            "add lr, r0\n"
            "1:\n"
            "ldr r4, [r0], #4\n"
            "ldr r5, [r1], #4\n"
            "ldr r6, [r2], #4\n"
            "sxtb16 r7, r4, ror #8\n"
            "sxtb16 r8, r5, ror #8\n"
            "sxtb16 r12, r6, ror #8\n"
            "sxtb16 r4, r4\n"
            "sxtb16 r5, r5\n"
            "sxtb16 r6, r6\n"
            "cmp r0, lr\n"
            "stmia r3!, {r4, r5, r6, r7, r8, r12}\n"
            "bne 1b\n"
            "mov r0, r3\n"
            "pop {r4-r8, pc}\n");
}

#endif

#endif
