/* ADD and SUB: both inputs are brought to one finer scale, added, and brought to the output's. */
#ifndef TN_ADD_H
#define TN_ADD_H

#include "tn_fixed_point.h"
#include "tn_broadcast.h"

struct tn_add {
    struct tn_broadcast broadcast;
    int32_t zero_point_a;
    int32_t multiplier_a;
    int32_t shift_a;
    int32_t zero_point_b;
    int32_t multiplier_b;
    int32_t sign_b; /* -1 subtracts */
    int32_t shift_b;
    int32_t multiplier;
    int32_t shift;
    int32_t zero_point;
    int32_t low;
    int32_t high;
};

/* TensorFlow Lite adds 20 bits below the integers before it rounds. */
#define TN_ADD_ONE ((int32_t)1 << 20)

TN_FOLDED int8_t tn_add_one(const struct tn_add *layer, int32_t a, int32_t b)
{
    const int32_t fine_a = tn_multiply((a - layer->zero_point_a) * TN_ADD_ONE, layer->multiplier_a, layer->shift_a);
    const int32_t fine_b = tn_multiply((b - layer->zero_point_b) * TN_ADD_ONE, layer->multiplier_b, layer->shift_b);
    const int32_t sum = tn_multiply(fine_a + layer->sign_b * fine_b, layer->multiplier, layer->shift);

    return tn_clamp(sum + layer->zero_point, layer->low, layer->high);
}

TN_FOLDED void tn_add(const struct tn_add *layer, const int8_t *a, const int8_t *b, int8_t *output)
{
    const struct tn_broadcast *const d = &layer->broadcast;

    for (int32_t i = 0; i < d->size_0; i++) {
        for (int32_t j = 0; j < d->size_1; j++) {
            for (int32_t k = 0; k < d->size_2; k++) {
                const int8_t *x = a + i * d->a_0 + j * d->a_1 + k * d->a_2;
                const int8_t *y = b + i * d->b_0 + j * d->b_1 + k * d->b_2;

                for (int32_t l = 0; l < d->size_3; l++, x += d->a_3, y += d->b_3) {
                    *output++ = tn_add_one(layer, *x, *y);
                }
            }
        }
    }
}

#endif
