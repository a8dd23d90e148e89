/* DEQUANTIZE: integers become float values, scale * (value - zero_point). */
#ifndef TN_DEQUANTIZE_H
#define TN_DEQUANTIZE_H

#include "tn_types.h"

struct tn_dequantize {
    int32_t count;
    float scale;
    int32_t zero_point;
};

TN_FOLDED void tn_dequantize(const struct tn_dequantize *layer, int32_t type, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < layer->count; i++) {
        tn_store_float(output + 4 * i, layer->scale * (float)(tn_load_value(type, input, i) - layer->zero_point));
    }
}

#endif
