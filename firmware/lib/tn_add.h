/* ADD and SUB: both inputs are brought to one finer scale, added, and brought to the output's. */
#ifndef TN_ADD_H
#define TN_ADD_H

#include "tn_broadcast.h"
#include "tn_fixed_point.h"
#include "tn_types.h"

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

/* TensorFlow Lite adds so many bits below the integers before it rounds. */
TN_FOLDED int32_t tn_add_bits(int32_t type)
{
    return type == TN_INT16 ? 15 : 20;
}

TN_FOLDED int32_t tn_add_one(const struct tn_add *layer, int32_t type, int32_t a, int32_t b)
{
    const int32_t one = (int32_t)1 << tn_add_bits(type);
    const int32_t fine_a = tn_multiply((a - layer->zero_point_a) * one, layer->multiplier_a, layer->shift_a);
    const int32_t fine_b = tn_multiply((b - layer->zero_point_b) * one, layer->multiplier_b, layer->shift_b);
    const int32_t sum = tn_multiply(fine_a + layer->sign_b * fine_b, layer->multiplier, layer->shift);

    return tn_limit(sum + layer->zero_point, layer->low, layer->high);
}

TN_FOLDED void tn_add_typed(const struct tn_add *layer, int32_t type, const int8_t *a, const int8_t *b, int8_t *output)
{
    const struct tn_broadcast *const d = &layer->broadcast;
    const int32_t bytes = tn_value_bytes(type);

    for (int32_t i = 0; i < d->size_0; i++) {
        for (int32_t j = 0; j < d->size_1; j++) {
            for (int32_t k = 0; k < d->size_2; k++) {
                const int8_t *x = a + (i * d->a_0 + j * d->a_1 + k * d->a_2) * bytes;
                const int8_t *y = b + (i * d->b_0 + j * d->b_1 + k * d->b_2) * bytes;

                for (int32_t l = 0; l < d->size_3; l++, x += d->a_3 * bytes, y += d->b_3 * bytes, output += bytes) {
                    const int32_t sum = tn_add_one(layer, type, tn_load_value(type, x, 0), tn_load_value(type, y, 0));

                    tn_put_value(type, output, 0, sum);
                }
            }
        }
    }
}

TN_FOLDED void tn_add(const struct tn_add *layer, const int8_t *a, const int8_t *b, int8_t *output)
{
    tn_add_typed(layer, TN_INT8, a, b, output);
}

TN_FOLDED void tn_add_16(const struct tn_add *layer, const int8_t *a, const int8_t *b, int8_t *output)
{
    tn_add_typed(layer, TN_INT16, a, b, output);
}

#endif
