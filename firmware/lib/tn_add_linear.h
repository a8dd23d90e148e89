/* ADD of two images of one shape, where the compiler has tried all pairs of inputs and found that one rounding gives what
 * the reference's three give.
 */
#ifndef TN_ADD_LINEAR_H
#define TN_ADD_LINEAR_H

#include "tn_dsp.h"

struct tn_add_linear {
    int32_t count;
    int32_t multiplier_a;
    int32_t multiplier_b;
    int32_t addend;
    int32_t shift;
    int32_t low;
    int32_t high;
};

/* saturated: a literal, 1 where the clamp is that of int8. */
TN_FOLDED int8_t tn_add_linear_one(const struct tn_add_linear *layer, int32_t saturated, int32_t a, int32_t b)
{
    const int32_t sum = (a * layer->multiplier_a + b * layer->multiplier_b + layer->addend) >> layer->shift;

    if (saturated) {
        return (int8_t)tn_ssat8(sum);
    }
    return (int8_t)(sum < layer->low ? layer->low : sum > layer->high ? layer->high : sum);
}

TN_FOLDED void tn_add_linear(const struct tn_add_linear *layer, int32_t saturated, const int8_t *a, const int8_t *b,
                             int8_t *output)
{
    const struct tn_add_linear fixed = *layer;
    const int8_t *const end = a + fixed.count;

    TN_UNROLL_4
    while (a != end) {
        *output++ = tn_add_linear_one(&fixed, saturated, *a++, *b++);
    }
}

#endif
