/* CONV_2D and FULLY_CONNECTED of int16 values with int8 weights, a pixel at a time.
 *
 * weights: (channels, height, width, inputs), as in the model. Four channels at a time where sums fit int32.
 */
#ifndef TN_CONV_16_H
#define TN_CONV_16_H

#include "tn_dsp.h"
#include "tn_window_16.h"

struct tn_conv_16 {
    struct tn_window window;
    int32_t channels;
    struct tn_rescale_16 rescale;
};

#ifdef __ARM_FEATURE_DSP

/* Adds the products of four values, of which `even` and `odd` hold two each, with the weights of one channel. */
TN_FOLDED int32_t tn_products_16(uint32_t even, uint32_t odd, const int8_t *weights, int32_t sum)
{
    const uint32_t four = tn_load4(weights);

    return (int32_t)tn_smlad(odd, tn_sxtb16_odd(four), tn_smlad(even, tn_sxtb16(four), (uint32_t)sum));
}

#endif

/* Adds the products of `count` neighbouring values with the weights of four channels, which lie `depth` apart. */
TN_FOLDED void tn_dot_16_quad(const int8_t *x, TN_FLASH int8_t *weights, int32_t depth, int32_t count, int32_t *sums)
{
    TN_FLASH int8_t *a = weights, *b = a + depth, *c = b + depth, *d = c + depth;
    int32_t sum_a = sums[0], sum_b = sums[1], sum_c = sums[2], sum_d = sums[3];

#ifdef __ARM_FEATURE_DSP
    for (; count >= 4; count -= 4, x += 8, a += 4, b += 4, c += 4, d += 4) {
        const uint32_t low = tn_load4(x), high = tn_load4(x + 4);
        const uint32_t even = tn_pack_low(low, high), odd = tn_pack_high(low, high);

        sum_a = tn_products_16(even, odd, a, sum_a);
        sum_b = tn_products_16(even, odd, b, sum_b);
        sum_c = tn_products_16(even, odd, c, sum_c);
        sum_d = tn_products_16(even, odd, d, sum_d);
    }
#endif
    for (; count > 0; count--, x += 2) {
        const int32_t value = tn_load_int16(x);

        sum_a += *a++ * value;
        sum_b += *b++ * value;
        sum_c += *c++ * value;
        sum_d += *d++ * value;
    }
    sums[0] = sum_a, sums[1] = sum_b, sums[2] = sum_c, sums[3] = sum_d;
}

/* The products of `count` neighbouring values with the weights of one channel, added to `sum`. */
TN_FOLDED int64_t tn_dot_16(const int8_t *x, TN_FLASH int8_t *weights, int32_t count, int64_t sum)
{
    for (int32_t i = 0; i < count; i++) {
        sum += (int32_t)weights[i] * tn_load_int16(x + 2 * i);
    }
    return sum;
}

/* Adds the products of a window with the weights of `channels`, 4 or 1, which lie `depth` apart. Neighbouring taps are
 * neighbours in memory, unless there is dilation. */
TN_FOLDED void tn_conv_16_sums(const struct tn_window *w, struct tn_inside_16 inside, int32_t channels,
                               TN_FLASH int8_t *weights, int32_t depth, int32_t *narrow, int64_t *wide)
{
    const int32_t runs = w->dilation_x == 1 ? 1 : inside.columns;
    const int32_t count = w->dilation_x == 1 ? inside.columns * w->channels : w->channels;

    weights += inside.tap * w->channels;
    for (int32_t i = 0; i < inside.rows; i++, weights += w->width * w->channels) {
        const int8_t *const row = inside.input + 2 * i * w->dilation_y * w->in_width * w->channels;

        for (int32_t run = 0; run < runs; run++) {
            const int8_t *const x = row + 2 * run * w->dilation_x * w->channels;
            TN_FLASH int8_t *const taps = weights + run * w->channels;

            if (channels == 4) {
                tn_dot_16_quad(x, taps, depth, count, narrow);
            } else {
                *wide = tn_dot_16(x, taps, count, *wide);
            }
        }
    }
}

/* All channels of one output pixel. */
TN_FOLDED void tn_conv_16_pixel(const struct tn_conv_16 *layer, int32_t narrow, struct tn_inside_16 inside,
                                int8_t *output, TN_FLASH int8_t *weights, TN_FLASH int32_t *bias,
                                TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)
{
    const struct tn_window *const w = &layer->window;
    const int32_t depth = w->height * w->width * w->channels, quads = narrow ? layer->channels & ~3 : 0;

    for (int32_t channel = 0; channel < quads; channel += 4) {
        int32_t sums[4] = {bias[channel], bias[channel + 1], bias[channel + 2], bias[channel + 3]};

        tn_conv_16_sums(w, inside, 4, weights + channel * depth, depth, sums, NULL);
        for (int32_t i = 0; i < 4; i++) {
            tn_store_16(&layer->rescale, output, channel + i, sums[i], multipliers, shifts);
        }
    }
    for (int32_t channel = quads; channel < layer->channels; channel++) {
        int64_t sum = tn_bias_16(narrow, bias, channel);

        tn_conv_16_sums(w, inside, 1, weights + channel * depth, depth, NULL, &sum);
        tn_store_16(&layer->rescale, output, channel, sum, multipliers, shifts);
    }
}

TN_FOLDED void tn_conv_16(const struct tn_conv_16 *layer, int32_t narrow, const int8_t *input, int8_t *output,
                          TN_FLASH int8_t *weights, TN_FLASH int32_t *bias, TN_FLASH int32_t *multipliers,
                          TN_FLASH int8_t *shifts)
{
    const struct tn_window *const w = &layer->window;

    for (int32_t row = 0, y = -w->pad_top; row < w->out_height; row++, y += w->stride_y) {
        for (int32_t column = 0, x = -w->pad_left; column < w->out_width; column++, x += w->stride_x) {
            tn_conv_16_pixel(layer, narrow, tn_inside_16(w, input, y, x), output, weights, bias, multipliers, shifts);
            output += 2 * layer->channels;
        }
    }
}

#endif
