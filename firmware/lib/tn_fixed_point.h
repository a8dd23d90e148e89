/* Fixed-point arithmetic of int8 inference, equal to TensorFlow Lite's reference to the last bit.
 *
 * A factor is multiplier / 2^31 * 2^shift with 0 <= multiplier < 2^31 and -31 <= shift <= 30. TensorFlow Lite rounds a
 * product twice, to 2^-31 and then to an integer, and both roundings show in the result.
 * Right shifts of negative numbers are arithmetic on every compiler that this is for.
 */
#ifndef TN_FIXED_POINT_H
#define TN_FIXED_POINT_H

#include "tn_compiler.h"

/* round(a * b / 2^31). b is never negative here, so the product of two INT32_MIN, which saturates, cannot occur. */
static inline int32_t tn_doubling_high_product(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + ((int32_t)1 << 30)) >> 31);
}

/* value / 2^exponent with halves away from zero, 0 <= exponent <= 31. */
static inline int32_t tn_rounding_shift(int32_t value, int32_t exponent)
{
    const int32_t mask = (int32_t)(((uint32_t)1 << exponent) - 1);
    const int32_t remainder = value & mask;
    const int32_t threshold = (mask >> 1) + (value < 0 ? 1 : 0);

    return (value >> exponent) + (remainder > threshold ? 1 : 0);
}

/* The left shift wraps as it does in the reference, where it is the model's fault. */
TN_FOLDED int32_t tn_multiply(int32_t value, int32_t multiplier, int32_t shift)
{
    if (shift > 0) {
        return tn_doubling_high_product((int32_t)((uint32_t)value << shift), multiplier);
    }
    return tn_rounding_shift(tn_doubling_high_product(value, multiplier), -shift);
}

/* Wraps as the reference does: after a factor above 1 that is the model's fault, too. */
TN_FOLDED int32_t tn_wrapping_sum(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t tn_limit(int32_t value, int32_t low, int32_t high)
{
    value = value < low ? low : value;
    return value > high ? high : value;
}

static inline int8_t tn_clamp(int32_t value, int32_t low, int32_t high)
{
    return (int8_t)tn_limit(value, low, high);
}

/* What turns an accumulator into an int8 output. `step` is 1 where each channel has a factor, 0 where all share one. */
struct tn_rescale {
    int32_t step;
    int32_t zero_point;
    int32_t low;
    int32_t high;
};

/* `plain` is a literal at every call: 1 where the compiler has proved that all factors shift right by at least one and
 * that no accumulator comes near the end of int32. Then adding a half, less one for negative values, and shifting is the
 * second rounding. */
TN_FOLDED int8_t tn_rescale(const struct tn_rescale *rescale, int32_t plain, uint32_t accumulator,
                                int32_t multiplier, int32_t shift)
{
    int32_t value = (int32_t)accumulator;

    if (plain) {
        value = tn_doubling_high_product(value, multiplier);
        value = (value + (value >> 31) + ((int32_t)1 << (-shift - 1))) >> -shift;
    } else {
        value = tn_multiply(value, multiplier, shift);
    }
    return tn_clamp(tn_wrapping_sum(value, rescale->zero_point), rescale->low, rescale->high);
}

#endif
