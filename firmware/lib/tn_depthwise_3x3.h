/* DEPTHWISE_CONV_2D with a window of 3x3 and stride 1 or 2, on a CPU with DSP instructions.
 *
 * Four channels at a time, a strip of six (stride 1) or three (stride 2) columns of outputs after another: the strip's
 * inputs are staged as planes (tn_planes.h), then each channel is computed with its nine weights in registers. A strip
 * hands its last column pair on to the next, so nothing is read from the image after outputs may lie there: the output
 * may overwrite the input.
 *
 * Requantisation takes two instructions. For halves rounded up, TensorFlow Lite's two roundings of
 * t = accumulator * multiplier / 2^31 are one floor, floor((t + 1/2 + 2^(s-1)) / 2^s). The weights and the bias are
 * shifted left by k = 11 - s in advance, so that every channel shifts right by the same literal:
 * SSAT(SMMLA(accumulator << k, multiplier, addend), 8, ASR 10). That halves are rounded up does not show where negative
 * values are clamped to the zero point anyway.
 */
#ifndef TN_DEPTHWISE_3X3_H
#define TN_DEPTHWISE_3X3_H

#include <stddef.h>

#include "tn_fixed_point.h"
#include "tn_planes.h"

/* The output's zero point and lower clamp are -128, the upper clamp is 127; there are two rows of outputs at least. */
struct tn_depthwise_3x3 {
    struct tn_planes planes;
    int32_t stride;
    int32_t step; /* 1 where each channel has a factor, 0 where all share one */
};

/* Words in a row of a plane, and in a row of the four planes. */
enum { TN_3X3_PITCH = 4, TN_3X3_ROW = 4 * TN_3X3_PITCH };

/* The literal shift, and the sum of a channel's own shift and k. */
enum { TN_3X3_SHIFT = 10, TN_3X3_SCALE = TN_3X3_SHIFT + 1 };

/* What the inner loops need of a channel. weights: (w0, w1) and (w1, w2) for each row of the window. */
struct tn_channel_3x3 {
    int32_t bias;
    int32_t multiplier;
    int32_t addend;
    int32_t column_step;
    int32_t row_step;
    int32_t rows;
    int32_t columns;
    uint32_t weights[6];
};

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__)

