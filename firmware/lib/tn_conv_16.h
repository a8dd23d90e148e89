/* CONV_2D and FULLY_CONNECTED of int16 values with int8 weights. Sums have 64 bits; both zero points are 0, so that what
 * lies beyond the image adds nothing.
 *
 * weights: (channels, height, width, inputs), as in the model; bias: the low and the high word of each channel's.
 * The factor of an output is multiplier / 2^15 * 2^-(shift - 15), rounded once, as TensorFlow Lite does with 64-bit sums.
 */
#ifndef TN_CONV_16_H
#define TN_CONV_16_H

#include "tn_types.h"
#include "tn_window.h"

struct tn_conv_16 {
    struct tn_window window;
    int32_t channels;
    int32_t step; /* 1 where each channel has a factor, 0 where all share one */
    int32_t low;
    int32_t high;
};

/* The products of one row of the window, whose first tap is at column `x` of the image's row. */
TN_FOLDED int64_t tn_conv_16_row(const struct tn_window *w, const int8_t *row, int32_t x, TN_FLASH int8_t *weights)
{
    int64_t sum = 0;

    for (int32_t i = 0; i < w->width; i++, x += w->dilation_x, weights += w->channels) {
        if (x >= 0 && x < w->in_width) {
            const int8_t *const pixel = row + 2 * x * w->channels;

            for (int32_t channel = 0; channel < w->channels; channel++) {
                sum += (int32_t)weights[channel] * tn_load_int16(pixel + 2 * channel);
            }
        }
    }
    return sum;
}

/* The sum of the window whose first tap is at (y, x). */
TN_FOLDED int64_t tn_conv_16_sum(const struct tn_window *w, const int8_t *input, int32_t y, int32_t x,
                                 TN_FLASH int8_t *weights, int64_t sum)
{
    for (int32_t i = 0; i < w->height; i++, y += w->dilation_y, weights += w->width * w->channels) {
        if (y >= 0 && y < w->in_height) {
            sum += tn_conv_16_row(w, input + 2 * y * w->in_width * w->channels, x, weights);
        }
    }
    return sum;
}

TN_FOLDED int64_t tn_conv_16_bias(TN_FLASH int32_t *bias)
{
    return (int64_t)((uint64_t)(uint32_t)bias[0] | (uint64_t)(uint32_t)bias[1] << 32);
}

/* The reference keeps the low word of what is shifted. */
TN_FOLDED int32_t tn_conv_16_rescale(int64_t sum, int32_t multiplier, int32_t shift)
{
    return (int32_t)(uint32_t)(uint64_t)((sum * multiplier + ((int64_t)1 << (shift - 1))) >> shift);
}

TN_FOLDED void tn_conv_16(const struct tn_conv_16 *layer, const int8_t *input, int8_t *output, TN_FLASH int8_t *weights,
                          TN_FLASH int32_t *bias, TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)
{
    const struct tn_window *const w = &layer->window;
    const int32_t depth = w->height * w->width * w->channels;

    for (int32_t row = 0, y = -w->pad_top; row < w->out_height; row++, y += w->stride_y) {
        for (int32_t column = 0, x = -w->pad_left; column < w->out_width; column++, x += w->stride_x) {
            for (int32_t channel = 0; channel < layer->channels; channel++, output += 2) {
                const int64_t first = tn_conv_16_bias(bias + 2 * channel);
                const int64_t sum = tn_conv_16_sum(w, input, y, x, weights + channel * depth, first);
                const int32_t factor = channel * layer->step;
                const int32_t value = tn_conv_16_rescale(sum, multipliers[factor], shifts[factor]);

                tn_store_int16(output, value < layer->low ? layer->low : value > layer->high ? layer->high : value);
            }
        }
    }
}

#endif
