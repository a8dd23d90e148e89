/* FULLY_CONNECTED: every input row times all output channels. */
#ifndef TN_FULLY_CONNECTED_H
#define TN_FULLY_CONNECTED_H

#include "tn_matmul.h"

struct tn_fully_connected {
    int32_t rows;
    struct tn_matmul matmul;
};

TN_FOLDED void tn_fully_connected(const struct tn_fully_connected *layer, int32_t plain, const int8_t *input,
                                      int8_t *output, TN_FLASH int8_t *weights, TN_FLASH int32_t *bias,
                                      TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)
{
    for (int32_t row = 0; row < layer->rows; row++) {
        tn_matmul_1(&layer->matmul, plain, input, output, weights, bias, multipliers, shifts);
        input += layer->matmul.depth;
        output += layer->matmul.channels;
    }
}

#endif
