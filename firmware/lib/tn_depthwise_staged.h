/* DEPTHWISE_CONV_2D with any window, stride and dilation, on a CPU with DSP instructions.
 *
 * Four channels at a time are staged as planes (tn_planes.h), a band of rows after another; a band keeps the rows that it
 * shares with the one before. Then four neighbouring outputs of a channel are computed at a time, two taps of a row with
 * each SMLAD. An odd last tap is paired with a weight of 0, and so is every tap where the columns are dilated.
 *
 * With stride 1, every second output needs its taps in pairs that begin at an odd column. Instead of loading inputs from
 * there, the weights are kept a second time, shifted by one tap: outputs in even and odd columns read the same words.
 */
#ifndef TN_DEPTHWISE_STAGED_H
#define TN_DEPTHWISE_STAGED_H

#include <stddef.h>

#include "tn_planes.h"
#include "tn_requantize.h"

/* A literal at every call. */
enum tn_staged_form {
    TN_STAGED_ANY = 0,     /* any stride and dilation */
    TN_STAGED_DOUBLED = 1, /* stride 1, no dilation: every word of weights in two positions */
};

/* Four outputs in a row at least. */
struct tn_depthwise_staged {
    struct tn_planes planes;
    int32_t height; /* of the window, in the planes' sense */
    int32_t width;
    int32_t stride_rows;
    int32_t stride_columns;
    int32_t dilation_rows;
    int32_t dilation_columns;
    int32_t words; /* in a row of a plane */
    int32_t pitch; /* as many, and those that are loaded beyond them */
    int32_t taps;  /* words of weights in a row of the window */
    int32_t band;  /* rows of outputs computed at a time */
    int32_t rounding;
    int32_t low;
    int32_t high;
};

/* A row of outputs of one channel. Bias and weights are doubled, and so are the sums, as tn_requantize.h wants them. */
struct tn_staged_row {
    int32_t bias;
    int32_t multiplier;
    int32_t addend;
    int32_t shift;
    int32_t column_step; /* of the output */
    int32_t columns;
    int32_t rows;    /* of the window */
    int32_t advance; /* from the last word read in a row of the window to the next row [B] */
    int32_t taps;
    const uint32_t *weights;
};

/* A weight doubled. */
TN_FOLDED uint32_t tn_staged_weight(const int8_t *weight)
{
    return (uint32_t)*weight << 1;
}

/* A channel's weights as words; with TN_STAGED_DOUBLED each is followed by the one shifted by a tap. */
TN_FOLDED uint32_t *tn_staged_weights(const struct tn_depthwise_staged *layer, int32_t form, TN_FLASH int8_t *weights,
                                      uint32_t *to)
{
    const int32_t width = layer->width, taps = layer->taps;

    for (int32_t i = layer->height; i > 0; i--, weights += width) {
        const int8_t *next = weights;
        uint32_t before = 0;

        if (layer->dilation_columns > 1) {
            for (int32_t j = taps; j > 0; j--) {
                *to++ = tn_staged_weight(next++) & 0xFFFFu;
            }
            continue;
        }
        for (int32_t j = width / 2; j > 0; j--, next += 2) {
            const uint32_t first = tn_staged_weight(next), second = tn_staged_weight(next + 1);

            *to++ = tn_pack_low(first, second);
            if (form == TN_STAGED_DOUBLED) {
                *to++ = tn_pack_low(before, first);
                before = second;
            }
        }
        if (taps > width / 2) {
            const uint32_t last = width % 2 ? tn_staged_weight(next) : 0;

            *to++ = last & 0xFFFFu;
            if (form == TN_STAGED_DOUBLED) {
                *to++ = tn_pack_low(before, last);
            }
        }
    }
    return to;
}

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(TN_ASSEMBLY)

_Static_assert(offsetof(struct tn_staged_row, weights) == 36, "the assembly knows where the fields lie");

/* Registers: r0 inputs, r1 weights, r2:r3 a word of weights in two positions, r4-r7 sums, r8 and r9 words of inputs,
 * r10 taps left, r11 rows left, r12 output, lr inputs of the first output. Stack: struct tn_staged_row. */
