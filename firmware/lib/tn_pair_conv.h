/* CONV_2D with packed pairs of channels: three output pixels at a time, their patches staged as halves.
 *
 * Outputs are written in ascending order, three pixels after their patches were staged. Beyond the edge lies the input's
 * zero point, which the folded bias cancels exactly.
 */
#ifndef TN_PAIR_CONV_H
#define TN_PAIR_CONV_H

#include "tn_add_linear.h"
#include "tn_pair.h"
#include "tn_window.h"

struct tn_pair_conv {
    struct tn_window window;
    int32_t padding; /* the input's zero point */
    struct tn_pair matmul;
};

/* How patches lie in the input. A literal at every call. */
enum tn_patches {
    TN_PATCHES_WHOLE = 0, /* one after the other, each as it is, of whole quads */
    TN_PATCHES_QUADS = 1, /* channels are whole quads */
    TN_PATCHES_BYTES = 2, /* anything else */
};

/* Where the window's first tap lies in the input, for three output pixels. */
struct tn_spots {
    int32_t y[3];
    int32_t x[3];
};

/* The pixel (y, x), or `outside` where there is none. */
TN_FOLDED const int8_t *tn_tap(const struct tn_window *w, const int8_t *input, int32_t y, int32_t x,
                               const int8_t *outside)
{
    return (uint32_t)y < (uint32_t)w->in_height && (uint32_t)x < (uint32_t)w->in_width
               ? input + (y * w->in_width + x) * w->channels
               : outside;
}

/* outside: one pixel of padding. */
TN_FOLDED void tn_stage_quads(const struct tn_window *w, const int8_t *input, const struct tn_spots *spots,
                                  int8_t *to, const int8_t *outside)
{
    int32_t inside = w->dilation_x == 1;

    for (int32_t i = 0; i < 3; i++) {
        inside = inside && tn_is_inside(w, spots->y[i], spots->x[i]);
    }
    if (inside) {
        const int32_t row = w->dilation_y * w->in_width * w->channels;
        const int8_t *taps[3];

        for (int32_t i = 0; i < 3; i++) {
            taps[i] = input + (spots->y[i] * w->in_width + spots->x[i]) * w->channels;
        }
        for (int32_t i = 0; i < w->height; i++, taps[0] += row, taps[1] += row, taps[2] += row) {
            to = tn_stage_3(taps[0], taps[1], taps[2], to, w->width * w->channels);
        }
        return;
    }
    for (int32_t i = 0, y = 0; i < w->height; i++, y += w->dilation_y) {
        for (int32_t j = 0, x = 0; j < w->width; j++, x += w->dilation_x) {
            to = tn_stage_3(tn_tap(w, input, spots->y[0] + y, spots->x[0] + x, outside),
                            tn_tap(w, input, spots->y[1] + y, spots->x[1] + x, outside),
                            tn_tap(w, input, spots->y[2] + y, spots->x[2] + x, outside), to, w->channels);
        }
    }
}

/* One patch's bytes, one after the other. outside: one pixel of padding. */
TN_FOLDED void tn_gather_bytes(const struct tn_window *w, const int8_t *input, int32_t y, int32_t x, int8_t *to,
                                   const int8_t *outside)
{
    const int32_t size = w->width * w->channels, step = w->dilation_y * w->in_width * w->channels;
    const int8_t *from = input + (y * w->in_width + x) * w->channels;

    if (w->dilation_x == 1 && size >= 4 && tn_is_inside(w, y, x)) {
        /* Up to three bytes too many are copied, of the image, and the next row's copy replaces them. */
        for (int32_t i = 1; i < w->height; i++, from += step, to += size) {
            for (int32_t j = 0; j < size; j += 4) {
                tn_store4(to + j, tn_load4(from + j));
            }
        }
        tn_copy_bytes(to, from, size);
        return;
    }
    for (int32_t i = 0; i < w->height; i++, y += w->dilation_y) {
        for (int32_t j = 0; j < w->width; j++, to += w->channels) {
            tn_copy_bytes(to, tn_tap(w, input, y, x + j * w->dilation_x, outside), w->channels);
        }
    }
}

