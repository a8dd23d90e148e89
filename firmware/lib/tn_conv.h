/* CONV_2D: each output pixel's patch of the input, times all output channels, two pixels at a time.
 *
 * A patch that is not contiguous in the input, or that reaches over its edge, is gathered into scratch memory first:
 * the copy costs about one instruction per value and output pixel, and the multiplications then need no bounds.
 * Beyond the edge lies the input's zero point, which the folded bias cancels exactly.
 */
#ifndef TN_CONV_H
#define TN_CONV_H

#include <string.h>

#include "tn_add_linear.h"
#include "tn_matmul.h"
#include "tn_window.h"

struct tn_conv {
    struct tn_window window;
    int32_t contiguous; /* 1: every patch lies in the input as it is */
    int32_t padding;    /* the input's zero point */
    struct tn_matmul matmul;
};

/* One row of a patch, `x` being its first column in the input. */
TN_FOLDED void tn_conv_row(const struct tn_conv *layer, const int8_t *row, int32_t x, int8_t *patch)
{
    const struct tn_window *const w = &layer->window;

    if (w->dilation_x == 1) {
        const int32_t before = tn_min(tn_max(-x, 0), w->width);
        const int32_t after = tn_min(tn_max(x + w->width - w->in_width, 0), w->width - before);
        const int32_t inside = w->width - before - after;

        memset(patch, (int)layer->padding, (size_t)(before * w->channels));
        memcpy(patch + before * w->channels, row + (x + before) * w->channels, (size_t)(inside * w->channels));
        memset(patch + (before + inside) * w->channels, (int)layer->padding, (size_t)(after * w->channels));
        return;
    }
    for (int32_t i = 0; i < w->width; i++, x += w->dilation_x, patch += w->channels) {
        if (x < 0 || x >= w->in_width) {
            memset(patch, (int)layer->padding, (size_t)w->channels);
        } else {
            memcpy(patch, row + x * w->channels, (size_t)w->channels);
        }
    }
}

/* The patch of the output pixel with number `pixel`, in `scratch` unless it lies in the input as it is. */
TN_FOLDED const int8_t *tn_conv_patch(const struct tn_conv *layer, const int8_t *input, int32_t pixel,
                                          int8_t *scratch)
{
    const struct tn_window *const w = &layer->window;
    const int32_t row_size = w->in_width * w->channels;
    const int32_t out_y = pixel / w->out_width;
    const int32_t x = (pixel - out_y * w->out_width) * w->stride_x - w->pad_left;
    int32_t y = out_y * w->stride_y - w->pad_top;

    if (layer->contiguous) {
        return input + y * row_size + x * w->channels;
    }
    for (int32_t i = 0; i < w->height; i++, y += w->dilation_y) {
        int8_t *const patch = scratch + i * w->width * w->channels;

        if (y < 0 || y >= w->in_height) {
            memset(patch, (int)layer->padding, (size_t)(w->width * w->channels));
        } else {
            tn_conv_row(layer, input + y * row_size, x, patch);
        }
    }
    return scratch;
}

/* scratch: two patches, or one where there is one output pixel, or none where patches are contiguous. With an `addition`,
 * two pixels of output are written to `sums`, and added to `residual` from there. */
TN_FOLDED void tn_conv_pixels(const struct tn_conv *layer, const struct tn_add_linear *addition, int32_t plain,
                              const int8_t *input, const int8_t *residual, int8_t *output, int8_t *scratch, int8_t *sums,
                              TN_FLASH int8_t *weights, TN_FLASH int32_t *bias, TN_FLASH int32_t *multipliers,
                              TN_FLASH int8_t *shifts)
{
    const int32_t pixels = layer->window.out_height * layer->window.out_width, channels = layer->matmul.channels;

    for (int32_t pixel = 0, count; pixel < pixels; pixel += count) {
        const int8_t *const a = tn_conv_patch(layer, input, pixel, scratch);
        int8_t *const to = addition ? sums : output;

        count = pixels - pixel >= 2 ? 2 : 1;
        if (count == 2) {
            const int8_t *const b = tn_conv_patch(layer, input, pixel + 1, scratch + layer->matmul.depth);

            tn_matmul_2(&layer->matmul, plain, a, b, to, weights, bias, multipliers, shifts);
        } else {
            tn_matmul_1(&layer->matmul, plain, a, to, weights, bias, multipliers, shifts);
        }
        if (addition) {
            tn_add_linear_some(addition, 0, count * channels, sums, residual, output);
            residual += count * channels;
        }
        output += count * channels;
    }
}

TN_FOLDED void tn_conv(const struct tn_conv *layer, int32_t plain, const int8_t *input, int8_t *output, int8_t *scratch,
                       TN_FLASH int8_t *weights, TN_FLASH int32_t *bias, TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)
{
    tn_conv_pixels(layer, NULL, plain, input, NULL, output, scratch, NULL, weights, bias, multipliers, shifts);
}

#endif
