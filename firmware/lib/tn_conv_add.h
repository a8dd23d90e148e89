/* CONV_2D with the ADD that follows it. */
#ifndef TN_CONV_ADD_H
#define TN_CONV_ADD_H

#include "tn_conv.h"

struct tn_conv_add {
    struct tn_conv conv;
    struct tn_add_linear addition;
    int32_t sums; /* where in scratch memory two pixels of the convolution's output lie */
};

TN_FOLDED void tn_conv_add(const struct tn_conv_add *layer, int32_t plain, const int8_t *input, const int8_t *residual,
                           int8_t *output, int8_t *scratch, TN_FLASH int8_t *weights, TN_FLASH int32_t *bias,
                           TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)
{
    tn_conv_pixels(&layer->conv, &layer->addition, plain, input, residual, output, scratch, scratch + layer->sums, weights,
                   bias, multipliers, shifts);
}

#endif
