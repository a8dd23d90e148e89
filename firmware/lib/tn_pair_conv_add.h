/* CONV_2D with packed pairs of channels, with the ADD that follows it. */
#ifndef TN_PAIR_CONV_ADD_H
#define TN_PAIR_CONV_ADD_H

#include "tn_pair_conv.h"

struct tn_pair_conv_add {
    struct tn_pair_conv conv;
    struct tn_add_linear addition;
    int32_t sums; /* where in scratch memory three pixels of the convolution's output lie */
};

#define TN_PAIR_CONV_ADD(how, patches, form)                                                                             \
    TN_APART void tn_pair_conv_add_##how##_##form(const struct tn_pair_conv_add *layer, const int8_t *input,             \
                                                  const int8_t *residual, int8_t *output, int8_t *scratch,               \
                                                  TN_FLASH int8_t *weights, const int32_t *records)                         \
    {                                                                                                                    \
        tn_pair_conv(&layer->conv, &layer->addition, tn_pair_3_##form, patches, input, residual, output, scratch,        \
                     scratch + layer->sums, weights, records);                                                           \
        TN_WRITTEN();                                                                                                    \
    }

TN_PAIR_CONVS(TN_PAIR_CONV_ADD)

#endif
