/* MINIMUM and MAXIMUM: of two inputs of one scale, the smaller or the larger value. */
#ifndef TN_EXTREME_H
#define TN_EXTREME_H

#include "tn_broadcast.h"
#include "tn_compiler.h"

struct tn_extreme {
    struct tn_broadcast broadcast;
};

/* largest: a literal, 1 for MAXIMUM. */
TN_FOLDED void tn_extreme(const struct tn_extreme *layer, int32_t largest, const int8_t *a, const int8_t *b,
                          int8_t *output)
{
    const struct tn_broadcast *const d = &layer->broadcast;

    for (int32_t i = 0; i < d->size_0; i++) {
        for (int32_t j = 0; j < d->size_1; j++) {
            for (int32_t k = 0; k < d->size_2; k++) {
                const int8_t *x = a + i * d->a_0 + j * d->a_1 + k * d->a_2;
                const int8_t *y = b + i * d->b_0 + j * d->b_1 + k * d->b_2;

                for (int32_t l = 0; l < d->size_3; l++, x += d->a_3, y += d->b_3) {
                    *output++ = (largest ? *x > *y : *x < *y) ? *x : *y;
                }
            }
        }
    }
}

#endif
