/* TRANSPOSE_CONV: each output pixel sums the input pixels whose windows, set `stride` apart, reach it. */
#ifndef TN_TRANSPOSE_CONV_H
#define TN_TRANSPOSE_CONV_H

#include "tn_fixed_point.h"

struct tn_transpose_conv {
    int32_t in_height;
    int32_t in_width;
    int32_t in_channels;
    int32_t out_height;
    int32_t out_width;
    int32_t channels; /* of the output */
    int32_t height;   /* of the window */
    int32_t width;
    int32_t stride_y;
    int32_t stride_x;
    int32_t pad_top;
    int32_t pad_left;
    int32_t in_zero_point;
    struct tn_rescale rescale;
};

/* Which row or column of the input the window's tap at `tap` brings to the output's at `out`; below 0 where none. */
static inline int32_t tn_transposed(int32_t out, int32_t tap, int32_t pad, int32_t stride, int32_t size)
{
    const int32_t at = out + pad - tap;

    return at >= 0 && at % stride == 0 && at / stride < size ? at / stride : -1;
}

/* weights: (height, width, in_channels) of one output channel. */
static inline uint32_t tn_transpose_conv_sum(const struct tn_transpose_conv *p, const int8_t *input, int32_t out_y,
                                             int32_t out_x, TN_FLASH int8_t *weights, uint32_t sum)
{
    for (int32_t i = 0; i < p->height; i++) {
        const int32_t y = tn_transposed(out_y, i, p->pad_top, p->stride_y, p->in_height);

        for (int32_t j = 0; j < p->width; j++, weights += p->in_channels) {
            const int32_t x = tn_transposed(out_x, j, p->pad_left, p->stride_x, p->in_width);

            if (y < 0 || x < 0) {
                continue;
            }
            const int8_t *const pixel = input + (y * p->in_width + x) * p->in_channels;

            for (int32_t c = 0; c < p->in_channels; c++) {
                sum += (uint32_t)((pixel[c] - p->in_zero_point) * weights[c]);
            }
        }
    }
    return sum;
}

TN_FOLDED void tn_transpose_conv(const struct tn_transpose_conv *p, const int8_t *input, int8_t *output,
                                     TN_FLASH int8_t *weights, TN_FLASH int32_t *bias, TN_FLASH int32_t *multipliers,
                                     TN_FLASH int8_t *shifts)
{
    const int32_t taps = p->height * p->width * p->in_channels, step = p->rescale.step;

    for (int32_t y = 0; y < p->out_height; y++) {
        for (int32_t x = 0; x < p->out_width; x++) {
            for (int32_t c = 0; c < p->channels; c++) {
                const uint32_t sum = tn_transpose_conv_sum(p, input, y, x, weights + c * taps, (uint32_t)bias[c]);

                *output++ = tn_rescale(&p->rescale, 0, sum, multipliers[c * step], shifts[c * step]);
            }
        }
    }
}

#endif
