/* Four channels of an image as planes of int16, two neighbouring columns to a word: what SMLAD multiplies.
 *
 * A plane's columns may be the image's rows: then a window that is high and narrow becomes one that is low and wide, and
 * its taps become pairs. Only the steps through the image tell. Whatever lies outside holds the input's zero point.
 */
#ifndef TN_PLANES_H
#define TN_PLANES_H

#include "tn_dsp.h"
#include "tn_window.h"

struct tn_planes {
    int32_t rows; /* of the input, in the planes' sense */
    int32_t columns;
    int32_t row_step; /* to the next row's value of the same channel [B] */
    int32_t column_step;
    int32_t out_rows;
    int32_t out_columns;
    int32_t out_row_step;
    int32_t out_column_step;
    int32_t pad_rows; /* before the first */
    int32_t pad_columns;
    int32_t channels; /* 4 at least */
    int32_t padding;  /* the input's zero point */
};

/* What to stage and where: `words` pairs of columns from `column` on, of `count` rows from `row` on, which are all inside
 * the image. The word of a channel and a pair lies at to[row * row_pitch + channel * channel_pitch + pair]. */
struct tn_strip {
    int32_t row;
    int32_t count;
    int32_t column;
    int32_t words;
    int32_t row_pitch;
    int32_t channel_pitch;
};

/* The value in a column of a plane's row. */
TN_FOLDED int32_t tn_planes_value(const uint32_t *row, int32_t column)
{
    return (int16_t)(uint16_t)(row[column / 2] >> (column % 2 * 16));
}

/* Four channels of two neighbouring pixels become four words. */
TN_FOLDED void tn_planes_store(uint32_t left, uint32_t right, uint32_t *to, int32_t pitch)
{
    const uint32_t left_even = tn_sxtb16(left), right_even = tn_sxtb16(right);
    const uint32_t left_odd = tn_sxtb16_odd(left), right_odd = tn_sxtb16_odd(right);

    to[0] = tn_pack_low(left_even, right_even);
    to[pitch] = tn_pack_low(left_odd, right_odd);
    to[2 * pitch] = tn_pack_high(left_even, right_even);
    to[3 * pitch] = tn_pack_high(left_odd, right_odd);
}

/* The input's zero point as staged, twice. */
TN_FOLDED uint32_t tn_planes_padding(const struct tn_planes *planes)
{
    return ((uint32_t)planes->padding & 0xFFFFu) * 0x00010001u;
}

/* `count` words of padding, one after the other. */
TN_FOLDED void tn_planes_fill(const struct tn_planes *planes, uint32_t *to, int32_t count)
{
    const uint32_t padding = tn_planes_padding(planes);

    for (; count > 0; count--) {
        *to++ = padding;
    }
}

/* `input` points to the first of the four channels in the image's first pixel. */
TN_APART void tn_planes_stage(const struct tn_planes *planes, const struct tn_strip *strip, const int8_t *input,
                              uint32_t *to)
{
    const uint32_t padding = tn_planes_padding(planes), outside = (padding & 0xFFu) * 0x01010101u;
    const int32_t step = planes->column_step, pitch = strip->channel_pitch, end = strip->column + 2 * strip->words;
    /* Pairs outside on the left, across the left edge or not, inside, across the right edge or not, and the others. */
    const int32_t before = tn_min(tn_max(-strip->column, 0) / 2, strip->words);
    const int32_t left = strip->column < 0 && before < strip->words && strip->column % 2 != 0;
    const int32_t first = strip->column + 2 * (before + left);
    const int32_t inside = tn_max(tn_min(end, planes->columns) - first, 0) / 2;
    const int32_t right = first + 2 * inside < tn_min(end, planes->columns);
    const int32_t after = strip->words - before - left - inside - right;

    input += strip->row * planes->row_step + first * step;
    for (int32_t row = 0; row < strip->count; row++, input += planes->row_step, to += strip->row_pitch) {
        const int8_t *from = input;
        uint32_t *at = to;

        for (int32_t i = 0; i < before; i++, at++) {
            at[0] = at[pitch] = at[2 * pitch] = at[3 * pitch] = padding;
        }
        if (left) {
            tn_planes_store(outside, tn_load4(from - step), at++, pitch);
        }
        for (int32_t i = 0; i < inside; i++, from += 2 * step, at++) {
            tn_planes_store(tn_load4(from), tn_load4(from + step), at, pitch);
        }
        if (right) {
            tn_planes_store(tn_load4(from), outside, at++, pitch);
        }
        for (int32_t i = 0; i < after; i++, at++) {
            at[0] = at[pitch] = at[2 * pitch] = at[3 * pitch] = padding;
        }
    }
    TN_WRITTEN();
}

#endif
