/* SOFTMAX over the last dimension, without floating point.
 *
 * exponentials: exp(-d * beta * scale) for d = 0, 1, ... below the largest input, Q0.31. Beyond the table's end they
 * are too small to show in a sum or an output. The reciprocal is gemmlowp's three Newton-Raphson steps.
 */
#ifndef TN_SOFTMAX_H
#define TN_SOFTMAX_H

#include "tn_fixed_point.h"

struct tn_softmax {
    int32_t rows;
    int32_t depth;
    int32_t entries; /* in the table */
};

static inline int32_t tn_saturating_shift_left(int32_t value, int32_t exponent)
{
    const int64_t shifted = (int64_t)value * ((int32_t)1 << exponent);

    return shifted > INT32_MAX ? INT32_MAX : shifted < INT32_MIN ? INT32_MIN : (int32_t)shifted;
}

/* 1 / (1 + fraction) in Q0.31, fraction in Q0.31. */
static inline int32_t tn_reciprocal_above_one(int32_t fraction)
{
    /* Q2.29: 48/17, -32/17 and 1. */
    const int32_t start = 1515870810, slope = -1010580540, one = (int32_t)1 << 29;
    const int32_t half = (int32_t)(((int64_t)fraction + INT32_MAX + 1) / 2);
    int32_t x = start + tn_doubling_high_product(half, slope);

    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = one - tn_doubling_high_product(half, x);

        x += tn_saturating_shift_left(tn_doubling_high_product(x, error), 2);
    }
    return tn_saturating_shift_left(x, 1);
}

static inline int32_t tn_largest(const int8_t *input, int32_t depth)
{
    int32_t largest = INT8_MIN;

    for (int32_t i = 0; i < depth; i++) {
        largest = input[i] > largest ? input[i] : largest;
    }
    return largest;
}

/* Q12.19. The largest input adds 2^19. */
static inline uint32_t tn_sum_of_exponentials(const int8_t *input, int32_t depth, int32_t largest,
                                              const int32_t *exponentials, int32_t entries)
{
    uint32_t sum = 0;

    for (int32_t i = 0; i < depth; i++) {
        if (largest - input[i] < entries) {
            sum += (uint32_t)tn_rounding_shift(exponentials[largest - input[i]], 12);
        }
    }
    return sum;
}

TN_FOLDED void tn_softmax_row(const struct tn_softmax *layer, const int8_t *input, int8_t *output,
                                  const int32_t *exponentials)
{
    const uint32_t top = (uint32_t)1 << 31;
    const int32_t largest = tn_largest(input, layer->depth);
    uint32_t sum = tn_sum_of_exponentials(input, layer->depth, largest, exponentials, layer->entries);
    int32_t headroom = 0, scale;

    /* The sum is not 0: the loop ends. */
    for (; sum < top; sum <<= 1) {
        headroom++;
    }
    scale = tn_reciprocal_above_one((int32_t)(sum - top));
    for (int32_t i = 0; i < layer->depth; i++) {
        int32_t value = INT8_MIN;

        if (largest - input[i] < layer->entries) {
            const int32_t product = tn_doubling_high_product(scale, exponentials[largest - input[i]]);

            value += tn_rounding_shift(product, 12 - headroom + 23);
        }
        output[i] = tn_clamp(value, INT8_MIN, INT8_MAX);
    }
}

TN_FOLDED void tn_softmax(const struct tn_softmax *layer, const int8_t *input, int8_t *output,
                              const int32_t *exponentials)
{
    for (int32_t row = 0; row < layer->rows; row++) {
        tn_softmax_row(layer, input + row * layer->depth, output + row * layer->depth, exponentials);
    }
}

#endif
