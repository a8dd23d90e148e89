/* A window that slides over an image (height, width, channels): convolutions and pooling share its geometry. */
#ifndef TN_WINDOW_H
#define TN_WINDOW_H

#include "tn_compiler.h"

struct tn_window {
    int32_t in_height;
    int32_t in_width;
    int32_t channels; /* of the input */
    int32_t out_height;
    int32_t out_width;
    int32_t height;
    int32_t width;
    int32_t stride_y;
    int32_t stride_x;
    int32_t dilation_y;
    int32_t dilation_x;
    int32_t pad_top;
    int32_t pad_left;
};

static inline int32_t tn_max(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static inline int32_t tn_min(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* An output pixel: where its window's first tap lies in the input, and its column in the output. */
struct tn_spot {
    int32_t y;
    int32_t x;
    int32_t column;
};

static inline struct tn_spot tn_first_spot(const struct tn_window *w)
{
    return (struct tn_spot){-w->pad_top, -w->pad_left, 0};
}

TN_FOLDED void tn_next_spot(const struct tn_window *w, struct tn_spot *spot)
{
    spot->x += w->stride_x;
    if (++spot->column == w->out_width) {
        spot->column = 0;
        spot->x = -w->pad_left;
        spot->y += w->stride_y;
    }
}

static inline int32_t tn_is_inside(const struct tn_window *w, int32_t y, int32_t x)
{
    return y >= 0 && y + (w->height - 1) * w->dilation_y < w->in_height && x >= 0 &&
           x + (w->width - 1) * w->dilation_x < w->in_width;
}

#endif