#define TN_3X3_LAYOUT(field, offset) \
    _Static_assert(offsetof(struct tn_channel_3x3, field) == (offset), "the assembly knows where " #field " lies")
TN_3X3_LAYOUT(bias, 0);
TN_3X3_LAYOUT(column_step, 12);
TN_3X3_LAYOUT(rows, 20);
TN_3X3_LAYOUT(columns, 24);
TN_3X3_LAYOUT(weights, 28);

/* Registers: r0 plane, r1 output, r2:r3 two words of a row of the plane, r4-r7 sums, r8-r12 and lr the weights.
 * Stack: 0 bias, 4 multiplier, 8 addend, 12 column step, 16 row step, 20 the plane's last row of windows, 24 columns
 * left, 28 plane and 32 output at this column's top. Two columns by two rows of outputs at a time; an odd last row is
 * computed together with the one before it, again. */
#define TN_3X3_ENTER                     \
    "push {r4-r11, lr}\n\t"              \
    "sub sp, #36\n\t"                    \
    "ldm r0!, {r3-r9}\n\t"               \
    "stm sp, {r3-r9}\n\t"                \
    "ldm r0, {r8-r12, lr}\n\t"           \
    "mov r0, r1\n\t"                     \
    "mov r1, r2\n\t"                     \
    "ldr r2, [sp, #20]\n\t"

#define TN_3X3_LEAVE       \
    "add sp, #36\n\t"      \
    "pop {r4-r11, pc}\n\t"

TN_ASSEMBLY void
tn_strip_3x3_stride_1(const struct tn_channel_3x3 *channel __attribute__((unused)),
                      const uint32_t *plane __attribute__((unused)), int8_t *output __attribute__((unused)))
{
    __asm__(TN_3X3_ENTER
            "add r2, r0, r2, lsl #6\n\t"
            "subs r2, #64\n\t"
            "str r2, [sp, #20]\n\t"
            "strd r0, r1, [sp, #28]\n\t"
            "ldr r2, [sp, #24]\n\t"
            "subs r2, #2\n\t"
            "blo 4f\n"

            "1:\n\t"
            "str r2, [sp, #24]\n"

            "2:\n\t"
            "ldrd r2, r3, [r0, #64]\n\t"
            "ldr r6, [sp]\n\t"
            "smlad r4, r2, r10, r6\n\t"
            "smlatb r5, r2, r10, r6\n\t"
            "smlatb r7, r2, r8, r6\n\t"
            "smlad r6, r2, r8, r6\n\t"
            "smlabt r4, r3, r11, r4\n\t"
            "smlad r5, r3, r11, r5\n\t"
            "smlabt r6, r3, r9, r6\n\t"
            "smlad r7, r3, r9, r7\n\t"
            "ldrd r2, r3, [r0, #128]\n\t"
            "smlad r4, r2, r12, r4\n\t"
            "smlatb r5, r2, r12, r5\n\t"
            "smlad r6, r2, r10, r6\n\t"
            "smlatb r7, r2, r10, r7\n\t"
            "smlabt r4, r3, lr, r4\n\t"
            "smlad r5, r3, lr, r5\n\t"
            "smlabt r6, r3, r11, r6\n\t"
            "smlad r7, r3, r11, r7\n\t"
            "ldrd r2, r3, [r0, #192]\n\t"
            "smlad r6, r2, r12, r6\n\t"
            "smlatb r7, r2, r12, r7\n\t"
            "smlabt r6, r3, lr, r6\n\t"
            "smlad r7, r3, lr, r7\n\t"
            "ldrd r2, r3, [r0], #128\n\t"
            "smlad r4, r2, r8, r4\n\t"
            "smlatb r5, r2, r8, r5\n\t"
            "smlabt r4, r3, r9, r4\n\t"
            "smlad r5, r3, r9, r5\n\t"
            "ldrd r2, r3, [sp, #4]\n\t"
            "smmla r4, r4, r2, r3\n\t"
            "smmla r5, r5, r2, r3\n\t"
            "smmla r6, r6, r2, r3\n\t"
            "smmla r7, r7, r2, r3\n\t"
            "ldrd r2, r3, [sp, #12]\n\t"
            "ssat r4, #8, r4, asr #10\n\t"
            "ssat r5, #8, r5, asr #10\n\t"
            "ssat r6, #8, r6, asr #10\n\t"
            "ssat r7, #8, r7, asr #10\n\t"
            "strb r4, [r1]\n\t"
            "strb r5, [r1, r2]\n\t"
            "add r1, r3\n\t"
            "strb r6, [r1]\n\t"
            "strb r7, [r1, r2]\n\t"
            "add r1, r3\n\t"
            "ldr r2, [sp, #20]\n\t"
            "cmp r0, r2\n\t"
            "blo 2b\n\t"
            "bne 3f\n\t"
            "subs r0, #64\n\t"
            "subs r1, r1, r3\n\t"
            "b 2b\n"

            "3:\n\t"
            "adds r2, #4\n\t"
            "str r2, [sp, #20]\n\t"
            "ldrd r0, r1, [sp, #28]\n\t"
            "ldr r2, [sp, #12]\n\t"
            "adds r0, #4\n\t"
            "add r1, r1, r2, lsl #1\n\t"
            "strd r0, r1, [sp, #28]\n\t"
            "ldr r2, [sp, #24]\n\t"
            "subs r2, #2\n\t"
            "bhs 1b\n"

            "4:\n\t"
            "adds r2, #1\n\t"
            "bne 6f\n"

            "5:\n\t"
            "ldrd r2, r3, [r0, #64]\n\t"
            "ldr r6, [sp]\n\t"
            "smlad r4, r2, r10, r6\n\t"
            "smlad r6, r2, r8, r6\n\t"
            "smlabt r4, r3, r11, r4\n\t"
            "smlabt r6, r3, r9, r6\n\t"
            "ldrd r2, r3, [r0, #128]\n\t"
            "smlad r4, r2, r12, r4\n\t"
            "smlad r6, r2, r10, r6\n\t"
            "smlabt r4, r3, lr, r4\n\t"
            "smlabt r6, r3, r11, r6\n\t"
            "ldrd r2, r3, [r0, #192]\n\t"
            "smlad r6, r2, r12, r6\n\t"
            "smlabt r6, r3, lr, r6\n\t"
            "ldrd r2, r3, [r0], #128\n\t"
            "smlad r4, r2, r8, r4\n\t"
            "smlabt r4, r3, r9, r4\n\t"
            "ldrd r2, r3, [sp, #4]\n\t"
            "smmla r4, r4, r2, r3\n\t"
            "smmla r6, r6, r2, r3\n\t"
            "ldrd r2, r3, [sp, #16]\n\t"
            "ssat r4, #8, r4, asr #10\n\t"
            "ssat r6, #8, r6, asr #10\n\t"
            "strb r4, [r1]\n\t"
            "strb r6, [r1, r2]\n\t"
            "add r1, r1, r2, lsl #1\n\t"
            "cmp r0, r3\n\t"
            "blo 5b\n\t"
            "bne 6f\n\t"
            "subs r0, #64\n\t"
            "subs r1, r1, r2\n\t"
            "b 5b\n"

            "6:\n\t" TN_3X3_LEAVE);
}

/* One column by two rows of outputs at a time: they share the middle one of five rows. */
TN_ASSEMBLY void
tn_strip_3x3_stride_2(const struct tn_channel_3x3 *channel __attribute__((unused)),
                      const uint32_t *plane __attribute__((unused)), int8_t *output __attribute__((unused)))
{
    __asm__(TN_3X3_ENTER
            "add r2, r0, r2, lsl #7\n\t"
            "subs r2, #128\n\t"
            "str r2, [sp, #20]\n"

            "1:\n\t"
            "strd r0, r1, [sp, #28]\n"

            "2:\n\t"
            "ldrd r2, r3, [r0, #128]\n\t"
            "ldr r6, [sp]\n\t"
            "smlad r4, r2, r12, r6\n\t"
            "smlad r6, r2, r8, r6\n\t"
            "smlabt r4, r3, lr, r4\n\t"
            "smlabt r6, r3, r9, r6\n\t"
            "ldrd r2, r3, [r0, #64]\n\t"
            "smlad r4, r2, r10, r4\n\t"
            "smlabt r4, r3, r11, r4\n\t"
            "ldrd r2, r3, [r0, #192]\n\t"
            "smlad r6, r2, r10, r6\n\t"
            "smlabt r6, r3, r11, r6\n\t"
            "ldrd r2, r3, [r0, #256]\n\t"
            "smlad r6, r2, r12, r6\n\t"
            "smlabt r6, r3, lr, r6\n\t"
            "ldrd r2, r3, [r0], #256\n\t"
            "smlad r4, r2, r8, r4\n\t"
            "smlabt r4, r3, r9, r4\n\t"
            "ldrd r2, r3, [sp, #4]\n\t"
            "smmla r4, r4, r2, r3\n\t"
            "smmla r6, r6, r2, r3\n\t"
            "ldrd r2, r3, [sp, #16]\n\t"
            "ssat r4, #8, r4, asr #10\n\t"
            "ssat r6, #8, r6, asr #10\n\t"
            "strb r4, [r1]\n\t"
            "strb r6, [r1, r2]\n\t"
            "add r1, r1, r2, lsl #1\n\t"
            "cmp r0, r3\n\t"
            "blo 2b\n\t"
            "bne 3f\n\t"
            "subs r0, #128\n\t"
            "subs r1, r1, r2\n\t"
            "b 2b\n"

            "3:\n\t"
            "adds r3, #4\n\t"
            "str r3, [sp, #20]\n\t"
            "ldrd r0, r1, [sp, #28]\n\t"
            "ldr r2, [sp, #12]\n\t"
            "adds r0, #4\n\t"
            "add r1, r2\n\t"
            "ldr r2, [sp, #24]\n\t"
            "subs r2, #1\n\t"
            "str r2, [sp, #24]\n\t"
            "bhi 1b\n\t" TN_3X3_LEAVE);
}

#else

TN_FOLDED void tn_strip_3x3(const struct tn_channel_3x3 *channel, int32_t stride, const uint32_t *plane, int8_t *output)
{
    const uint32_t *const weights = channel->weights;

    for (int32_t y = 0; y < channel->rows; y++) {
        for (int32_t x = 0; x < channel->columns; x++) {
            uint32_t sum = (uint32_t)channel->bias;

            for (int32_t i = 0; i < 3; i++) {
                const uint32_t *const row = plane + (y * stride + i) * TN_3X3_ROW;

                for (int32_t j = 0; j < 3; j++) {
                    /* The three weights are columns 0, 1 and 3 of their two words. */
                    sum += (uint32_t)(tn_planes_value(row, x * stride + j) *
                                      tn_planes_value(weights + 2 * i, j < 2 ? j : 3));
                }
            }
            const int32_t high = (int32_t)(((int64_t)(int32_t)sum * channel->multiplier) >> 32);

            output[y * channel->row_step + x * channel->column_step] =
                (int8_t)tn_ssat8((high + channel->addend) >> TN_3X3_SHIFT);
        }
    }
}

static inline void tn_strip_3x3_stride_1(const struct tn_channel_3x3 *channel, const uint32_t *plane, int8_t *output)
{
    tn_strip_3x3(channel, 1, plane, output);
}

static inline void tn_strip_3x3_stride_2(const struct tn_channel_3x3 *channel, const uint32_t *plane, int8_t *output)
{
    tn_strip_3x3(channel, 2, plane, output);
}

#endif

/* Whether k lies in 2..8: below, the first rounding would be lost; above, weights would leave int16. */
TN_FOLDED int32_t tn_suits_3x3(int32_t shift)
{
    return shift >= 2 - TN_3X3_SCALE && shift <= 8 - TN_3X3_SCALE;
}

/* `weights`: the channel's nine. */
TN_FOLDED void tn_prepare_3x3(struct tn_channel_3x3 *channel, const int8_t *weights, int32_t bias, int32_t multiplier,
                              int32_t shift)
{
    const uint32_t scale = tn_suits_3x3(shift) ? (uint32_t)(TN_3X3_SCALE + shift) : 0;

    channel->bias = (int32_t)((uint32_t)bias << scale);
    channel->multiplier = multiplier;
    channel->addend = (int32_t)(((1u << scale) >> 2) + (1u << (TN_3X3_SHIFT - 1)) - (128u << TN_3X3_SHIFT));
    for (int32_t i = 0; i < 6; i += 2, weights += 3) {
        const uint32_t w0 = (uint32_t)weights[0] << scale, w1 = (uint32_t)weights[1] << scale;

        channel->weights[i] = tn_pack_low(w0, w1);
        channel->weights[i + 1] = tn_pack_low(w1, (uint32_t)weights[2] << scale);
    }
}

/* A channel whose factor the literal shift does not suit: rare, so small rather than fast. */
TN_APART void tn_strip_3x3_exact(const struct tn_channel_3x3 *channel, int32_t stride, const int8_t *weights, int32_t bias,
                           int32_t shift, const uint32_t *plane, int8_t *output)
{
    static const struct tn_rescale rescale = {.zero_point = -128, .low = -128, .high = 127};

    for (int32_t y = 0; y < channel->rows; y++) {
        for (int32_t x = 0; x < channel->columns; x++) {
            uint32_t sum = (uint32_t)bias;

            for (int32_t i = 0; i < 9; i++) {
                const uint32_t *const row = plane + (y * stride + i / 3) * TN_3X3_ROW;

                sum += (uint32_t)(tn_planes_value(row, x * stride + i % 3) * weights[i]);
            }
            output[y * channel->row_step + x * channel->column_step] =
                tn_rescale(&rescale, 1, sum, channel->multiplier, shift);
        }
    }
}

TN_APART void tn_depthwise_3x3(const struct tn_depthwise_3x3 *layer, const int8_t *input, int8_t *output, int8_t *scratch,
                               const int8_t *weights, const int32_t *bias, const int32_t *multipliers,
                               const int8_t *shifts)
{
    const struct tn_planes *const planes = &layer->planes;
    uint32_t *const staged = (uint32_t *)(void *)scratch;
    const int32_t stride = layer->stride, rows = (planes->out_rows - 1) * stride + 3, width = 6 / stride;

    for (int32_t group = 0; group < planes->channels; group += 4) {
        /* The last four channels may have been computed in part; then the output may lie over them already. */
        const int32_t first = tn_min(group, planes->channels - 4);
        struct tn_channel_3x3 channels[4];

        for (int32_t i = group - first; i < 4; i++) {
            const int32_t channel = first + i, factor = channel * layer->step;

            tn_prepare_3x3(&channels[i], weights + 9 * channel, bias[channel], multipliers[factor], shifts[factor]);
            channels[i].column_step = planes->out_column_step;
            channels[i].row_step = planes->out_row_step;
            channels[i].rows = planes->out_rows;
        }
        for (int32_t x = 0; x < planes->out_columns; x += width) {
            const int32_t columns = tn_min(width, planes->out_columns - x), again = x > 0;
            const struct tn_strip strip = {
                .row = -planes->pad_rows,
                .count = rows,
                .column = x * stride - planes->pad_columns + 2 * again,
                .words = (stride * (columns - 1) + 4) / 2 - again,
                .row_pitch = TN_3X3_ROW,
                .channel_pitch = TN_3X3_PITCH,
            };

            if (again) {
                for (int32_t i = 0; i < rows * TN_3X3_ROW; i += TN_3X3_PITCH) {
                    staged[i] = staged[i + TN_3X3_PITCH - 1];
                }
            }
            tn_planes_stage(planes, &strip, input + first, staged + again);
            for (int32_t i = group - first; i < 4; i++) {
                const int32_t channel = first + i, shift = shifts[channel * layer->step];
                const uint32_t *const plane = staged + i * TN_3X3_PITCH;
                int8_t *const at = output + x * planes->out_column_step + channel;

                channels[i].columns = columns;
                if (!tn_suits_3x3(shift)) {
                    tn_strip_3x3_exact(&channels[i], stride, weights + 9 * channel, bias[channel], shift, plane, at);
                } else if (stride == 1) {
                    tn_strip_3x3_stride_1(&channels[i], plane, at);
                } else {
                    tn_strip_3x3_stride_2(&channels[i], plane, at);
                }
            }
        }
    }
}

#endif
