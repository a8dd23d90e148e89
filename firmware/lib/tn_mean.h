/* MEAN and SUM: the input is (outer, count, middle, count_2, inner), the output (outer, middle, inner). */
#ifndef TN_MEAN_H
#define TN_MEAN_H

#include "tn_fixed_point.h"
#include "tn_types.h"

struct tn_mean {
    int32_t outer;
    int32_t count;
    int32_t middle;
    int32_t count_2;
    int32_t inner;
    int32_t in_zero_point;
    int32_t multiplier; /* of the sum; in a mean, 1 / (count * count_2) is part of it */
    int32_t shift;
    int32_t zero_point;
};

/* The sum of one output's inputs, of which `input` is the first. */
TN_FOLDED int32_t tn_mean_sum(const struct tn_mean *layer, int32_t type, const int8_t *input)
{
    const int32_t run = layer->count_2 * layer->inner;
    int32_t sum = -layer->in_zero_point * layer->count * layer->count_2;

    for (int32_t i = 0; i < layer->count; i++, input += layer->middle * run * tn_value_bytes(type)) {
        for (int32_t j = 0; j < run; j += layer->inner) {
            sum += tn_load_value(type, input, j);
        }
    }
    return sum;
}

TN_FOLDED void tn_mean_typed(const struct tn_mean *layer, int32_t type, const int8_t *input, int8_t *output)
{
    const int32_t run = layer->count_2 * layer->inner, bytes = tn_value_bytes(type);

    for (int32_t i = 0; i < layer->outer; i++, input += layer->count * layer->middle * run * bytes) {
        for (int32_t j = 0; j < layer->middle; j++) {
            for (int32_t k = 0; k < layer->inner; k++, output += bytes) {
                int32_t sum = tn_mean_sum(layer, type, input + (j * run + k) * bytes);

                sum = tn_multiply(sum, layer->multiplier, layer->shift);
                tn_store_value(type, output, 0, tn_wrapping_sum(sum, layer->zero_point));
            }
        }
    }
}

TN_FOLDED void tn_mean(const struct tn_mean *layer, const int8_t *input, int8_t *output)
{
    tn_mean_typed(layer, TN_INT8, input, output);
}

TN_FOLDED void tn_mean_16(const struct tn_mean *layer, const int8_t *input, int8_t *output)
{
    tn_mean_typed(layer, TN_INT16, input, output);
}

#endif