TN_ASSEMBLY void tn_staged_row_signed(const struct tn_staged_row *channel __attribute__((unused)),
                                      const int8_t *x __attribute__((unused)), int8_t *output __attribute__((unused)))
{
    __asm__("push {r4-r11, lr}\n\t"
            "sub sp, #40\n\t"
            "ldm r0, {r3-r12}\n\t"
            "stm sp, {r3-r12}\n\t"
            "mov lr, r1\n\t"
            "mov r12, r2\n"

            "1:\n\t"
            "ldr r4, [sp]\n\t"
            "mov r5, r4\n\t"
            "mov r6, r4\n\t"
            "mov r7, r4\n\t"
            "ldr r1, [sp, #36]\n\t"
            "mov r0, lr\n\t"
            "ldr r11, [sp, #24]\n"

            "2:\n\t"
            "ldr r8, [r0], #4\n\t"
            "ldr r10, [sp, #32]\n\t"
            "subs r10, #2\n\t"
            "blo 4f\n"

            "3:\n\t"
            "ldrd r2, r3, [r1], #8\n\t"
            "ldr r9, [r0], #4\n\t"
            "smlad r4, r8, r2, r4\n\t"
            "smlad r5, r8, r3, r5\n\t"
            "smlad r6, r9, r2, r6\n\t"
            "smlad r7, r9, r3, r7\n\t"
            "ldrd r2, r3, [r1], #8\n\t"
            "ldr r8, [r0], #4\n\t"
            "smlad r4, r9, r2, r4\n\t"
            "smlad r5, r9, r3, r5\n\t"
            "smlad r6, r8, r2, r6\n\t"
            "smlad r7, r8, r3, r7\n\t"
            "subs r10, #2\n\t"
            "bhs 3b\n"

            "4:\n\t"
            "adds r10, #1\n\t"
            "bne 5f\n\t"
            "ldrd r2, r3, [r1], #8\n\t"
            "ldr r9, [r0], #4\n\t"
            "smlad r4, r8, r2, r4\n\t"
            "smlad r5, r8, r3, r5\n\t"
            "smlad r6, r9, r2, r6\n\t"
            "smlad r7, r9, r3, r7\n"

            "5:\n\t"
            "subs r11, #1\n\t"
            "beq 6f\n\t"
            "ldr r2, [sp, #28]\n\t"
            "add r0, r2\n\t"
            "b 2b\n"

            "6:\n\t"
            "ldrd r2, r3, [sp, #4]\n\t"
            "smmlar r8, r4, r2, r3\n\t"
            "smmlar r9, r5, r2, r3\n\t"
            "smmlar r10, r6, r2, r3\n\t"
            "smmlar r11, r7, r2, r3\n\t"
            "ldrd r2, r3, [sp, #12]\n\t"
            "add r8, r8, r4, asr #31\n\t"
            "add r9, r9, r5, asr #31\n\t"
            "add r10, r10, r6, asr #31\n\t"
            "add r11, r11, r7, asr #31\n\t"
            "asr r8, r2\n\t"
            "asr r9, r2\n\t"
            "asr r10, r2\n\t"
            "asr r11, r2\n\t"
            "ssat r8, #8, r8\n\t"
            "ssat r9, #8, r9\n\t"
            "ssat r10, #8, r10\n\t"
            "ssat r11, #8, r11\n\t"
            "add r0, r12, r3, lsl #1\n\t"
            "strb r8, [r12]\n\t"
            "strb r9, [r12, r3]\n\t"
            "strb r10, [r0]\n\t"
            "strb r11, [r0, r3]\n\t"
            "ldr r1, [sp, #20]\n\t"
            "subs r1, #4\n\t"
            "bls 8f\n\t"
            "str r1, [sp, #20]\n\t"
            "cmp r1, #4\n\t"
            "blo 7f\n\t"
            "add r12, r0, r3, lsl #1\n\t"
            "add lr, #8\n\t"
            "b 1b\n"

            "7:\n\t"
            "mla r12, r1, r3, r12\n\t"
            "add lr, lr, r1, lsl #1\n\t"
            "movs r1, #4\n\t"
            "str r1, [sp, #20]\n\t"
            "b 1b\n"

            "8:\n\t"
            "add sp, #40\n\t"
            "pop {r4-r11, pc}\n\t");
}

#else

TN_FOLDED void tn_staged_row_signed(const struct tn_staged_row *channel, const int8_t *x, int8_t *output)
{
    for (int32_t column = 0; column < channel->columns; column++) {
        const int8_t *at = x + 2 * (column - column % 2);
        const uint32_t *weights = channel->weights + column % 2;
        uint32_t sum = (uint32_t)channel->bias;

        for (int32_t i = channel->rows; i > 0; i--, at += 4 + channel->advance) {
            for (int32_t j = channel->taps; j > 0; j--, at += 4, weights += 2) {
                sum = tn_smlad(tn_load4(at), *weights, sum);
            }
        }
        output[column * channel->column_step] = tn_requantize(TN_REQUANTIZE_SIGNED, (int32_t)sum, channel->multiplier,
                                                              channel->shift, channel->addend, -128, 127);
    }
}

