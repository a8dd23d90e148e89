/* RESIZE_BILINEAR: four neighbours, weighted in units of 1/1024 along both dimensions.
 *
 * lines, columns: for each row or column of the output the neighbours before and after, and the weight of the latter,
 * which is negative where the output begins before the input.
 */
#ifndef TN_RESIZE_BILINEAR_H
#define TN_RESIZE_BILINEAR_H

#include "tn_compiler.h"

struct tn_resize_bilinear {
    int32_t in_width;
    int32_t out_height;
    int32_t out_width;
    int32_t channels;
};

#define TN_BILINEAR_ONE ((int32_t)1024)

/* To the nearest, halves away from zero. */
static inline int8_t tn_bilinear_round(int32_t sum)
{
    const int32_t half = TN_BILINEAR_ONE * TN_BILINEAR_ONE / 2;

    return (int8_t)((sum + (sum > 0 ? half : -half)) / (2 * half));
}

TN_FOLDED void tn_resize_bilinear(const struct tn_resize_bilinear *layer, const int8_t *input, int8_t *output,
                                      const int32_t *lines, const int32_t *columns)
{
    const int32_t channels = layer->channels, row = layer->in_width * channels;

    for (int32_t y = 0; y < layer->out_height; y++, lines += 3) {
        const int8_t *const above = input + lines[0] * row, *const below = input + lines[1] * row;
        const int32_t *column = columns;

        for (int32_t x = 0; x < layer->out_width; x++, column += 3) {
            const int32_t left = column[0] * channels, right = column[1] * channels;

            for (int32_t c = 0; c < channels; c++) {
                const int32_t top =
                    above[left + c] * (TN_BILINEAR_ONE - column[2]) + above[right + c] * column[2];
                const int32_t bottom =
                    below[left + c] * (TN_BILINEAR_ONE - column[2]) + below[right + c] * column[2];

                *output++ = tn_bilinear_round(top * (TN_BILINEAR_ONE - lines[2]) + bottom * lines[2]);
            }
        }
    }
}

#endif