/* The spots of the next three pixels of the output, or three times the next one's. */
static inline struct tn_spots tn_next_spots(const struct tn_window *w, struct tn_spot *next, int32_t count)
{
    struct tn_spots spots;

    for (int32_t i = 0; i < 3; i++) {
        spots.y[i] = next->y;
        spots.x[i] = next->x;
        if (count == 3 || i == 2) {
            tn_next_spot(w, next);
        }
    }
    return spots;
}

/* scratch: three staged patches; behind them, unless `patches` are whole, a pixel of padding; behind that, where they
 * are bytes, the bytes of three patches. With an `addition`, three pixels of output are written to `sums`, and added to
 * `residual` from there. */
TN_FOLDED void tn_pair_conv(const struct tn_pair_conv *layer, const struct tn_add_linear *addition,
                            void (*multiply)(const struct tn_pair_job_3 *), int32_t patches, const int8_t *input,
                            const int8_t *residual, int8_t *output, int8_t *scratch, int8_t *sums,
                            TN_FLASH int8_t *weights, const int32_t *records)
{
    const int32_t saturated = addition && addition->low == -128 && addition->high == 127;
    const struct tn_window *const w = &layer->window;
    const int32_t channels = layer->matmul.channels, depth = layer->matmul.depth;
    int8_t *const outside = scratch + 6 * depth;
    int8_t *const bytes = outside + (w->channels + 3) / 4 * 4;
    struct tn_pair_job_3 job = tn_pair_job_3(&layer->matmul, scratch, weights, records);
    struct tn_spot next = tn_first_spot(w);

    if (patches != TN_PATCHES_WHOLE) {
        memset(outside, (int)layer->padding, (size_t)w->channels);
    }
    for (int32_t left = w->out_height * w->out_width, count; left > 0; left -= count, output += count * channels) {
        /* One or two last pixels go one by one, each of them three times. */
        count = left >= 3 ? 3 : 1;
        job.output = addition ? sums : output;
        job.pitch = count == 3 ? channels : 0;
        if (patches == TN_PATCHES_WHOLE) {
            const int32_t pitch = count == 3 ? depth : 0;

            tn_stage_3(input, input + pitch, input + 2 * pitch, scratch, depth);
            input += count * depth;
        } else {
            const struct tn_spots spots = tn_next_spots(w, &next, count);

            if (patches == TN_PATCHES_QUADS) {
                tn_stage_quads(w, input, &spots, scratch, outside);
            } else {
                for (int32_t i = 0; i < 3; i++) {
                    tn_gather_bytes(w, input, spots.y[i], spots.x[i], bytes + i * depth, outside);
                }
                tn_stage_3(bytes, bytes + depth, bytes + 2 * depth, scratch, depth);
            }
        }
        multiply(&job);
        if (addition) {
            tn_add_linear_some(addition, saturated, count * channels, sums, residual, output);
            residual += count * channels;
        }
    }
}

/* A function for each way and form, shared by all layers that need it. */
#define TN_PAIR_CONV(how, patches, form)                                                                                 \
    TN_APART void tn_pair_conv_##how##_##form(const struct tn_pair_conv *layer, const int8_t *input, int8_t *output,     \
                                              int8_t *scratch, TN_FLASH int8_t *weights, const int32_t *records)            \
    {                                                                                                                    \
        tn_pair_conv(layer, NULL, tn_pair_3_##form, patches, input, NULL, output, scratch, NULL, weights, records);      \
        TN_WRITTEN();                                                                                                    \
    }

/* `each` for each way and form. */
#define TN_PAIR_CONVS_OF(form, each)     \
    each(whole, TN_PATCHES_WHOLE, form)  \
    each(quads, TN_PATCHES_QUADS, form)  \
    each(bytes, TN_PATCHES_BYTES, form)
#define TN_PAIR_CONVS(each)        \
    TN_PAIR_CONVS_OF(relu, each)   \
    TN_PAIR_CONVS_OF(signed, each) \
    TN_PAIR_CONVS_OF(clamped, each)

TN_PAIR_CONVS(TN_PAIR_CONV)

#endif
