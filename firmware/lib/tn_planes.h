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

/* What to stage and where: `words` pairs of columns from `column` on, of `count` rows from `row` on. The word of a
 * channel and a pair of columns lies at to[row * row_pitch + channel * channel_pitch + pair]. */
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

/* One pair of columns over rows inside the image. `left`, `right`: literals, whether that column is inside. */
TN_FOLDED void tn_planes_pair(const struct tn_planes *planes, const struct tn_strip *strip, const int8_t *from,
                              int32_t count, int32_t left, int32_t right, uint32_t *to)
{
    const uint32_t padding = (uint32_t)(uint8_t)planes->padding * 0x01010101u;
    const int32_t row_step = planes->row_step, column_step = planes->column_step;
    const int32_t row_pitch = strip->row_pitch, channel_pitch = strip->channel_pitch;

    for (; count > 0; count--, from += row_step, to += row_pitch) {
        tn_planes_store(left ? tn_load4(from) : padding, right ? tn_load4(from + column_step) : padding, to,
                        channel_pitch);
    }
}

/* Padding in one pair of columns of each of `count` rows. */
TN_FOLDED void tn_planes_fill(const struct tn_planes *planes, const struct tn_strip *strip, int32_t count, uint32_t *to)
{
    const uint32_t padding = ((uint32_t)planes->padding & 0xFFFFu) * 0x00010001u;

    for (; count > 0; count--, to += strip->row_pitch) {
        for (int32_t channel = 0; channel < 4; channel++) {
            to[channel * strip->channel_pitch] = padding;
        }
    }
}

/* `input` points to the first of the four channels in the image's first pixel. */
TN_APART void tn_planes_stage(const struct tn_planes *planes, const struct tn_strip *strip, const int8_t *input,
                              uint32_t *to)
{
    const int32_t first = tn_min(tn_max(strip->row, 0), planes->rows);
    const int32_t end = tn_min(tn_max(strip->row + strip->count, first), planes->rows);
    const int32_t above = tn_min(first - strip->row, strip->count), inside = end - first;

    input += first * planes->row_step;
    for (int32_t word = 0; word < strip->words; word++, to++) {
        const int32_t column = strip->column + 2 * word;
        const int32_t left = column >= 0 && column < planes->columns;
        const int32_t right = column + 1 >= 0 && column + 1 < planes->columns;
        const int8_t *const from = input + column * planes->column_step;
        uint32_t *const at = to + above * strip->row_pitch;

        tn_planes_fill(planes, strip, above, to);
        if (left && right) {
            tn_planes_pair(planes, strip, from, inside, 1, 1, at);
        } else if (left) {
            tn_planes_pair(planes, strip, from, inside, 1, 0, at);
        } else if (right) {
            tn_planes_pair(planes, strip, from, inside, 0, 1, at);
        } else {
            tn_planes_fill(planes, strip, inside, at);
        }
        tn_planes_fill(planes, strip, strip->count - above - inside, at + inside * strip->row_pitch);
    }
}

#endif
