/* MUL: the product of two inputs, rescaled. */
#ifndef TN_MUL_H
#define TN_MUL_H

#include "tn_broadcast.h"
#include "tn_fixed_point.h"

struct tn_mul {
    struct tn_broadcast broadcast;
    int32_t zero_point_a;
    int32_t zero_point_b;
    int32_t multiplier;
    int32_t shift;
    int32_t zero_point;
    int32_t low;
    int32_t high;
};

TN_FOLDED int8_t tn_mul_one(const struct tn_mul *layer, int32_t a, int32_t b)
{
    const int32_t product = (a - layer->zero_point_a) * (b - layer->zero_point_b);
    const int32_t rescaled = tn_multiply(product, layer->multiplier, layer->shift);

    return tn_clamp(tn_wrapping_sum(rescaled, layer->zero_point), layer->low, layer->high);
}

TN_FOLDED void tn_mul(const struct tn_mul *layer, const int8_t *a, const int8_t *b, int8_t *output)
{
    const struct tn_broadcast *const d = &layer->broadcast;

    for (int32_t i = 0; i < d->size_0; i++) {
        for (int32_t j = 0; j < d->size_1; j++) {
            for (int32_t k = 0; k < d->size_2; k++) {
                const int8_t *x = a + i * d->a_0 + j * d->a_1 + k * d->a_2;
                const int8_t *y = b + i * d->b_0 + j * d->b_1 + k * d->b_2;

                for (int32_t l = 0; l < d->size_3; l++, x += d->a_3, y += d->b_3) {
                    *output++ = tn_mul_one(layer, *x, *y);
                }
            }
        }
    }
}

#endif
