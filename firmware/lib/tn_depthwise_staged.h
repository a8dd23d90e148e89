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

#include "tn_planes.h"
#include "tn_requantize.h"

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

/* A row of outputs of one channel. */
struct tn_staged_row {
    int32_t bias;
    int32_t multiplier;
    int32_t shift;
    int32_t addend;
    const uint32_t *weights;
};

TN_FOLDED int32_t tn_staged_tap(const int8_t *weights, int32_t width, int32_t tap)
{
    return tap >= 0 && tap < width ? weights[tap] : 0;
}

/* A channel's weights as words, height * taps of them; with stride 1 each is followed by the one shifted by a tap. */
TN_FOLDED uint32_t *tn_staged_weights(const struct tn_depthwise_staged *layer, int32_t doubled, const int8_t *weights,
                                      uint32_t *to)
{
    const int32_t pair = layer->dilation_columns == 1 ? 2 : 1, width = layer->width;

    for (int32_t i = 0; i < layer->height; i++, weights += width) {
        for (int32_t j = 0, tap = 0; j < layer->taps; j++, tap += pair) {
            const uint32_t first = (uint32_t)tn_staged_tap(weights, width, tap);
            const uint32_t second = pair == 2 ? (uint32_t)tn_staged_tap(weights, width, tap + 1) : 0;

            *to++ = tn_pack_low(first, second);
            if (doubled) {
                *to++ = tn_pack_low((uint32_t)tn_staged_tap(weights, width, tap - 1), first);
            }
        }
    }
    return to;
}

/* Four sums of outputs next to each other, `x` at the first tap of the first. doubled: literal; stride 1, not dilated. */
TN_FOLDED void tn_staged_sums(const struct tn_depthwise_staged *layer, int32_t doubled, const int8_t *x,
                              const uint32_t *weights, uint32_t bias, uint32_t *sums)
{
    const int32_t row = 16 * layer->pitch * layer->dilation_rows, stride = 2 * layer->stride_columns;
    const int32_t advance = layer->dilation_columns == 1 ? 4 : 2 * layer->dilation_columns;
    uint32_t s0 = bias, s1 = bias, s2 = bias, s3 = bias;

    for (int32_t i = layer->height; i > 0; i--, x += row) {
        const int8_t *at = x;

        if (doubled) {
            uint32_t left = tn_load4(at);

            for (int32_t j = layer->taps; j > 0; j--, weights += 2) {
                const uint32_t even = weights[0], odd = weights[1], right = tn_load4(at += 4);

                s0 = tn_smlad(left, even, s0);
                s1 = tn_smlad(left, odd, s1);
                s2 = tn_smlad(right, even, s2);
                s3 = tn_smlad(right, odd, s3);
                left = right;
            }
        } else {
            for (int32_t j = layer->taps; j > 0; j--, at += advance) {
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
TN_FOLDED void tn_staged_row(const struct tn_depthwise_staged *layer, int32_t variant, int32_t doubled,
                             const struct tn_staged_row *channel, const int8_t *x, int8_t *output)
{
    const int32_t step = layer->planes.out_column_step, stride = 2 * layer->stride_columns;
    int32_t left = layer->planes.out_columns;

    while (left > 0) {
        uint32_t sums[4];

        tn_staged_sums(layer, doubled, x, channel->weights, (uint32_t)channel->bias, sums);
        TN_UNROLL_4
        for (int32_t i = 0; i < 4; i++) {
            output[i * step] = tn_requantize(variant, (int32_t)(2 * sums[i]), channel->multiplier, channel->shift,
                                             channel->addend, layer->low, layer->high);
        }
        left -= 4;
        const int32_t ahead = tn_min(left, 4);

        x += ahead * stride;
        output += ahead * step;
    }
}

/* The rows of a band that lie in the image are staged, the others filled; the first `known` are there already. */
static inline void tn_staged_band(const struct tn_depthwise_staged *layer, const int8_t *input, int32_t row,
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

/* scratch: 4 * height * taps words of weights, twice that where `doubled`, and the band's planes. */
TN_FOLDED void tn_depthwise_staged(const struct tn_depthwise_staged *layer, int32_t variant, int32_t doubled,
                                   const int8_t *input, int8_t *output, int8_t *scratch, const int8_t *weights,
                                   const int32_t *bias, const int32_t *multipliers, const int8_t *shifts)
{
    const struct tn_planes *const planes = &layer->planes;
    const int32_t reach = (layer->height - 1) * layer->dilation_rows + 1, words = 4 * layer->pitch;

    for (int32_t group = 0; group < planes->channels; group += 4) {
        /* The last four channels may have been computed in part; then the output may lie over them already. */
        const int32_t first = tn_min(group, planes->channels - 4), skip = group - first;
        struct tn_staged_row rows[4];
        uint32_t *staged = (uint32_t *)(void *)scratch;

        for (int32_t i = skip; i < 4; i++) {
            const int32_t channel = first + i;

            rows[i].bias = bias[channel];
            rows[i].multiplier = multipliers[channel];
            rows[i].shift = -shifts[channel];
            rows[i].addend = (int32_t)((uint32_t)layer->rounding << rows[i].shift) >> 1;
            rows[i].weights = staged;
            staged = tn_staged_weights(layer, doubled, weights + channel * layer->height * layer->width, staged);
        }
        for (int32_t y = 0; y < planes->out_rows; y += layer->band) {
            const int32_t count = tn_min(layer->band, planes->out_rows - y);
            const int32_t known = y > 0 ? tn_max(reach - layer->stride_rows, 0) : 0;

            for (int32_t i = 0; i < known * words; i++) {
                staged[i] = staged[i + layer->band * layer->stride_rows * words];
            }
            tn_staged_band(layer, input + first, y * layer->stride_rows - planes->pad_rows,
                           (count - 1) * layer->stride_rows + reach, known, staged);
            for (int32_t i = skip; i < 4; i++) {
                const int8_t *x = (const int8_t *)(staged + i * layer->pitch);
                int8_t *to = output + y * planes->out_row_step + first + i;

                for (int32_t j = 0; j < count; j++, x += 4 * layer->stride_rows * words, to += planes->out_row_step) {
                    tn_staged_row(layer, variant, doubled, &rows[i], x, to);
                }
            }
        }
    }
}

/* One function for each form, shared by all layers that need it. */
#define TN_DEPTHWISE_STAGED(name, variant, doubled)                                                                      \
    TN_APART void name(const struct tn_depthwise_staged *layer, const int8_t *input, int8_t *output, int8_t *scratch,    \
                       const int8_t *weights, const int32_t *bias, const int32_t *multipliers, const int8_t *shifts)     \
    {                                                                                                                    \
        tn_depthwise_staged(layer, variant, doubled, input, output, scratch, weights, bias, multipliers, shifts);        \
    }

TN_DEPTHWISE_STAGED(tn_depthwise_staged_signed, TN_REQUANTIZE_SIGNED, 0)
TN_DEPTHWISE_STAGED(tn_depthwise_staged_clamped, TN_REQUANTIZE_CLAMPED, 0)
TN_DEPTHWISE_STAGED(tn_depthwise_doubled_signed, TN_REQUANTIZE_SIGNED, 1)
TN_DEPTHWISE_STAGED(tn_depthwise_doubled_clamped, TN_REQUANTIZE_CLAMPED, 1)

#endif
