/* From an accumulator to an int8 output in a few DSP instructions, equal to TensorFlow Lite's double rounding.
 *
 * With factor m / 2^31 / 2^shift, the reference rounds accumulator * m / 2^31 to an integer (halves up), then divides it
 * by 2^shift (halves away from zero), adds the zero point and clamps. The first rounding is that of SMMLAR on twice the
 * accumulator; half of the divisor and the zero point, scaled, ride on its addend. Where the output's lower bound is its
 * zero point, what is below a half is clamped anyway, and halves up serve as halves away from zero.
 * The compiler has proved for every channel that nothing here leaves int32, and that 1 <= shift <= 22.
 *
 * `relu` elsewhere goes one step further. For halves rounded up, the two roundings of t = accumulator * m / 2^31 are one
 * floor, floor((t + 1/2 + 2^(shift - 1)) / 2^shift). With the accumulator shifted left by k in advance, every channel
 * shifts right by the same literal, shift + k - 1, and SSAT does that in passing; the addend then holds, beside the zero
 * point, 2^(shift + k - 2) + 2^(k - 2).
 */
#ifndef TN_REQUANTIZE_H
#define TN_REQUANTIZE_H

#include "tn_dsp.h"

/* A literal at every call. */
enum tn_requantize {
    TN_REQUANTIZE_RELU = 0,    /* clamped to -128 (the zero point) .. 127 */
    TN_REQUANTIZE_SIGNED = 1,  /* clamped to -128 .. 127 */
    TN_REQUANTIZE_CLAMPED = 2, /* clamped to low .. high */
};

/* doubled: twice the accumulator. low, high: used by TN_REQUANTIZE_CLAMPED only. */
TN_FOLDED int8_t tn_requantize(int32_t variant, int32_t doubled, int32_t multiplier, int32_t shift, int32_t addend,
                               int32_t low, int32_t high)
{
    int32_t value = tn_smmlar(doubled, multiplier, addend);

    if (variant != TN_REQUANTIZE_RELU) {
        value += doubled >> 31;
    }
    value >>= shift;
    if (variant != TN_REQUANTIZE_CLAMPED) {
        return (int8_t)tn_ssat8(value);
    }
    value = value < low ? low : value;
    return (int8_t)(value > high ? high : value);
}

#endif
