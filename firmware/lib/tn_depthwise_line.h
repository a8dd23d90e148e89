/* DEPTHWISE_CONV_2D with a window of up to ten taps over an image that is one row or one column, stride 1, on a CPU with
 * DSP instructions.
 *
 * Four channels at a time are staged as planes of one row (tn_planes.h). Then each channel is computed two outputs at a
 * time, with its weights in registers. With five taps both outputs multiply the same words of inputs, by pairs of weights
 * that begin at an even and at an odd tap; with ten, the odd output loads its words from between.
 */
#ifndef TN_DEPTHWISE_LINE_H
#define TN_DEPTHWISE_LINE_H

#include <stddef.h>

#include "tn_planes.h"
#include "tn_requantize.h"

/* What the channels have in common. */
struct tn_line {
    int32_t column_step; /* of the output [B] */
    int32_t columns;     /* of outputs, two at least */
    int32_t rounding;    /* 2 * zero point of the output + 1 */
};

struct tn_depthwise_line {
    struct tn_planes planes; /* of one row */
    struct tn_line line;
    int32_t pitch; /* words in a plane, with those that are loaded to be multiplied by 0 */
};

#define TN_LINE_ARGUMENTS                                                                                            \
    const struct tn_line *line __attribute__((unused)), const uint32_t *x __attribute__((unused)),                   \
        int8_t *output __attribute__((unused)), TN_FLASH int8_t *weights __attribute__((unused)),                       \
        int32_t bias __attribute__((unused)), int32_t multiplier __attribute__((unused)),                            \
        int32_t shift __attribute__((unused))

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(TN_ASSEMBLY)

_Static_assert(offsetof(struct tn_line, column_step) == 0 && offsetof(struct tn_line, columns) == 4 &&
                   offsetof(struct tn_line, rounding) == 8,
               "the assembly loads them in this order");

/* Bias and weights are doubled, as tn_requantize.h wants the sums. An odd last output is computed together with one that
 * does not exist, and written over it.
 * Registers: r0 inputs, r1 output, r2, r8 and lr words of inputs, r3 bias, r4 and r5 sums, r6 shift, r7 column step,
 * r9-r12 weights: w0 w1, w1 w2, w2 w3, w3 w4. Stack: 0 multiplier, 4 addend, 8 inputs behind the last whole pair of
 * outputs, 12 columns; the caller's arguments are behind the saved registers. */
TN_ASSEMBLY void tn_line_5(TN_LINE_ARGUMENTS)
{
    __asm__("push {r4-r11, lr}\n\t"
            "ldrd r4, r5, [sp, #36]\n\t"
            "ldr r6, [sp, #44]\n\t"
            "ldm r0, {r7-r9}\n\t"
            "sub sp, #16\n\t"
            "lsl r9, r6\n\t"
            "asr r9, r9, #1\n\t"
            "strd r5, r9, [sp]\n\t"
            "lsr r10, r8, #1\n\t"
            "add r10, r1, r10, lsl #2\n\t"
            "strd r10, r8, [sp, #8]\n\t"
            "mov r0, r1\n\t"
            "mov r1, r2\n\t"
            "ldr r2, [r3]\n\t"
            "ldrsb r8, [r3, #4]\n\t"
            "lsls r3, r4, #1\n\t"
            "sxtb16 r4, r2\n\t"
            "sxtb16 r5, r2, ror #8\n\t"
            "sadd16 r4, r4, r4\n\t"
            "sadd16 r5, r5, r5\n\t"
            "pkhbt r9, r4, r5, lsl #16\n\t"
            "pkhbt r10, r5, r4\n\t"
            "pkhtb r11, r5, r4, asr #16\n\t"
            "lsr r12, r5, #16\n\t"
            "orr r12, r12, r8, lsl #17\n"

            "1:\n\t"
            "ldr r2, [r0], #4\n\t"
            "ldrd r8, lr, [r0]\n\t"
            "smlad r4, r2, r9, r3\n\t"
            "smlatb r5, r2, r9, r3\n\t"
            "smlad r4, r8, r11, r4\n\t"
            "smlad r5, r8, r10, r5\n\t"
            "smlabt r4, lr, r12, r4\n\t"
            "smlad r5, lr, r12, r5\n\t"
            "ldrd r2, r8, [sp]\n\t"
            "smmlar lr, r4, r2, r8\n\t"
            "smmlar r2, r5, r2, r8\n\t"
            "add lr, lr, r4, asr #31\n\t"
            "add r2, r2, r5, asr #31\n\t"
            "asr lr, r6\n\t"
            "asrs r2, r6\n\t"
            "ssat lr, #8, lr\n\t"
            "ssat r2, #8, r2\n\t"
            "strb r2, [r1, r7]\n\t"
            "strb lr, [r1]\n\t"
            "add r1, r1, r7, lsl #1\n\t"
            "ldr r2, [sp, #8]\n\t"
            "cmp r0, r2\n\t"
            "blo 1b\n\t"
            "bne 2f\n\t"
            "ldr r2, [sp, #12]\n\t"
            "lsrs r2, #1\n\t"
            "bcc 2f\n\t"
            "movs r7, #0\n\t"
            "b 1b\n"

            "2:\n\t"
            "add sp, #16\n\t"
            "pop {r4-r11, pc}\n\t");
}

