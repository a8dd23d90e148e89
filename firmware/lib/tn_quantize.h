/* QUANTIZE: float values become integers, round(value / scale) + zero_point with halves away from zero, saturated. */
#ifndef TN_QUANTIZE_H
#define TN_QUANTIZE_H

#include "tn_types.h"

struct tn_quantize {
    int32_t count;
    float scale;
    int32_t zero_point;
};

/* Saturates far outside of every type; what is no number counts as the lowest value. */
TN_FOLDED int32_t tn_round(float value)
{
    const float limit = (float)((int32_t)1 << 20);
    const float inside = value < limit ? (value > -limit ? value : -limit) : (value >= limit ? limit : -limit);
    const int32_t whole = (int32_t)inside;
    const float rest = inside - (float)whole;

    return whole + (rest >= 0.5F ? 1 : 0) - (rest <= -0.5F ? 1 : 0);
}

TN_FOLDED void tn_quantize(const struct tn_quantize *layer, int32_t type, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < layer->count; i++) {
        tn_store_value(type, output, i, tn_round(tn_load_float(input + 4 * i) / layer->scale) + layer->zero_point);
    }
}

#endif
