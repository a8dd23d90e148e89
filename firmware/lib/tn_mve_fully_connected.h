/* FULLY_CONNECTED of one input vector with vectors. */
#ifndef TN_MVE_FULLY_CONNECTED_H
#define TN_MVE_FULLY_CONNECTED_H

#include "tn_mve.h"

struct tn_mve_fully_connected {
    struct tn_mve matmul;
};

#define TN_MVE_FULLY_CONNECTED(form)                                                                                   \
    static inline void tn_mve_fully_connected_##form(const struct tn_mve_fully_connected *layer, const int8_t *input,  \
                                                     int8_t *output, TN_FLASH int8_t *weights, TN_FLASH int32_t *bias, \
                                                     TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)           \
    {                                                                                                                  \
        struct tn_mve_job job = tn_mve_job(&layer->matmul, weights, bias, multipliers, shifts);                        \
                                                                                                                       \
        job.inputs[0] = input;                                                                                         \
        job.output = output;                                                                                           \
        tn_mve_last(&job, layer->matmul.outputs, tn_mve_1_##form);                                                     \
    }

TN_MVE_FULLY_CONNECTED(relu)
TN_MVE_FULLY_CONNECTED(signed)

#endif
