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

static inline void tn_matmul_1(const struct tn_matmul *layer, const int8_t *a, int8_t *output, const int8_t *weights,
                               const int32_t *bias, const int32_t *multipliers, const int8_t *shifts)
{
    const int32_t whole = layer->channels / 4 * 4;

    for (int32_t channel = 0; channel < whole; channel += 4) {
        uint32_t sums[4];

        for (int32_t i = 0; i < 4; i++) {
            sums[i] = (uint32_t)bias[channel + i];
        }
        tn_dot_4x1(a, weights, layer->depth, sums);
        for (int32_t i = 0; i < 4; i++) {
            output[channel + i] = tn_rescale(&layer->rescale, sums[i], multipliers, shifts, channel + i);
        }
        weights += 4 * layer->depth;
    }
    for (int32_t channel = whole; channel < layer->channels; channel++) {
        const uint32_t sum = tn_dot_1x1(a, weights, layer->depth, (uint32_t)bias[channel]);

        output[channel] = tn_rescale(&layer->rescale, sum, multipliers, shifts, channel);
        weights += layer->depth;
    }
}

/* Two vectors, outputs one after the other. */
static inline void tn_matmul_2(const struct tn_matmul *layer, const int8_t *a, const int8_t *b, int8_t *output,
                               const int8_t *weights, const int32_t *bias, const int32_t *multipliers,
                               const int8_t *shifts)
{
    int8_t *const second = output + layer->channels;
    const int32_t whole = layer->channels / 4 * 4;

    for (int32_t channel = 0; channel < whole; channel += 4) {
        uint32_t sums[8];

        for (int32_t i = 0; i < 4; i++) {
            sums[i] = sums[4 + i] = (uint32_t)bias[channel + i];
        }
        tn_dot_4x2(a, b, weights, layer->depth, sums);
        for (int32_t i = 0; i < 4; i++) {
            output[channel + i] = tn_rescale(&layer->rescale, sums[i], multipliers, shifts, channel + i);
            second[channel + i] = tn_rescale(&layer->rescale, sums[4 + i], multipliers, shifts, channel + i);
        }
        weights += 4 * layer->depth;
    }
    for (int32_t channel = whole; channel < layer->channels; channel++) {
        const uint32_t sum = tn_dot_1x1(a, weights, layer->depth, (uint32_t)bias[channel]);
        const uint32_t other = tn_dot_1x1(b, weights, layer->depth, (uint32_t)bias[channel]);

        output[channel] = tn_rescale(&layer->rescale, sum, multipliers, shifts, channel);
        second[channel] = tn_rescale(&layer->rescale, other, multipliers, shifts, channel);
        weights += layer->depth;
    }
}

#endif
