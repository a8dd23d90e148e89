/* CONV_2D with vectors: three output pixels at a time.
 *
 * Outputs are written in ascending order. Patches that do not lie in the input one after the other are gathered first,
 * beyond the edge with the input's zero point, which the folded bias cancels exactly.
 */
#ifndef TN_MVE_CONV_H
#define TN_MVE_CONV_H

#include "tn_add_linear.h"
#include "tn_mve.h"
#include "tn_window.h"

struct tn_mve_conv {
    struct tn_window window;
    int32_t padding; /* the input's zero point */
    struct tn_mve matmul;
};

/* The patch of the window at `spot`, in `to`: all of it padding first where some of it is. */
TN_FOLDED void tn_mve_gather(const struct tn_mve_conv *layer, const int8_t *input, const struct tn_spot *spot, int8_t *to)
{
    const struct tn_window *const w = &layer->window;
    const int32_t channels = w->channels, size = w->width * channels, pitch = w->in_width * channels;
    int32_t first = 0, end = w->height, before = 0, inside = w->width;

    if (!tn_is_inside(w, spot->y, spot->x)) {
        first = spot->y < 0 ? (w->dilation_y - 1 - spot->y) / w->dilation_y : 0;
        end = tn_min(w->height, (w->in_height - spot->y + w->dilation_y - 1) / w->dilation_y);
        tn_mve_fill(to, layer->padding, w->height * size);
        if (end <= first) {
            return;
        }
        if (w->dilation_x == 1) {
            before = tn_max(-spot->x, 0);
            inside = tn_min(w->width, w->in_width - spot->x) - before;
        }
    }
    input += (spot->y + first * w->dilation_y) * pitch;
    to += first * size;
    if (w->dilation_x == 1) {
        tn_mve_copy_rows(to + before * channels, size, input + (spot->x + before) * channels, w->dilation_y * pitch,
                         inside * channels, end - first);
        return;
    }
    for (int32_t j = 0, x = spot->x; j < w->width; j++, x += w->dilation_x, to += channels) {
        if (x >= 0 && x < w->in_width) {
            tn_mve_copy_rows(to, size, input + x * channels, w->dilation_y * pitch, channels, end - first);
        }
    }
}

/* whole: patches lie in the input one after the other; otherwise three are gathered in `scratch`. With an `addition`,
 * three pixels of output are written to `sums`, and added to `residual` from there. */
TN_FOLDED void tn_mve_conv(const struct tn_mve_conv *layer, const struct tn_add_linear *addition,
                           void (*three)(const struct tn_mve_job *), void (*one)(const struct tn_mve_job *), int32_t whole,
                           const int8_t *input, const int8_t *residual, int8_t *output, int8_t *scratch, int8_t *sums,
                           TN_FLASH int8_t *weights, TN_FLASH int32_t *bias, TN_FLASH int32_t *multipliers,
                           TN_FLASH int8_t *shifts)
{
    const int32_t saturated = addition && addition->low == -128 && addition->high == 127;
    /* A copy, which no store in assembly can be taken to change. */
    const struct tn_mve_conv fixed = *layer;
    const struct tn_window *const w = &fixed.window;
    const int32_t depth = fixed.matmul.depth;
    struct tn_mve_job job = tn_mve_job(&layer->matmul, weights, bias, multipliers, shifts);
    struct tn_spot spot = tn_first_spot(w);

    for (int32_t left = w->out_height * w->out_width, count; left > 0; left -= count) {
        /* Of fewer than four outputs, those that are none lie where the next pixel's go. */
        count = left >= 3 + (job.pitch < job.channels) ? 3 : 1;
        if (whole) {
            for (int32_t i = 0; i < 3; i++) {
                job.inputs[i] = input + i * depth;
            }
            input += count * depth;
        } else {
            for (int32_t i = 0; i < count; i++) {
                job.inputs[i] = scratch + i * depth;
                tn_mve_gather(&fixed, input, &spot, scratch + i * depth);
                tn_next_spot(w, &spot);
            }
        }
        job.output = addition ? sums : output;
        if (count == 3) {
            three(&job);
        } else if (left > 1) {
            one(&job);
        } else {
            tn_mve_last(&job, job.pitch, one);
        }
        if (addition) {
            tn_add_linear_some(addition, saturated, count * job.pitch, sums, residual, output);
            residual += count * job.pitch;
        }
        output += count * job.pitch;
    }
}

/* A function for each way and form, shared by all layers that need it. */
#define TN_MVE_CONV(how, whole, three, form)                                                                                   \
    TN_APART void tn_mve_conv_##how##_##form(const struct tn_mve_conv *layer, const int8_t *input, int8_t *output,             \
                                             int8_t *scratch, TN_FLASH int8_t *weights, TN_FLASH int32_t *bias,                \
                                             TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)                           \
    {                                                                                                                          \
        tn_mve_conv(layer, NULL, tn_mve_##three##_##form, tn_mve_1_##form, whole, input, NULL, output, scratch, NULL, weights, \
                    bias, multipliers, shifts);                                                                                \
        TN_WRITTEN();                                                                                                          \
    }

/* `each` for each way and form. */
#define TN_MVE_CONVS(each)               \
    each(whole, 1, 3, relu)              \
    each(whole, 1, 3, signed)            \
    each(gathered, 0, 3, relu)           \
    each(gathered, 0, 3, signed)         \
    each(whole_short, 1, short, relu)    \
    each(whole_short, 1, short, signed)  \
    each(gathered_short, 0, short, relu) \
    each(gathered_short, 0, short, signed)

TN_MVE_CONVS(TN_MVE_CONV)

#endif
