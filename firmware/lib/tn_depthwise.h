/* DEPTHWISE_CONV_2D: each channel with a filter of its own, four channels at a time.
 *
 * weights: for every four channels [tap][4], then for each remaining channel [tap]. Taps beyond the input's edge read
 * the input's zero point, which the folded bias cancels exactly; whether a tap lies inside is asked once for four
 * channels, and not at all where the whole window does.
 */
#ifndef TN_DEPTHWISE_H
#define TN_DEPTHWISE_H

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

/* Adds the taps of four channels; `input` is the window's first pixel at the first channel. */
static inline void tn_depthwise_quad_inside(const struct tn_window *w, const int8_t *input, const int8_t *weights,
                                            uint32_t *sums)
{
    const int32_t step_x = w->dilation_x * w->channels;
    const int32_t step_y = w->dilation_y * w->in_width * w->channels;
    uint32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];

    for (int32_t i = 0; i < w->height; i++, input += step_y) {
        const int8_t *x = input;

        for (int32_t j = 0; j < w->width; j++, x += step_x, weights += 4) {
            s0 += (uint32_t)(x[0] * weights[0]);
            s1 += (uint32_t)(x[1] * weights[1]);
            s2 += (uint32_t)(x[2] * weights[2]);
            s3 += (uint32_t)(x[3] * weights[3]);
        }
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

/* The same for `count` <= 4 channels where part of the window lies outside; `y0`, `x0` place its first tap. */
static inline void tn_depthwise_edge(const struct tn_depthwise *layer, const int8_t *input, int32_t y0, int32_t x0,
                                     const int8_t *weights, int32_t count, uint32_t *sums)
{
    const struct tn_window *const w = &layer->window;
    const int8_t padding = (int8_t)layer->padding;
    const int8_t outside[4] = {padding, padding, padding, padding};

    for (int32_t i = 0; i < w->height; i++) {
        const int32_t y = y0 + i * w->dilation_y;

        for (int32_t j = 0; j < w->width; j++, weights += count) {
            const int32_t x = x0 + j * w->dilation_x;
            const int32_t inside = y >= 0 && y < w->in_height && x >= 0 && x < w->in_width;
            const int8_t *const tap = inside ? input + (y * w->in_width + x) * w->channels : outside;

            for (int32_t k = 0; k < count; k++) {
                sums[k] += (uint32_t)(tap[k] * weights[k]);
            }
        }
    }
}

static inline void tn_depthwise_pixel(const struct tn_depthwise *layer, const int8_t *input, int32_t y0, int32_t x0,
                                      int8_t *output, const int8_t *weights, const int32_t *bias,
                                      const int32_t *multipliers, const int8_t *shifts)
{
    const struct tn_window *const w = &layer->window;
    const int32_t taps = w->height * w->width;
    const int32_t inside = y0 >= 0 && y0 + (w->height - 1) * w->dilation_y < w->in_height && x0 >= 0 &&
                           x0 + (w->width - 1) * w->dilation_x < w->in_width;

    for (int32_t channel = 0; channel < 4 * layer->quads; channel += 4, weights += 4 * taps) {
        uint32_t sums[4];

        for (int32_t i = 0; i < 4; i++) {
            sums[i] = (uint32_t)bias[channel + i];
        }
        if (inside) {
            tn_depthwise_quad_inside(w, input + (y0 * w->in_width + x0) * w->channels + channel, weights, sums);
        } else {
            tn_depthwise_edge(layer, input + channel, y0, x0, weights, 4, sums);
        }
        for (int32_t i = 0; i < 4; i++) {
            output[channel + i] = tn_rescale(&layer->rescale, sums[i], multipliers, shifts, channel + i);
        }
    }
    for (int32_t channel = 4 * layer->quads; channel < layer->channels; channel++, weights += taps) {
        uint32_t sum = (uint32_t)bias[channel];

        tn_depthwise_edge(layer, input + channel / layer->multiplier, y0, x0, weights, 1, &sum);
        output[channel] = tn_rescale(&layer->rescale, sum, multipliers, shifts, channel);
    }
}

static inline void tn_depthwise(const struct tn_depthwise *layer, const int8_t *input, int8_t *output,
                                const int8_t *weights, const int32_t *bias, const int32_t *multipliers,
                                const int8_t *shifts)
{
    const struct tn_window *const w = &layer->window;

    for (int32_t y = 0; y < w->out_height; y++) {
        for (int32_t x = 0; x < w->out_width; x++) {
            tn_depthwise_pixel(layer, input, y * w->stride_y - w->pad_top, x * w->stride_x - w->pad_left, output,
                               weights, bias, multipliers, shifts);
            output += layer->channels;
        }
    }
}

#endif
