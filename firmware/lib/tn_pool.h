/* AVERAGE_POOL_2D and MAX_POOL_2D. Pixels beyond the input's edge do not count. */
#ifndef TN_POOL_H
#define TN_POOL_H

#include "tn_fixed_point.h"
#include "tn_types.h"
#include "tn_window.h"

struct tn_pool {
    struct tn_window window;
    int32_t low;
    int32_t high;
};

/* sum / count with halves away from zero. */
static inline int32_t tn_rounded_quotient(int32_t sum, int32_t count)
{
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
}

/* All channels of one output pixel; the window is `rows` x `columns` pixels from `input` on. */
TN_FOLDED void tn_average_pool_typed(const struct tn_pool *layer, int32_t type, const int8_t *input, int32_t rows,
                                     int32_t columns, int8_t *output)
{
    const struct tn_window *const w = &layer->window;
    const int32_t bytes = tn_value_bytes(type);

    for (int32_t channel = 0; channel < w->channels; channel++) {
        const int8_t *row = input + channel * bytes;
        int32_t sum = 0;

        for (int32_t i = 0; i < rows; i++, row += w->in_width * w->channels * bytes) {
            for (int32_t j = 0; j < columns; j++) {
                sum += tn_load_value(type, row, j * w->channels);
            }
        }
        tn_put_value(type, output, channel, tn_limit(tn_rounded_quotient(sum, rows * columns), layer->low, layer->high));
    }
}

#if defined __ARM_FEATURE_MVE && __ARM_FEATURE_MVE && defined __GNUC__

/* Sums over the window of up to four channels, the first of which is at `input`. */
TN_FOLDED void tn_pool_sums(const struct tn_window *w, const int8_t *input, int32_t rows, int32_t columns,
                            int32_t channels, int32_t *sums)
{
    const int8_t *pixel;

    __asm__ volatile("vctp.32 %[channels]\n"
                     "vmov.i32 q0, #0\n"
                     "1:\n"
                     "mov %[pixel], %[row]\n"
                     "dls lr, %[columns]\n"
                     "2:\n"
                     "vpst\n"
                     "vldrbt.s32 q1, [%[pixel]]\n"
                     "add %[pixel], %[pixel], %[step]\n"
                     "vadd.i32 q0, q0, q1\n"
                     "le lr, 2b\n"
                     "add %[row], %[row], %[pitch]\n"
                     "subs %[rows], %[rows], #1\n"
                     "bne 1b\n"
                     "vstrw.32 q0, [%[sums]]\n"
                     : [pixel] "=&l"(pixel), [row] "+&r"(input), [rows] "+&r"(rows)
                     : [channels] "r"(channels), [columns] "r"(columns), [step] "r"(w->channels),
                       [pitch] "r"(w->in_width * w->channels), [sums] "r"(sums)
                     : "lr", "q0", "q1", "cc", "memory");
}

/* All channels of one output pixel; the window is `rows` x `columns` pixels from `input` on. */
TN_FOLDED void tn_average_pool_pixel(const struct tn_pool *layer, const int8_t *input, int32_t rows,
                                         int32_t columns, int8_t *output)
{
    const struct tn_window *const w = &layer->window;

    for (int32_t channel = 0; channel < w->channels; channel += 4) {
        const int32_t channels = tn_min(w->channels - channel, 4);
        int32_t sums[4];

        tn_pool_sums(w, input + channel, rows, columns, channels, sums);
        for (int32_t i = 0; i < channels; i++) {
            output[channel + i] = tn_clamp(tn_rounded_quotient(sums[i], rows * columns), layer->low, layer->high);
        }
    }
}

#else

/* All channels of one output pixel; the window is `rows` x `columns` pixels from `input` on. */
TN_FOLDED void tn_average_pool_pixel(const struct tn_pool *layer, const int8_t *input, int32_t rows, int32_t columns,
                                     int8_t *output)
{
    tn_average_pool_typed(layer, TN_INT8, input, rows, columns, output);
}

#endif

TN_FOLDED void tn_average_pool_16_pixel(const struct tn_pool *layer, const int8_t *input, int32_t rows, int32_t columns,
                                        int8_t *output)
{
    tn_average_pool_typed(layer, TN_INT16, input, rows, columns, output);
}

TN_FOLDED void tn_max_pool_typed(const struct tn_pool *layer, int32_t type, const int8_t *input, int32_t rows,
                                 int32_t columns, int8_t *output)
{
    const struct tn_window *const w = &layer->window;
    const int32_t bytes = tn_value_bytes(type);

    for (int32_t channel = 0; channel < w->channels; channel++) {
        const int8_t *row = input + channel * bytes;
        int32_t largest = INT16_MIN;

        for (int32_t i = 0; i < rows; i++, row += w->in_width * w->channels * bytes) {
            for (int32_t j = 0; j < columns; j++) {
                largest = tn_max(largest, tn_load_value(type, row, j * w->channels));
            }
        }
        tn_put_value(type, output, channel, tn_limit(largest, layer->low, layer->high));
    }
}

TN_FOLDED void tn_max_pool_pixel(const struct tn_pool *layer, const int8_t *input, int32_t rows, int32_t columns,
                                 int8_t *output)
{
    tn_max_pool_typed(layer, TN_INT8, input, rows, columns, output);
}

TN_FOLDED void tn_max_pool_16_pixel(const struct tn_pool *layer, const int8_t *input, int32_t rows, int32_t columns,
                                    int8_t *output)
{
    tn_max_pool_typed(layer, TN_INT16, input, rows, columns, output);
}

/* bytes: of a value. */
TN_FOLDED void tn_pool_each(const struct tn_pool *layer, int32_t bytes, const int8_t *input, int8_t *output,
                            void (*pool)(const struct tn_pool *, const int8_t *, int32_t, int32_t, int8_t *))
{
    const struct tn_window *const w = &layer->window;

    for (int32_t i = 0; i < w->out_height; i++) {
        const int32_t y = i * w->stride_y - w->pad_top;
        const int32_t top = tn_max(y, 0);
        const int32_t rows = tn_min(y + w->height, w->in_height) - top;

        for (int32_t j = 0; j < w->out_width; j++, output += w->channels * bytes) {
            const int32_t x = j * w->stride_x - w->pad_left;
            const int32_t left = tn_max(x, 0);
            const int32_t columns = tn_min(x + w->width, w->in_width) - left;

            pool(layer, input + (top * w->in_width + left) * w->channels * bytes, rows, columns, output);
        }
    }
}

TN_FOLDED void tn_average_pool(const struct tn_pool *layer, const int8_t *input, int8_t *output)
{
    tn_pool_each(layer, 1, input, output, tn_average_pool_pixel);
}

TN_FOLDED void tn_average_pool_16(const struct tn_pool *layer, const int8_t *input, int8_t *output)
{
    tn_pool_each(layer, 2, input, output, tn_average_pool_16_pixel);
}

TN_FOLDED void tn_max_pool(const struct tn_pool *layer, const int8_t *input, int8_t *output)
{
    tn_pool_each(layer, 1, input, output, tn_max_pool_pixel);
}

TN_FOLDED void tn_max_pool_16(const struct tn_pool *layer, const int8_t *input, int8_t *output)
{
    tn_pool_each(layer, 2, input, output, tn_max_pool_16_pixel);
}

#endif
