/* DEPTHWISE_CONV_2D of int16 values with int8 weights, a pixel at a time.
 *
 * weights: (height, width, channels), as in the model. Four channels at a time where sums fit int32 and each input channel
 * has one filter.
 */
#ifndef TN_DEPTHWISE_16_H
#define TN_DEPTHWISE_16_H

#include "tn_window_16.h"

struct tn_depthwise_16 {
    struct tn_window window;
    int32_t channels;   /* of the output */
    int32_t multiplier; /* output channels per input channel */
    struct tn_rescale_16 rescale;
};

/* Adds the products of a window's channel, and of the three behind it. */
TN_FOLDED void tn_depthwise_16_quad(const struct tn_depthwise_16 *layer, struct tn_inside_16 inside, int32_t channel,
                                    TN_FLASH int8_t *weights, int32_t *sums)
{
    const struct tn_window *const w = &layer->window;
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];

    for (int32_t i = 0; i < inside.rows; i++) {
        const int8_t *x = inside.input + 2 * (i * w->dilation_y * w->in_width * w->channels + channel);
        TN_FLASH int8_t *taps = weights + (inside.tap + i * w->width) * layer->channels + channel;

        for (int32_t j = 0; j < inside.columns; j++, x += 2 * w->dilation_x * w->channels, taps += layer->channels) {
            a += taps[0] * tn_load_int16(x);
            b += taps[1] * tn_load_int16(x + 2);
            c += taps[2] * tn_load_int16(x + 4);
            d += taps[3] * tn_load_int16(x + 6);
        }
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

/* Adds the products of a window with the filter of one output channel. */
TN_FOLDED int64_t tn_depthwise_16_sum(const struct tn_depthwise_16 *layer, struct tn_inside_16 inside, int32_t channel,
                                      TN_FLASH int8_t *weights, int64_t sum)
{
    const struct tn_window *const w = &layer->window;
    const int32_t source = channel / layer->multiplier;

    for (int32_t i = 0; i < inside.rows; i++) {
        const int8_t *x = inside.input + 2 * (i * w->dilation_y * w->in_width * w->channels + source);
        TN_FLASH int8_t *taps = weights + (inside.tap + i * w->width) * layer->channels + channel;

        for (int32_t j = 0; j < inside.columns; j++, x += 2 * w->dilation_x * w->channels, taps += layer->channels) {
            sum += (int32_t)*taps * tn_load_int16(x);
        }
    }
    return sum;
}

/* All channels of one output pixel. */
TN_FOLDED void tn_depthwise_16_pixel(const struct tn_depthwise_16 *layer, int32_t narrow, struct tn_inside_16 inside,
                                     int8_t *output, TN_FLASH int8_t *weights, TN_FLASH int32_t *bias,
                                     TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)
{
    const int32_t quads = narrow && layer->multiplier == 1 ? layer->channels & ~3 : 0;

    for (int32_t channel = 0; channel < quads; channel += 4) {
        int32_t sums[4] = {bias[channel], bias[channel + 1], bias[channel + 2], bias[channel + 3]};

        tn_depthwise_16_quad(layer, inside, channel, weights, sums);
        for (int32_t i = 0; i < 4; i++) {
            tn_store_16(&layer->rescale, output, channel + i, sums[i], multipliers, shifts);
        }
    }
    for (int32_t channel = quads; channel < layer->channels; channel++) {
        const int64_t first = tn_bias_16(narrow, bias, channel);
        const int64_t sum = tn_depthwise_16_sum(layer, inside, channel, weights, first);

        tn_store_16(&layer->rescale, output, channel, sum, multipliers, shifts);
    }
}

TN_FOLDED void tn_depthwise_16(const struct tn_depthwise_16 *layer, int32_t narrow, const int8_t *input, int8_t *output,
                               TN_FLASH int8_t *weights, TN_FLASH int32_t *bias, TN_FLASH int32_t *multipliers,
                               TN_FLASH int8_t *shifts)
{
    const struct tn_window *const w = &layer->window;

    for (int32_t row = 0, y = -w->pad_top; row < w->out_height; row++, y += w->stride_y) {
        for (int32_t column = 0, x = -w->pad_left; column < w->out_width; column++, x += w->stride_x) {
            const struct tn_inside_16 inside = tn_inside_16(w, input, y, x);

            tn_depthwise_16_pixel(layer, narrow, inside, output, weights, bias, multipliers, shifts);
            output += 2 * layer->channels;
        }
    }
}

#endif
