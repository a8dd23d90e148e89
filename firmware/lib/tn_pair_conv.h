/* CONV_2D with packed pairs of channels: three output pixels at a time, their patches staged as halves.
 *
 * Outputs are written in ascending order, three pixels after their patches were staged. Beyond the edge lies the input's
 * zero point, which the folded bias cancels exactly.
 */
#ifndef TN_PAIR_CONV_H
#define TN_PAIR_CONV_H

#include "tn_pair.h"
#include "tn_window.h"

struct tn_pair_conv {
    struct tn_window window;
    int32_t padding; /* the input's zero point */
    struct tn_pair matmul;
};

/* `count` times the padding as staged halves. */
TN_FOLDED int8_t *tn_stage_padding(int32_t padding, int32_t count, int8_t *to, int32_t stride)
{
    const uint32_t half = (uint32_t)padding & 0xFFFFu;

    for (int32_t i = 0; i < count; i += 2, to += 4 * stride) {
        tn_store4(to, half | half << 16);
    }
    return to;
}

/* The patch whose first pixel in the input is (y, x), where each row's bytes and channels are whole quads. */
static inline void tn_pair_stage_quads(const struct tn_pair_conv *layer, const int8_t *input, int32_t y, int32_t x,
                                       int8_t *to, int32_t stride)
{
    const struct tn_window *const w = &layer->window;
    const int32_t before = tn_min(tn_max(-x, 0), w->width);
    const int32_t after = tn_min(tn_max(x + w->width - w->in_width, 0), w->width - before);
    const int32_t inside = (w->width - before - after) * w->channels;
    const int8_t *row = input + (y * w->in_width + x + before) * w->channels;

    for (int32_t i = 0; i < w->height; i++, y += w->dilation_y, row += w->dilation_y * w->in_width * w->channels) {
        if (y < 0 || y >= w->in_height) {
            to = tn_stage_padding(layer->padding, w->width * w->channels, to, stride);
        } else {
            to = tn_stage_padding(layer->padding, before * w->channels, to, stride);
            to = tn_stage(row, inside, to, stride);
            to = tn_stage_padding(layer->padding, after * w->channels, to, stride);
        }
    }
}

/* Any patch: its bytes are gathered one after the other, then staged. */
static inline void tn_pair_stage_bytes(const struct tn_pair_conv *layer, const int8_t *input, int32_t y, int32_t x,
                                       int8_t *to, int32_t stride, int8_t *bytes)
{
    const struct tn_window *const w = &layer->window;
    int8_t *next = bytes;

    for (int32_t i = 0; i < w->height; i++, y += w->dilation_y) {
        const int32_t rows = y >= 0 && y < w->in_height;

        for (int32_t j = 0, column = x; j < w->width; j++, column += w->dilation_x) {
            const int8_t *from = input + (y * w->in_width + column) * w->channels;

            if (rows && column >= 0 && column < w->in_width) {
                for (int32_t c = 0; c < w->channels; c++) {
                    *next++ = *from++;
                }
            } else {
                for (int32_t c = 0; c < w->channels; c++) {
                    *next++ = (int8_t)layer->padding;
                }
            }
        }
    }
    tn_stage(bytes, (int32_t)(next - bytes), to, stride);
}

/* scratch: three staged patches, and behind them, unless `quads`, the bytes of one. */
TN_FOLDED void tn_pair_conv(const struct tn_pair_conv *layer, int32_t variant, int32_t quads, const int8_t *input,
                            int8_t *output, int8_t *scratch, const int8_t *weights, const int32_t *records)
{
    const struct tn_window *const w = &layer->window;
    const int32_t pixels = w->out_height * w->out_width, channels = layer->matmul.channels;
    int32_t x = -w->pad_left, y = -w->pad_top, column = 0;

    for (int32_t pixel = 0; pixel < pixels; pixel += 3, output += 3 * channels) {
        const int32_t last = tn_min(2, pixels - 1 - pixel);

        for (int32_t i = 0; i < 3; i++) {
            if (quads) {
                tn_pair_stage_quads(layer, input, y, x, scratch + 4 * i, 3);
            } else {
                tn_pair_stage_bytes(layer, input, y, x, scratch + 4 * i, 3, scratch + 6 * layer->matmul.depth);
            }
            if (i < last) {
                x += w->stride_x;
                if (++column == w->out_width) {
                    column = 0, x = -w->pad_left, y += w->stride_y;
                }
            }
        }
        x += w->stride_x;
        if (++column == w->out_width) {
            column = 0, x = -w->pad_left, y += w->stride_y;
        }
        tn_pair_matmul_3(&layer->matmul, variant, scratch, output, tn_min(last, 1) * channels, last * channels, weights,
                         records);
    }
}

/* One function for each form, shared by all layers that need it. */
#define TN_PAIR_CONV(name, variant, quads)                                                                                \
    TN_APART void name(const struct tn_pair_conv *layer, const int8_t *input, int8_t *output, int8_t *scratch,           \
                       const int8_t *weights, const int32_t *records)                                                    \
    {                                                                                                                    \
        tn_pair_conv(layer, variant, quads, input, output, scratch, weights, records);                                   \
    }

TN_PAIR_CONV(tn_pair_conv_relu, TN_REQUANTIZE_RELU, 1)
TN_PAIR_CONV(tn_pair_conv_signed, TN_REQUANTIZE_SIGNED, 1)
TN_PAIR_CONV(tn_pair_conv_clamped, TN_REQUANTIZE_CLAMPED, 1)
TN_PAIR_CONV(tn_pair_conv_bytes_relu, TN_REQUANTIZE_RELU, 0)
TN_PAIR_CONV(tn_pair_conv_bytes_signed, TN_REQUANTIZE_SIGNED, 0)
TN_PAIR_CONV(tn_pair_conv_bytes_clamped, TN_REQUANTIZE_CLAMPED, 0)

#endif
