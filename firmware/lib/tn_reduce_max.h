/* REDUCE_MAX: the input is (outer, count, middle, count_2, inner), the output (outer, middle, inner). */
#ifndef TN_REDUCE_MAX_H
#define TN_REDUCE_MAX_H

#include "tn_compiler.h"

struct tn_reduce_max {
    int32_t outer;
    int32_t count;
    int32_t middle;
    int32_t count_2;
    int32_t inner;
};

/* The largest of one output's inputs, of which `input` is the first. */
TN_FOLDED int8_t tn_reduce_max_one(const struct tn_reduce_max *layer, const int8_t *input)
{
    const int32_t run = layer->count_2 * layer->inner;
    int8_t largest = INT8_MIN;

    for (int32_t i = 0; i < layer->count; i++, input += layer->middle * run) {
        for (int32_t j = 0; j < run; j += layer->inner) {
            largest = input[j] > largest ? input[j] : largest;
        }
    }
    return largest;
}

TN_FOLDED void tn_reduce_max(const struct tn_reduce_max *layer, const int8_t *input, int8_t *output)
{
    const int32_t run = layer->count_2 * layer->inner;

    for (int32_t i = 0; i < layer->outer; i++, input += layer->count * layer->middle * run) {
        for (int32_t j = 0; j < layer->middle; j++) {
            for (int32_t k = 0; k < layer->inner; k++) {
                *output++ = tn_reduce_max_one(layer, input + j * run + k);
            }
        }
    }
}

#endif
