/* RESIZE_NEAREST_NEIGHBOR: which input row and column each output pixel takes is known offline. */
#ifndef TN_RESIZE_NEAREST_H
#define TN_RESIZE_NEAREST_H

#include <string.h>

#include "tn_compiler.h"

struct tn_resize_nearest {
    int32_t in_width;
    int32_t channels;
    int32_t out_height;
    int32_t out_width;
};

TN_FOLDED void tn_resize_nearest(const struct tn_resize_nearest *layer, const int8_t *input, int8_t *output,
                                     const int32_t *rows, const int32_t *columns)
{
    for (int32_t y = 0; y < layer->out_height; y++) {
        const int8_t *const row = input + rows[y] * layer->in_width * layer->channels;

        for (int32_t x = 0; x < layer->out_width; x++) {
            memcpy(output, row + columns[x] * layer->channels, (size_t)layer->channels);
            output += layer->channels;
        }
    }
}

#endif
