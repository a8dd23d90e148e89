/* FULLY_CONNECTED of one input vector with packed pairs of channels. */
#ifndef TN_PAIR_FULLY_CONNECTED_H
#define TN_PAIR_FULLY_CONNECTED_H

#include "tn_pair.h"

struct tn_pair_fully_connected {
    int32_t count; /* input values */
    struct tn_pair matmul;
};

/* scratch: the input, staged; it is read no more when the first output is written. */
TN_FOLDED void tn_pair_fully_connected(const struct tn_pair_fully_connected *layer, int32_t variant,
                                       const int8_t *input, int8_t *output, int8_t *scratch, const int8_t *weights,
                                       const int32_t *records)
{
    int8_t *const end = tn_stage(input, layer->count, scratch, 1);

    /* The depth is a multiple of eight: one more quad may be left, with weights of 0. */
    if (end != scratch + 2 * layer->matmul.depth) {
        memset(end, 0, 8);
    }
    tn_pair_matmul_1(&layer->matmul, variant, scratch, output, weights, records);
}

/* One function for each form, shared by all layers that need it. */
#define TN_PAIR_FULLY_CONNECTED(name, variant)                                                                           \
    TN_APART void name(const struct tn_pair_fully_connected *layer, const int8_t *input, int8_t *output,                 \
                       int8_t *scratch, const int8_t *weights, const int32_t *records)                                   \
    {                                                                                                                    \
        tn_pair_fully_connected(layer, variant, input, output, scratch, weights, records);                               \
    }

TN_PAIR_FULLY_CONNECTED(tn_pair_fully_connected_relu, TN_REQUANTIZE_RELU)
TN_PAIR_FULLY_CONNECTED(tn_pair_fully_connected_signed, TN_REQUANTIZE_SIGNED)
TN_PAIR_FULLY_CONNECTED(tn_pair_fully_connected_clamped, TN_REQUANTIZE_CLAMPED)

#endif