/* Registers: r0 inputs, r1 output, r2-r6 words of inputs, r7 and lr sums, r8-r12 weights. Stack: 0 bias, 4 multiplier,
 * 8 addend, 12 shift, 16 column step, 20 inputs behind the last whole pair of outputs, 24 columns. */
TN_ASSEMBLY void tn_line_10(TN_LINE_ARGUMENTS)
{
    __asm__("push {r4-r11, lr}\n\t"
            "ldrd r4, r5, [sp, #36]\n\t"
            "ldr r6, [sp, #44]\n\t"
            "ldm r0, {r7-r9}\n\t"
            "sub sp, #28\n\t"
            "lsls r4, r4, #1\n\t"
            "lsl r9, r6\n\t"
            "asr r9, r9, #1\n\t"
            "strd r4, r5, [sp]\n\t"
            "strd r9, r6, [sp, #8]\n\t"
            "lsr r10, r8, #1\n\t"
            "add r10, r1, r10, lsl #2\n\t"
            "str r7, [sp, #16]\n\t"
            "strd r10, r8, [sp, #20]\n\t"
            "ldr r4, [r3]\n\t"
            "ldr r5, [r3, #4]\n\t"
            "ldrsb r6, [r3, #8]\n\t"
            "ldrsb r7, [r3, #9]\n\t"
            "sxtb16 r9, r4\n\t"
            "sxtb16 r10, r4, ror #8\n\t"
            "sadd16 r9, r9, r9\n\t"
            "sadd16 r10, r10, r10\n\t"
            "pkhbt r8, r9, r10, lsl #16\n\t"
            "pkhtb r9, r10, r9, asr #16\n\t"
            "sxtb16 r11, r5\n\t"
            "sxtb16 r12, r5, ror #8\n\t"
            "sadd16 r11, r11, r11\n\t"
            "sadd16 r12, r12, r12\n\t"
            "pkhbt r10, r11, r12, lsl #16\n\t"
            "pkhtb r11, r12, r11, asr #16\n\t"
            "lsls r6, r6, #1\n\t"
            "pkhbt r12, r6, r7, lsl #17\n\t"
            "mov r0, r1\n\t"
            "mov r1, r2\n"

            "1:\n\t"
            "ldm r0, {r2-r6}\n\t"
            "ldr r7, [sp]\n\t"
            "smlad lr, r2, r8, r7\n\t"
            "smlad lr, r3, r9, lr\n\t"
            "smlad lr, r4, r10, lr\n\t"
            "smlad lr, r5, r11, lr\n\t"
            "smlad lr, r6, r12, lr\n\t"
            "ldr r2, [r0, #2]\n\t"
            "ldr r3, [r0, #6]\n\t"
            "ldr r4, [r0, #10]\n\t"
            "ldr r5, [r0, #14]\n\t"
            "ldr r6, [r0, #18]\n\t"
            "smlad r7, r2, r8, r7\n\t"
            "smlad r7, r3, r9, r7\n\t"
            "smlad r7, r4, r10, r7\n\t"
            "smlad r7, r5, r11, r7\n\t"
            "smlad r7, r6, r12, r7\n\t"
            "ldrd r2, r3, [sp, #4]\n\t"
            "adds r0, #4\n\t"
            "smmlar r4, lr, r2, r3\n\t"
            "smmlar r5, r7, r2, r3\n\t"
            "ldrd r2, r3, [sp, #12]\n\t"
            "add r4, r4, lr, asr #31\n\t"
            "add r5, r5, r7, asr #31\n\t"
            "asrs r4, r2\n\t"
            "asrs r5, r2\n\t"
            "ssat r4, #8, r4\n\t"
            "ssat r5, #8, r5\n\t"
            "strb r5, [r1, r3]\n\t"
            "strb r4, [r1]\n\t"
            "add r1, r1, r3, lsl #1\n\t"
            "ldr r2, [sp, #20]\n\t"
            "cmp r0, r2\n\t"
            "blo 1b\n\t"
            "bne 2f\n\t"
            "ldr r2, [sp, #24]\n\t"
            "lsrs r2, #1\n\t"
            "bcc 2f\n\t"
            "movs r2, #0\n\t"
            "str r2, [sp, #16]\n\t"
            "b 1b\n"

            "2:\n\t"
            "add sp, #28\n\t"
            "pop {r4-r11, pc}\n\t");
}

