/* DEPTHWISE_CONV_2D: each channel with a filter of its own, four channels at a time.
 *
 * weights: for every four channels [tap][4], then for each remaining channel [tap]. Taps beyond the input's edge read
 * the input's zero point, which the folded bias cancels exactly; whether a tap lies inside is asked once for four
 * channels, and not at all where the whole window does.
 */
#ifndef TN_DEPTHWISE_H
#define TN_DEPTHWISE_H

#include "tn_dsp.h"
#include "tn_fixed_point.h"
#include "tn_window.h"

struct tn_depthwise {
    struct tn_window window;
    int32_t channels;   /* of the output */
    int32_t multiplier; /* output channels per input channel */
    int32_t quads;      /* groups of four channels that share their taps' addresses; 0 where multiplier > 1 */
    int32_t padding;    /* the input's zero point */
    struct tn_rescale rescale;
};

/* Adds one tap of four channels. */
TN_FOLDED void tn_depthwise_taps(const int8_t *x, TN_FLASH int8_t *weights, uint32_t *sums)
{
#ifdef __ARM_FEATURE_DSP
    const uint32_t even = tn_sxtb16(tn_load4(x)), odd = tn_sxtb16_odd(tn_load4(x));
    const uint32_t even_weights = tn_sxtb16(tn_load4(weights)), odd_weights = tn_sxtb16_odd(tn_load4(weights));

    sums[0] = tn_smlabb(even, even_weights, sums[0]);
    sums[1] = tn_smlabb(odd, odd_weights, sums[1]);
    sums[2] = tn_smlatt(even, even_weights, sums[2]);
    sums[3] = tn_smlatt(odd, odd_weights, sums[3]);
#else
    sums[0] += (uint32_t)(x[0] * weights[0]);
    sums[1] += (uint32_t)(x[1] * weights[1]);
    sums[2] += (uint32_t)(x[2] * weights[2]);
    sums[3] += (uint32_t)(x[3] * weights[3]);
#endif
}

/* Adds the taps of four channels; `input` is the window's first pixel at the first channel. Inlined with literal
 * sizes for the usual windows, so that their taps are unrolled. */
TN_FOLDED void tn_depthwise_inside(const struct tn_window *w, int32_t height, int32_t width, const int8_t *input,
                                       TN_FLASH int8_t *weights, uint32_t *sums)
{
    const int32_t step_x = w->dilation_x * w->channels;
    const int32_t step_y = w->dilation_y * w->in_width * w->channels;
    uint32_t found[4] = {sums[0], sums[1], sums[2], sums[3]};

    for (int32_t i = 0; i < height; i++, input += step_y) {
        const int8_t *x = input;

        TN_UNROLL_4
        for (int32_t j = 0; j < width; j++, x += step_x, weights += 4) {
            tn_depthwise_taps(x, weights, found);
        }
    }
    sums[0] = found[0], sums[1] = found[1], sums[2] = found[2], sums[3] = found[3];
}

/* Where the window's tap in column `x` lies: in the row, which is `columns` pixels long, or outside. */
static inline const int8_t *tn_depthwise_tap(const int8_t *row, int32_t x, uint32_t columns, int32_t channels,
                                             const int8_t *outside)
{
    return (uint32_t)x < columns ? row + x * channels : outside;
}

/* The same where part of the window lies outside; `y0`, `x0` place its first tap in the input. */
TN_FOLDED void tn_depthwise_edge(const struct tn_depthwise *layer, const int8_t *input, int32_t y0, int32_t x0,
                                     TN_FLASH int8_t *weights, uint32_t *sums)
{
    const struct tn_window *const w = &layer->window;
    const int8_t padding = (int8_t)layer->padding;
    const int8_t outside[4] = {padding, padding, padding, padding};
    uint32_t found[4] = {sums[0], sums[1], sums[2], sums[3]};

    for (int32_t i = 0, y = y0; i < w->height; i++, y += w->dilation_y) {
        /* No column lies inside where the row does not. */
        const int32_t within = y >= 0 && y < w->in_height;
        const int8_t *const row = within ? input + y * w->in_width * w->channels : input;
        const uint32_t columns = within ? (uint32_t)w->in_width : 0;
        int32_t x = x0;

        for (int32_t j = 0; j < w->width; j++, x += w->dilation_x, weights += 4) {
            const int8_t *const tap = tn_depthwise_tap(row, x, columns, w->channels, outside);

            tn_depthwise_taps(tap, weights, found);
        }
    }
    sums[0] = found[0], sums[1] = found[1], sums[2] = found[2], sums[3] = found[3];
}

