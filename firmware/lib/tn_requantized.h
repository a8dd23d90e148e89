/* QUANTIZE from one integer type to another, where a table of all inputs would be too large. */
#ifndef TN_REQUANTIZED_H
#define TN_REQUANTIZED_H

#include "tn_fixed_point.h"
#include "tn_types.h"

struct tn_requantized {
    int32_t count;
    int32_t in_zero_point;
    int32_t multiplier;
    int32_t shift;
    int32_t zero_point;
};

TN_FOLDED void tn_requantized(const struct tn_requantized *layer, int32_t from, int32_t to, const int8_t *input,
                              int8_t *output)
{
    for (int32_t i = 0; i < layer->count; i++) {
        const int32_t value = tn_load_value(from, input, i) - layer->in_zero_point;

        tn_store_value(to, output, i,
                       tn_wrapping_sum(tn_multiply(value, layer->multiplier, layer->shift), layer->zero_point));
    }
}

#endif