#else

TN_FOLDED void tn_line_twin(const struct tn_line *line, int32_t taps, const uint32_t *x, int8_t *output,
                            TN_FLASH int8_t *weights, int32_t bias, int32_t multiplier, int32_t shift)
{
    const int32_t addend = (int32_t)((uint32_t)line->rounding << shift) >> 1;

    for (int32_t column = 0; column < line->columns; column++, output += line->column_step) {
        uint32_t sum = (uint32_t)bias;

        for (int32_t j = 0; j < taps; j++) {
            sum += (uint32_t)(tn_planes_value(x, column + j) * weights[j]);
        }
        *output = tn_requantize(TN_REQUANTIZE_SIGNED, (int32_t)(2 * sum), multiplier, shift, addend, -128, 127);
    }
}

TN_FOLDED void tn_line_5(TN_LINE_ARGUMENTS)
{
    tn_line_twin(line, 5, x, output, weights, bias, multiplier, shift);
}

TN_FOLDED void tn_line_10(TN_LINE_ARGUMENTS)
{
    tn_line_twin(line, 10, x, output, weights, bias, multiplier, shift);
}

#endif

/* `to` holds padding wherever the image does not reach. */
TN_FOLDED void tn_stage_line(const struct tn_planes *planes, const int8_t *from, int32_t pitch, uint32_t *to)
{
    const uint32_t outside = (uint32_t)(uint8_t)planes->padding * 0x01010101u;
    const int32_t step = planes->column_step;
    int32_t left = planes->columns;

    to += planes->pad_columns / 2;
    if (planes->pad_columns % 2 != 0) {
        tn_planes_store(outside, tn_load4(from), to++, pitch);
        from += step;
        left--;
    }
    for (; left >= 2; left -= 2, from += 2 * step) {
        tn_planes_store(tn_load4(from), tn_load4(from + step), to++, pitch);
    }
    if (left) {
        tn_planes_store(tn_load4(from), outside, to, pitch);
    }
}

/* taps: a literal, 5 or 10; the weights of each channel are filled up with zeros. */
TN_FOLDED void tn_depthwise_line(const struct tn_depthwise_line *layer, int32_t taps, const int8_t *input, int8_t *output,
                                 int8_t *scratch, TN_FLASH int8_t *weights, TN_FLASH int32_t *bias,
                                 TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)
{
    uint32_t *const staged = (uint32_t *)(void *)scratch;
    const int32_t channels = layer->planes.channels, pitch = layer->pitch;

    tn_planes_fill(&layer->planes, staged, 4 * pitch);
    for (int32_t group = 0; group < channels; group += 4) {
        /* The last four channels may have been computed in part; then the output may lie over them already. */
        const int32_t first = tn_min(group, channels - 4);

        tn_stage_line(&layer->planes, input + first, pitch, staged);
        for (int32_t c = group; c < first + 4; c++) {
            (taps == 5 ? tn_line_5 : tn_line_10)(&layer->line, staged + (c - first) * pitch, output + c,
                                                 weights + taps * c, bias[c], multipliers[c], -shifts[c]);
        }
    }
}

/* One function for each form, shared by all layers that need it. */
#define TN_DEPTHWISE_LINE(name, taps)                                                                                    \
    TN_APART void name(const struct tn_depthwise_line *layer, const int8_t *input, int8_t *output, int8_t *scratch,      \
                       TN_FLASH int8_t *weights, TN_FLASH int32_t *bias, TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)     \
    {                                                                                                                    \
        tn_depthwise_line(layer, taps, input, output, scratch, weights, bias, multipliers, shifts);                      \
        TN_WRITTEN();                                                                                                    \
    }

TN_DEPTHWISE_LINE(tn_depthwise_line_5, 5)
TN_DEPTHWISE_LINE(tn_depthwise_line_10, 10)

#endif
