/* PRELU: values below zero are multiplied by a slope that has a tensor of its own. */
#ifndef TN_PRELU_H
#define TN_PRELU_H

#include "tn_broadcast.h"
#include "tn_fixed_point.h"

struct tn_prelu {
    struct tn_broadcast broadcast;
    int32_t zero_point_a;
    int32_t zero_point_b; /* of the slopes */
    int32_t multiplier_above;
    int32_t shift_above;
    int32_t multiplier_below;
    int32_t shift_below;
    int32_t zero_point;
};

TN_FOLDED int8_t tn_prelu_one(const struct tn_prelu *layer, int32_t value, int32_t slope)
{
    value -= layer->zero_point_a;
    if (value >= 0) {
        value = tn_multiply(value, layer->multiplier_above, layer->shift_above);
    } else {
        value = tn_multiply(value * (slope - layer->zero_point_b), layer->multiplier_below, layer->shift_below);
    }
    return tn_clamp(tn_wrapping_sum(value, layer->zero_point), INT8_MIN, INT8_MAX);
}

TN_FOLDED void tn_prelu(const struct tn_prelu *layer, const int8_t *a, const int8_t *b, int8_t *output)
{
    const struct tn_broadcast *const d = &layer->broadcast;

    for (int32_t i = 0; i < d->size_0; i++) {
        for (int32_t j = 0; j < d->size_1; j++) {
            for (int32_t k = 0; k < d->size_2; k++) {
                const int8_t *x = a + i * d->a_0 + j * d->a_1 + k * d->a_2;
                const int8_t *y = b + i * d->b_0 + j * d->b_1 + k * d->b_2;

                for (int32_t l = 0; l < d->size_3; l++, x += d->a_3, y += d->b_3) {
                    *output++ = tn_prelu_one(layer, *x, *y);
                }
            }
        }
    }
}

#endif