#endif

/* Four sums of outputs next to each other, `x` at the first tap of the first. */
TN_FOLDED void tn_staged_sums(const struct tn_depthwise_staged *layer, int32_t form, const struct tn_staged_row *channel,
                              const int8_t *x, uint32_t *sums)
{
    const int32_t row = 16 * layer->pitch * layer->dilation_rows, stride = 2 * layer->stride_columns;
    const int32_t advance = layer->dilation_columns == 1 ? 4 : 2 * layer->dilation_columns, taps = channel->taps;
    const uint32_t *weights = channel->weights;
    uint32_t s0 = (uint32_t)channel->bias, s1 = s0, s2 = s0, s3 = s0;

    for (int32_t i = channel->rows; i > 0; i--, x += row) {
        const int8_t *at = x;

        if (form == TN_STAGED_DOUBLED) {
            uint32_t left = tn_load4(at);

            for (int32_t j = taps; j > 0; j--, weights += 2) {
                const uint32_t even = weights[0], odd = weights[1], right = tn_load4(at += 4);

                s0 = tn_smlad(left, even, s0);
                s1 = tn_smlad(left, odd, s1);
                s2 = tn_smlad(right, even, s2);
                s3 = tn_smlad(right, odd, s3);
                left = right;
            }
        } else {
            for (int32_t j = taps; j > 0; j--, at += advance) {
                const uint32_t weight = *weights++;

                s0 = tn_smlad(tn_load4(at), weight, s0);
                s1 = tn_smlad(tn_load4(at + stride), weight, s1);
                s2 = tn_smlad(tn_load4(at + 2 * stride), weight, s2);
                s3 = tn_smlad(tn_load4(at + 3 * stride), weight, s3);
            }
        }
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

/* One row of outputs of one channel; `x` at the window's first row. The last four may have been computed in part. */
TN_FOLDED void tn_staged_row(const struct tn_depthwise_staged *layer, int32_t variant, int32_t form,
                             const struct tn_staged_row *channel, const int8_t *x, int8_t *output)
{
    const int32_t step = channel->column_step, stride = 2 * layer->stride_columns, low = layer->low, high = layer->high;
    int32_t left = channel->columns;

    while (left > 0) {
        uint32_t sums[4];

        tn_staged_sums(layer, form, channel, x, sums);
        TN_UNROLL_4
        for (int32_t i = 0; i < 4; i++) {
            output[i * step] = tn_requantize(variant, (int32_t)sums[i], channel->multiplier, channel->shift,
                                             channel->addend, low, high);
        }
        left -= 4;
        const int32_t ahead = tn_min(left, 4);

        x += ahead * stride;
        output += ahead * step;
    }
}

/* The rows of a band that lie in the image are staged, the others filled; the first `known` are there already. */
TN_FOLDED void tn_staged_band(const struct tn_depthwise_staged *layer, const int8_t *input, int32_t row,
                                  int32_t count, int32_t known, uint32_t *to)
{
    const struct tn_planes *const planes = &layer->planes;
    const int32_t words = 4 * layer->pitch, end = tn_min(row + count, planes->rows);
    int32_t next = row + known;

    for (to += known * words; next < 0 && next < row + count; next++, to += words) {
        tn_planes_fill(planes, to, words);
    }
    if (next < end) {
        const struct tn_strip strip = {
            .row = next,
            .count = end - next,
            .column = -planes->pad_columns,
            .words = layer->words,
            .row_pitch = words,
            .channel_pitch = layer->pitch,
        };

        tn_planes_stage(planes, &strip, input, to);
        to += (end - next) * words;
        next = end;
    }
    for (; next < row + count; next++, to += words) {
        tn_planes_fill(planes, to, words);
    }
}

/* What requantises a channel, and its weights; returns where the next channel's go. */
TN_FOLDED uint32_t *tn_staged_prepare(const struct tn_depthwise_staged *layer, int32_t form, TN_FLASH int8_t *weights,
                                      int32_t bias, int32_t multiplier, int32_t shift, struct tn_staged_row *row,
                                      uint32_t *to)
{
    row->bias = (int32_t)((uint32_t)bias << 1);
    row->multiplier = multiplier;
    row->addend = (int32_t)((uint32_t)layer->rounding << shift) >> 1;
    row->shift = shift;
    row->column_step = layer->planes.out_column_step;
    row->columns = layer->planes.out_columns;
    row->rows = layer->height;
    row->advance = 16 * layer->pitch * layer->dilation_rows - 4 * (layer->taps + 1);
    row->taps = layer->taps;
    row->weights = to;
    return tn_staged_weights(layer, form, weights, to);
}

/* The outputs of a channel in `count` rows; `x` at the first row of the first one's window. */
TN_FOLDED void tn_staged_rows(const struct tn_depthwise_staged *layer, int32_t variant, int32_t form,
                              const struct tn_staged_row *channel, const int8_t *x, int32_t count, int8_t *output)
{
    const int32_t down = 16 * layer->stride_rows * layer->pitch, row_step = layer->planes.out_row_step;

    for (; count > 0; count--, x += down, output += row_step) {
        if (form == TN_STAGED_DOUBLED && variant == TN_REQUANTIZE_SIGNED) {
            tn_staged_row_signed(channel, x, output);
        } else {
            tn_staged_row(layer, variant, form, channel, x, output);
        }
    }
}

/* scratch: four channels' weights as tn_staged_weights gives them, and the band's planes. */
TN_FOLDED void tn_depthwise_staged(const struct tn_depthwise_staged *layer, int32_t variant, int32_t form,
                                   const int8_t *input, int8_t *output, int8_t *scratch, TN_FLASH int8_t *weights,
                                   TN_FLASH int32_t *bias, TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)
{
    const struct tn_planes *const planes = &layer->planes;
    const int32_t reach = (layer->height - 1) * layer->dilation_rows + 1, words = 4 * layer->pitch;
    const int32_t kernel = layer->height * layer->width;

    for (int32_t group = 0; group < planes->channels; group += 4) {
        /* The last four channels may have been computed in part; then the output may lie over them already. */
        const int32_t first = tn_min(group, planes->channels - 4), end = first + 4;
        uint32_t *staged = (uint32_t *)(void *)scratch;
        struct tn_staged_row rows[4];

        for (int32_t c = group; c < end; c++) {
            staged = tn_staged_prepare(layer, form, weights + c * kernel, bias[c], multipliers[c], -shifts[c],
                                       &rows[c - first], staged);
        }
        for (int32_t y = 0; y < planes->out_rows; y += layer->band) {
            const int32_t count = tn_min(layer->band, planes->out_rows - y);
            const int32_t known = y > 0 ? tn_max(reach - layer->stride_rows, 0) : 0;
            const int32_t gone = layer->band * layer->stride_rows * words;

            for (int32_t i = 0; i < known * words; i++) {
                staged[i] = staged[i + gone];
            }
            tn_staged_band(layer, input + first, y * layer->stride_rows - planes->pad_rows,
                           (count - 1) * layer->stride_rows + reach, known, staged);
            for (int32_t c = group; c < end; c++) {
                const int8_t *x = (const int8_t *)(staged + (c - first) * layer->pitch);
                int8_t *to = output + y * planes->out_row_step + c;

                tn_staged_rows(layer, variant, form, &rows[c - first], x, count, to);
            }
        }
    }
}

/* One function for each form, shared by all layers that need it. */
#define TN_DEPTHWISE_STAGED(name, variant, form)                                                                         \
    TN_APART void name(const struct tn_depthwise_staged *layer, const int8_t *input, int8_t *output, int8_t *scratch,    \
                       TN_FLASH int8_t *weights, TN_FLASH int32_t *bias, TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)     \
    {                                                                                                                    \
        tn_depthwise_staged(layer, variant, form, input, output, scratch, weights, bias, multipliers, shifts);           \
        TN_WRITTEN();                                                                                                    \
    }

TN_DEPTHWISE_STAGED(tn_depthwise_staged_signed, TN_REQUANTIZE_SIGNED, TN_STAGED_ANY)
TN_DEPTHWISE_STAGED(tn_depthwise_staged_clamped, TN_REQUANTIZE_CLAMPED, TN_STAGED_ANY)
TN_DEPTHWISE_STAGED(tn_depthwise_doubled_signed, TN_REQUANTIZE_SIGNED, TN_STAGED_DOUBLED)
TN_DEPTHWISE_STAGED(tn_depthwise_doubled_clamped, TN_REQUANTIZE_CLAMPED, TN_STAGED_DOUBLED)

#endif
