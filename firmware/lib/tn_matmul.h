/* One or two input vectors times all output channels: the core of CONV_2D and FULLY_CONNECTED.
 *
 * weights: for every four channels their vectors interleaved, then the vectors of the remaining one to three.
 * bias: the model's bias minus the input's zero point times the sum of the channel's weights.
 */
#ifndef TN_MATMUL_H
#define TN_MATMUL_H

#include "tn_dot.h"
#include "tn_fixed_point.h"

struct tn_matmul {
    int32_t depth;    /* length of an input vector */
    int32_t channels; /* outputs per input vector */
    struct tn_rescale rescale;
};

TN_FOLDED void tn_matmul_1(const struct tn_matmul *layer, int32_t plain, const int8_t *a, int8_t *restrict output,
                               TN_FLASH int8_t *restrict weights, TN_FLASH int32_t *restrict bias,
                               TN_FLASH int32_t *restrict multipliers, TN_FLASH int8_t *restrict shifts)
{
    const int32_t whole = layer->channels / 4 * 4, depth = layer->depth, step = layer->rescale.step;

    for (int32_t channel = 0; channel < whole; channel += 4) {
        uint32_t sums[4];

        for (int32_t i = 0; i < 4; i++) {
            sums[i] = (uint32_t)*bias++;
        }
        tn_dot_4x1(a, weights, depth, sums);
        for (int32_t i = 0; i < 4; i++, multipliers += step, shifts += step) {
            *output++ = tn_rescale(&layer->rescale, plain, sums[i], *multipliers, *shifts);
        }
        weights += 4 * depth;
    }
    for (int32_t channel = whole; channel < layer->channels; channel++, multipliers += step, shifts += step) {
        const uint32_t sum = tn_dot_1x1(a, weights, depth, (uint32_t)*bias++);

        *output++ = tn_rescale(&layer->rescale, plain, sum, *multipliers, *shifts);
        weights += depth;
    }
}

/* Two vectors, their outputs one after the other. */
TN_FOLDED void tn_matmul_2(const struct tn_matmul *layer, int32_t plain, const int8_t *a, const int8_t *b,
                               int8_t *restrict output, TN_FLASH int8_t *restrict weights, TN_FLASH int32_t *restrict bias,
                               TN_FLASH int32_t *restrict multipliers, TN_FLASH int8_t *restrict shifts)
{
    const int32_t whole = layer->channels / 4 * 4, depth = layer->depth, step = layer->rescale.step;
    int8_t *restrict second = output + layer->channels;

    for (int32_t channel = 0; channel < whole; channel += 4) {
        uint32_t sums[8];

        for (int32_t i = 0; i < 4; i++) {
            sums[i] = sums[4 + i] = (uint32_t)*bias++;
        }
        tn_dot_4x2(a, b, weights, depth, sums);
        for (int32_t i = 0; i < 4; i++, multipliers += step, shifts += step) {
            const int32_t multiplier = *multipliers, shift = *shifts;

            *output++ = tn_rescale(&layer->rescale, plain, sums[i], multiplier, shift);
            *second++ = tn_rescale(&layer->rescale, plain, sums[4 + i], multiplier, shift);
        }
        weights += 4 * depth;
    }
    for (int32_t channel = whole; channel < layer->channels; channel++, multipliers += step, shifts += step) {
        const uint32_t sum = tn_dot_1x1(a, weights, depth, (uint32_t)*bias);
        const uint32_t other = tn_dot_1x1(b, weights, depth, (uint32_t)*bias++);

        *output++ = tn_rescale(&layer->rescale, plain, sum, *multipliers, *shifts);
        *second++ = tn_rescale(&layer->rescale, plain, other, *multipliers, *shifts);
        weights += depth;
    }
}

#endif
