/* DEPTHWISE_CONV_2D with a window of 3x3 and stride 1 or 2, on a CPU with DSP instructions.
 *
 * Four channels at a time, one strip of columns after another: the strip's inputs, 8 columns in the narrow form and 16 in
 * the wide one, are staged as planes (tn_planes.h), then each channel is computed with its weights in registers. A strip
 * hands its last pair of columns on to the next, so nothing is read from the image after outputs may lie there: the
 * output may overwrite the input.
 */
#ifndef TN_DEPTHWISE_3X3_H
#define TN_DEPTHWISE_3X3_H

#include "tn_strip_3x3.h"

/* The output's zero point and lower clamp are -128, the upper clamp is 127; there are two rows of outputs at least. */
struct tn_depthwise_3x3 {
    struct tn_planes planes;
    int32_t stride;
};

typedef void tn_strip_function(const struct tn_strip_3x3 *strip, const uint32_t *plane, int8_t *output,
                               TN_FLASH int8_t *weights, int32_t bias, int32_t multiplier, int32_t scale);
typedef void tn_stage_function(const struct tn_planes *planes, const int8_t *input, int32_t count, int32_t column,
                               int32_t words, uint32_t *to);
typedef void tn_exact_function(const struct tn_strip_3x3 *strip, int32_t pitch, int32_t stride, const uint32_t *plane,
                               int8_t *output, TN_FLASH int8_t *weights, int32_t bias, int32_t multiplier, int32_t shift);

/* pitch: words in a row of a plane, for which `stage` is made; then by stride, 1 and 2: columns of outputs in a strip, and
 * what computes them for shifts from 3 to 9, from 10 to 16, and for all others. Without the last two, every channel has a
 * shift from 3 to 9. */
struct tn_form_3x3 {
    int32_t pitch;
    tn_stage_function *stage;
    int32_t width[2];
    tn_strip_function *near[2];
    tn_strip_function *far[2];
    tn_exact_function *exact;
};

/* A pair of columns of `count` rows. `left`, `right`: literals, whether that column is inside the image. */
TN_FOLDED void tn_stage_3x3(const int8_t *from, const struct tn_planes *planes, int32_t pitch, int32_t count,
                            int32_t left, int32_t right, uint32_t *to)
{
    const uint32_t outside = (uint32_t)(uint8_t)planes->padding * 0x01010101u;
    const int32_t row_step = planes->row_step, column_step = planes->column_step;

    if (left && right) {
        TN_UNROLL_2
        for (; count > 0; count--, from += row_step, to += 4 * pitch) {
            tn_planes_store(tn_load4(from), tn_load4(from + column_step), to, pitch);
        }
        return;
    }
    for (; count > 0; count--, from += row_step, to += 4 * pitch) {
        tn_planes_store(left ? tn_load4(from) : outside, right ? tn_load4(from + column_step) : outside, to, pitch);
    }
}

/* `words` pairs of columns from `column` on, of the image's first `count` rows. pitch: a literal. */
TN_FOLDED void tn_stage_strip(const struct tn_planes *planes, int32_t pitch, const int8_t *input, int32_t count,
                              int32_t column, int32_t words, uint32_t *to)
{
    input += column * planes->column_step;
    for (; words > 0; words--, column += 2, input += 2 * planes->column_step, to++) {
        if (column < 0) {
            tn_stage_3x3(input, planes, pitch, count, 0, 1, to);
        } else if (column + 1 < planes->columns) {
            tn_stage_3x3(input, planes, pitch, count, 1, 1, to);
        } else if (column < planes->columns) {
            tn_stage_3x3(input, planes, pitch, count, 1, 0, to);
        } else {
            for (int32_t i = 0; i < 4 * pitch * count; i += pitch) {
                to[i] = tn_planes_padding(planes);
            }
        }
    }
}

TN_APART void tn_stage_strip_4(const struct tn_planes *planes, const int8_t *input, int32_t count, int32_t column,
                               int32_t words, uint32_t *to)
{
    tn_stage_strip(planes, 4, input, count, column, words, to);
    TN_WRITTEN();
}

TN_APART void tn_stage_strip_8(const struct tn_planes *planes, const int8_t *input, int32_t count, int32_t column,
                               int32_t words, uint32_t *to)
{
    tn_stage_strip(planes, 8, input, count, column, words, to);
    TN_WRITTEN();
}

/* A pair of columns becomes the first. */
TN_FOLDED void tn_carry_3x3(uint32_t *staged, int32_t pitch, int32_t rows, int32_t pair)
{
    const uint32_t *from = staged + pair;

    for (; rows > 0; rows--, staged += 4 * pitch, from += 4 * pitch) {
        staged[0 * pitch] = from[0 * pitch];
        staged[1 * pitch] = from[1 * pitch];
        staged[2 * pitch] = from[2 * pitch];
        staged[3 * pitch] = from[3 * pitch];
    }
}

