/* CONV_2D with vectors, with the ADD that follows it. */
#ifndef TN_MVE_CONV_ADD_H
#define TN_MVE_CONV_ADD_H

#include "tn_mve_conv.h"

struct tn_mve_conv_add {
    struct tn_mve_conv conv;
    struct tn_add_linear addition;
    int32_t sums; /* where in scratch memory three pixels of the convolution's output lie */
};

#define TN_MVE_CONV_ADD(how, whole, three, form)                                                                              \
    TN_APART void tn_mve_conv_add_##how##_##form(const struct tn_mve_conv_add *layer, const int8_t *input,                    \
                                                 const int8_t *residual, int8_t *output, int8_t *scratch,                     \
                                                 TN_FLASH int8_t *weights, TN_FLASH int32_t *bias,                            \
                                                 TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)                      \
    {                                                                                                                         \
        tn_mve_conv(&layer->conv, &layer->addition, tn_mve_##three##_##form, tn_mve_1_##form, whole, input, residual, output, \
                    scratch, scratch + layer->sums, weights, bias, multipliers, shifts);                                      \
        TN_WRITTEN();                                                                                                         \
    }

TN_MVE_CONVS(TN_MVE_CONV_ADD)

#endif
