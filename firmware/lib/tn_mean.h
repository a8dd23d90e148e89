/* MEAN and SUM over neighbouring dimensions: the input is (outer, count, inner), the output (outer, inner). */
#ifndef TN_MEAN_H
#define TN_MEAN_H

#include "tn_fixed_point.h"

struct tn_mean {
    int32_t outer;
    int32_t count;
    int32_t inner;
    int32_t in_zero_point;
    int32_t multiplier; /* of the sum; in a mean, 1 / count is part of it */
    int32_t shift;
    int32_t zero_point;
};

TN_FOLDED void tn_mean(const struct tn_mean *layer, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < layer->outer; i++, input += layer->count * layer->inner) {
        for (int32_t j = 0; j < layer->inner; j++) {
            const int8_t *value = input + j;
            int32_t sum = -layer->in_zero_point * layer->count;

            for (int32_t k = 0; k < layer->count; k++, value += layer->inner) {
                sum += *value;
            }
            sum = tn_multiply(sum, layer->multiplier, layer->shift);
            *output++ = tn_clamp(tn_wrapping_sum(sum, layer->zero_point), INT8_MIN, INT8_MAX);
        }
    }
}

#endif
