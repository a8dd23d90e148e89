/* A window that slides over an image (height, width, channels): convolutions and pooling share its geometry. */
#ifndef TN_WINDOW_H
#define TN_WINDOW_H

#include <stdint.h>

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

#endif
