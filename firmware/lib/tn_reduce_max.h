/* REDUCE_MAX over neighbouring dimensions: the input is (outer, count, inner), the output (outer, inner). */
#ifndef TN_REDUCE_MAX_H
#define TN_REDUCE_MAX_H

#include "tn_compiler.h"

struct tn_reduce_max {
    int32_t outer;
    int32_t count;
    int32_t inner;
};

TN_FOLDED void tn_reduce_max(const struct tn_reduce_max *layer, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < layer->outer; i++, input += layer->count * layer->inner) {
        for (int32_t j = 0; j < layer->inner; j++) {
            const int8_t *value = input + j;
            int8_t largest = *value;

            for (int32_t k = 1; k < layer->count; k++) {
                value += layer->inner;
                largest = *value > largest ? *value : largest;
            }
            *output++ = largest;
        }
    }
}

#endif