/* The taps of one channel, inside or outside, added to `sum`. */
TN_APART uint32_t tn_depthwise_single(const struct tn_depthwise *layer, const int8_t *input, int32_t y0,
                                           int32_t x0, TN_FLASH int8_t *weights, uint32_t sum)
{
    const struct tn_window *const w = &layer->window;
    const int8_t outside = (int8_t)layer->padding;

    for (int32_t i = 0, y = y0; i < w->height; i++, y += w->dilation_y) {
        const int32_t within = y >= 0 && y < w->in_height;
        const int8_t *const row = within ? input + y * w->in_width * w->channels : input;
        const uint32_t columns = within ? (uint32_t)w->in_width : 0;
        int32_t x = x0;

        for (int32_t j = 0; j < w->width; j++, x += w->dilation_x) {
            sum += (uint32_t)(*tn_depthwise_tap(row, x, columns, w->channels, &outside) * *weights++);
        }
    }
    return sum;
}

/* `y0`, `x0` place the window's first tap in the input. */
TN_FOLDED void tn_depthwise_pixel(const struct tn_depthwise *layer, int32_t plain, const int8_t *input, int32_t y0,
                                      int32_t x0, int8_t *restrict output, TN_FLASH int8_t *restrict weights,
                                      TN_FLASH int32_t *restrict bias, TN_FLASH int32_t *restrict multipliers,
                                      TN_FLASH int8_t *restrict shifts)
{
    const struct tn_window *const w = &layer->window;
    const int32_t taps = w->height * w->width, whole = 4 * layer->quads, step = layer->rescale.step;
    const int32_t inside = y0 >= 0 && y0 + (w->height - 1) * w->dilation_y < w->in_height && x0 >= 0 &&
                           x0 + (w->width - 1) * w->dilation_x < w->in_width;

    for (int32_t channel = 0; channel < whole; channel += 4, weights += 4 * taps) {
        uint32_t sums[4];

        for (int32_t i = 0; i < 4; i++) {
            sums[i] = (uint32_t)*bias++;
        }
        if (!inside) {
            tn_depthwise_edge(layer, input + channel, y0, x0, weights, sums);
        } else if (w->height == 3 && w->width == 3) {
            tn_depthwise_inside(w, 3, 3, input + (y0 * w->in_width + x0) * w->channels + channel, weights, sums);
        } else {
            tn_depthwise_inside(w, w->height, w->width, input + (y0 * w->in_width + x0) * w->channels + channel,
                                weights, sums);
        }
        for (int32_t i = 0; i < 4; i++, multipliers += step, shifts += step) {
            *output++ = tn_rescale(&layer->rescale, plain, sums[i], *multipliers, *shifts);
        }
    }
    for (int32_t channel = whole; channel < layer->channels; channel++, multipliers += step, shifts += step) {
        const int8_t *const source = input + channel / layer->multiplier;
        const uint32_t sum = tn_depthwise_single(layer, source, y0, x0, weights, (uint32_t)*bias++);

        *output++ = tn_rescale(&layer->rescale, plain, sum, *multipliers, *shifts);
        weights += taps;
    }
}

TN_FOLDED void tn_depthwise(const struct tn_depthwise *layer, int32_t plain, const int8_t *input, int8_t *output,
                                TN_FLASH int8_t *weights, TN_FLASH int32_t *bias, TN_FLASH int32_t *multipliers,
                                TN_FLASH int8_t *shifts)
{
    const struct tn_window *const w = &layer->window;

    for (int32_t y = 0; y < w->out_height; y++) {
        for (int32_t x = 0; x < w->out_width; x++) {
            tn_depthwise_pixel(layer, plain, input, y * w->stride_y - w->pad_top, x * w->stride_x - w->pad_left,
                               output, weights, bias, multipliers, shifts);
            output += layer->channels;
        }
    }
}

#endif
