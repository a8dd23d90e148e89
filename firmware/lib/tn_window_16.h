/* Windows over images of int16 values, for int8 weights: CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED. Both zero points
 * are 0, so that what lies beyond the image adds nothing and is skipped.
 *
 * The factor of an output is multiplier / 2^15 * 2^-(shift - 15), rounded once, as TensorFlow Lite does with 64-bit sums.
 */
#ifndef TN_WINDOW_16_H
#define TN_WINDOW_16_H

#include "tn_fixed_point.h"
#include "tn_types.h"
#include "tn_window.h"

/* What turns a sum into an output. */
struct tn_rescale_16 {
    int32_t step; /* 1 where each channel has a factor, 0 where all share one */
    int32_t low;
    int32_t high;
};

/* The part of a window that lies inside the image. */
struct tn_inside_16 {
    const int8_t *input; /* of its first tap */
    int32_t tap;         /* that one's number in the window */
    int32_t rows;
    int32_t columns;
};

/* Along one axis, of a window whose first tap lies at `at`: the first tap inside an image of that size. */
TN_FOLDED int32_t tn_first_tap(int32_t at, int32_t dilation)
{
    return at < 0 ? (dilation - 1 - at) / dilation : 0;
}

/* The tap behind the last one inside. */
TN_FOLDED int32_t tn_last_tap(int32_t at, int32_t dilation, int32_t taps, int32_t size)
{
    return tn_min(taps, (size - at + dilation - 1) / dilation);
}

/* Of the window whose first tap is at (y, x). */
TN_FOLDED struct tn_inside_16 tn_inside_16(const struct tn_window *w, const int8_t *input, int32_t y, int32_t x)
{
    const int32_t top = tn_first_tap(y, w->dilation_y), left = tn_first_tap(x, w->dilation_x);
    const int32_t place = (y + top * w->dilation_y) * w->in_width + x + left * w->dilation_x;

    return (struct tn_inside_16){
        input + 2 * place * w->channels,
        top * w->width + left,
        tn_last_tap(y, w->dilation_y, w->height, w->in_height) - top,
        tn_last_tap(x, w->dilation_x, w->width, w->in_width) - left,
    };
}

/* `narrow`, a literal at every call: 1 where the compiler has proved that no sum leaves int32, whatever the inputs. A
 * bias then has one word, otherwise its low and its high one. */
TN_FOLDED int64_t tn_bias_16(int32_t narrow, TN_FLASH int32_t *bias, int32_t channel)
{
    if (narrow) {
        return bias[channel];
    }
    return (int64_t)((uint64_t)(uint32_t)bias[2 * channel] | (uint64_t)(uint32_t)bias[2 * channel + 1] << 32);
}

/* Writes one channel of a pixel. The reference keeps the low word of what is shifted. */
TN_FOLDED void tn_store_16(const struct tn_rescale_16 *rescale, int8_t *pixel, int32_t channel, int64_t sum,
                           TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)
{
    const int32_t factor = channel * rescale->step, shift = shifts[factor];
    const int64_t rounded = (sum * multipliers[factor] + ((int64_t)1 << (shift - 1))) >> shift;

    tn_store_int16(pixel + 2 * channel, tn_limit((int32_t)(uint32_t)(uint64_t)rounded, rescale->low, rescale->high));
}

#endif
