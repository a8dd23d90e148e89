/* LOG_SOFTMAX over the last dimension, without floating point: (input - largest) - log(sum of exponentials).
 *
 * Distances and logarithms are Q5.26. The logarithm is the reference's: a rational function about the fourth root of
 * one half, tensorflow/lite/kernels/internal/common.h.
 */
#ifndef TN_LOG_SOFTMAX_H
#define TN_LOG_SOFTMAX_H

#include "tn_softmax.h"

struct tn_log_softmax {
    int32_t rows;
    int32_t depth;
    int32_t entries; /* in the table of exponentials */
    int32_t lowest; /* one below the last distance that Q5.26 holds, negative */
    int32_t multiplier; /* from distances to Q5.26 */
    int32_t shift;
    int32_t reverse_multiplier; /* and back */
    int32_t reverse_shift;
};

/* log(mantissa) + log(2) / 4 in Q6.25, the mantissa in Q0.31 from the root of one half to 1. */
static inline int32_t tn_log_of_mantissa(int32_t mantissa)
{
    /* Q0.31: the fourth root of one half, and the coefficients of numerator and denominator. */
    const int32_t centre = 1805811301;
    const int32_t n_3 = 117049297, d_0 = 1057819769, d_1 = 638450708, d_2 = 127690142;
    const int32_t middle = (int32_t)(((int64_t)mantissa + centre + 1) / 2);
    const int32_t q = 2 * (mantissa - centre);
    const int32_t square = tn_doubling_high_product(q, q);
    const int32_t cube = tn_doubling_high_product(q, square);
    const int32_t numerator = tn_doubling_high_product(q, mantissa) + tn_doubling_high_product(cube, n_3);
    const int32_t slope = d_0 + q + tn_doubling_high_product(d_2, square);
    const int32_t denominator = tn_doubling_high_product(middle, slope) + tn_doubling_high_product(d_1, q);

    return tn_doubling_high_product(tn_rounding_shift(numerator, 6), tn_reciprocal_above_one(denominator));
}

/* log(sum) in Q5.26; sum is Q12.19, at least 1. */
static inline int32_t tn_log_of_sum(int32_t sum)
{
    const int32_t log_2 = 1488522236, root_of_half = 1518500250; /* Q0.31 */
    const int32_t one = (int32_t)1 << 25, quarter = one / 4;
    const int32_t scaled = tn_doubling_high_product(sum, root_of_half);
    int32_t headroom = 0, mantissa, power;

    while (sum < (int32_t)1 << (30 - headroom)) {
        headroom++;
    }
    /* The mantissa is brought above the root of one half, and counts a half of a power of 2 where it had to be. */
    if (scaled < (int32_t)1 << (30 - headroom)) {
        mantissa = tn_doubling_high_product(sum << headroom, root_of_half);
        mantissa = tn_saturating_shift_left(mantissa, 1);
        power = (11 - headroom) * one + quarter;
    } else {
        mantissa = sum << headroom;
        power = (12 - headroom) * one - quarter;
    }
    return 2 * (tn_doubling_high_product(power, log_2) + tn_log_of_mantissa(mantissa));
}

TN_FOLDED void tn_log_softmax_row(const struct tn_log_softmax *layer, const int8_t *input, int8_t *output,
                                  const int32_t *exponentials)
{
    const int32_t largest = tn_largest(input, layer->depth);
    const uint32_t sum = tn_sum_of_exponentials(input, layer->depth, largest, exponentials, layer->entries);
    const int32_t logarithm = tn_log_of_sum((int32_t)sum);
    /* From here on down, the difference of distance and logarithm leaves Q5.26. */
    int32_t lowest = tn_multiply(logarithm + INT32_MIN, layer->reverse_multiplier, layer->reverse_shift);

    lowest = lowest < layer->lowest ? layer->lowest : lowest;
    for (int32_t i = 0; i < layer->depth; i++) {
        const int32_t distance = input[i] - largest;
        int32_t value = INT8_MIN;

        if (distance > lowest) {
            value = tn_multiply(distance, layer->multiplier, layer->shift);
            value = tn_rounding_shift(tn_wrapping_sum(value, -logarithm), 22) + INT8_MAX;
        }
        output[i] = tn_clamp(value, INT8_MIN, INT8_MAX);
    }
}

TN_FOLDED void tn_log_softmax(const struct tn_log_softmax *layer, const int8_t *input, int8_t *output,
                              const int32_t *exponentials)
{
    for (int32_t row = 0; row < layer->rows; row++) {
        tn_log_softmax_row(layer, input + row * layer->depth, output + row * layer->depth, exponentials);
    }
}

#endif