TN_APART void tn_depthwise_strips(const struct tn_depthwise_3x3 *layer, const struct tn_form_3x3 *form,
                                  const int8_t *input, int8_t *output, int8_t *scratch, TN_FLASH int8_t *weights,
                                  TN_FLASH int32_t *bias, TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)
{
    const struct tn_planes *const planes = &layer->planes;
    uint32_t *const staged = (uint32_t *)(void *)scratch;
    const int32_t stride = layer->stride, rows = (planes->out_rows - 1) * stride + 3, channels = planes->channels;
    const int32_t inside = tn_min(planes->rows, rows - planes->pad_rows), pitch = form->pitch;
    const int32_t width = form->width[stride - 1];
    tn_strip_function *const near = form->near[stride - 1];
    struct tn_strip_3x3 strip = {planes->out_column_step, planes->out_row_step, planes->out_rows, 0};

    /* Rows outside the image stay as they are from here on, and so do words that the only strip leaves out. */
    tn_planes_fill(planes, staged, 4 * pitch * rows);
    for (int32_t group = 0; group < channels; group += 4) {
        /* The last four channels may have been computed in part; then the output may lie over them already. */
        const int32_t first = tn_min(group, channels - 4);

        for (int32_t x = 0; x < planes->out_columns; x += width) {
            const int32_t again = x > 0, column = x * stride - planes->pad_columns + 2 * again;
            uint32_t *const top = staged + planes->pad_rows * 4 * pitch + again;
            int32_t words;

            strip.columns = tn_min(width, planes->out_columns - x);
            words = (stride * (strip.columns - 1) + 4) / 2 - again;
            if (again) {
                tn_carry_3x3(staged, pitch, rows, width * stride / 2);
            } else {
                words = tn_min(words, (planes->columns - column + 1) / 2);
            }
            form->stage(planes, input + first, inside, column, words, top);
            const uint32_t *plane = staged + (group - first) * pitch;
            int8_t *to = output + x * planes->out_column_step + group;

            for (int32_t c = group; c < first + 4; c++, plane += pitch, to++) {
                const int8_t *const nine = weights + 9 * c;
                const int32_t shift = -shifts[c];

                if (shift >= 3 && shift <= 9) {
                    near(&strip, plane, to, nine, bias[c], multipliers[c], 11 - shift);
                } else if (shift >= 10 && shift <= 16) {
                    form->far[stride - 1](&strip, plane, to, nine, bias[c], multipliers[c], 18 - shift);
                } else {
                    form->exact(&strip, pitch, stride, plane, to, nine, bias[c], multipliers[c], shift);
                }
            }
        }
    }
    TN_WRITTEN();
}

/* A form and its entry: a network links only those that its layers need. */
#define TN_DEPTHWISE_3X3(name, ...)                                                                                    \
    TN_APART void name(const struct tn_depthwise_3x3 *layer, const int8_t *input, int8_t *output, int8_t *scratch,     \
                       TN_FLASH int8_t *weights, TN_FLASH int32_t *bias, TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)   \
    {                                                                                                                  \
        static const struct tn_form_3x3 form = {__VA_ARGS__};                                                          \
                                                                                                                       \
        tn_depthwise_strips(layer, &form, input, output, scratch, weights, bias, multipliers, shifts);                 \
        TN_WRITTEN();                                                                                                  \
    }

TN_DEPTHWISE_3X3(tn_depthwise_3x3_narrow, .pitch = 4, .stage = tn_stage_strip_4, .width = {6, 3},
                 .near = {tn_strip_4_stride_1, tn_strip_4_stride_2})
TN_DEPTHWISE_3X3(tn_depthwise_3x3_narrow_every_shift, .pitch = 4, .stage = tn_stage_strip_4, .width = {6, 3},
                 .near = {tn_strip_4_stride_1, tn_strip_4_stride_2},
                 .far = {tn_strip_4_stride_1_far, tn_strip_4_stride_2_far}, .exact = tn_strip_exact)
TN_DEPTHWISE_3X3(tn_depthwise_3x3_wide, .pitch = 8, .stage = tn_stage_strip_8, .width = {14, 6},
                 .near = {tn_strip_8_stride_1, tn_strip_8_stride_2})
TN_DEPTHWISE_3X3(tn_depthwise_3x3_wide_every_shift, .pitch = 8, .stage = tn_stage_strip_8, .width = {14, 6},
                 .near = {tn_strip_8_stride_1, tn_strip_8_stride_2},
                 .far = {tn_strip_8_stride_1_far, tn_strip_8_stride_2_far}, .exact = tn_strip_exact)

#endif
