/* DEPTHWISE_CONV_2D with vectors: four outputs of one channel at a time, for windows of up to 4 x 4.
 *
 * Sixteen channels of four rows of the input are staged so that one word holds a channel's four values of a column:
 * VST4 writes them that way. Four words, gathered, are then all that a window sees, and VMLADAV is its sum. Where a
 * window has at most three rows and columns and moves by one, the same four words hold the windows beside, below, and
 * beside that one: a square of 2 x 2 outputs, for each of which the weights stand elsewhere in a vector. Otherwise it
 * is four outputs of a row.
 *
 * All of this while the outputs are clamped to int8 alone. Sixteen channels are written after they were staged, so that
 * outputs may lie on their inputs, but for the one row of two that the next windows look at as well: it is kept.
 */
#ifndef TN_MVE_DEPTHWISE_H
#define TN_MVE_DEPTHWISE_H

#include "tn_mve.h"
#include "tn_window.h"

enum {
    TN_MVE_LANES = 16,   /* channels staged together */
    TN_MVE_COLUMN = 64,  /* bytes of a staged column */
    TN_MVE_RECORD = 3,   /* words of a channel beside its weights */
};

struct tn_mve_depthwise {
    struct tn_window window;
    int32_t padding; /* the input's zero point */
    int32_t zero_point;
    int32_t kept; /* where in scratch memory two rows of the input are kept, or 0 */
};

/* Four rows of the input. Beyond the edge, one column of padding for all. */
struct tn_mve_rows {
    const int8_t *from[4];
    int32_t step[4];
};

/* Staged channels times their weights. */
struct tn_mve_turns {
    const int8_t *staged;
    TN_FLASH int32_t *records; /* of a channel: a word of weights a column, bias, multiplier, shift to the left */
    int8_t *output;
    int32_t channels;
    int32_t words;
    int32_t column;     /* bytes between the window's columns */
    int32_t advance;    /* bytes from a window to the next one */
    int32_t out_step;   /* bytes from four outputs to the next four */
    int32_t turns;      /* of four outputs */
    int32_t mask;       /* those of the four that are written, four bits each */
    int32_t last;       /* the same of one more turn; 0 for none */
    int32_t zero_point;
    int32_t places[4];  /* of the four outputs */
};

#if defined __ARM_FEATURE_MVE && __ARM_FEATURE_MVE && defined __GNUC__
#include "tn_mve_depthwise_assembly.h"
#else

TN_FOLDED void tn_mve_stage(const struct tn_mve_rows *rows, int32_t columns, int32_t channels, int8_t *to)
{
    for (int32_t i = 0; i < columns; i++, to += TN_MVE_COLUMN) {
        for (int32_t channel = 0; channel < channels; channel++) {
            for (int32_t row = 0; row < 4; row++) {
                to[4 * channel + row] = rows->from[row][i * rows->step[row] + channel];
            }
        }
    }
}

/* How four outputs of a turn lie to each other. */
enum tn_mve_four { TN_MVE_SQUARE, TN_MVE_ROW, TN_MVE_LINE };

TN_FOLDED int8_t tn_mve_output(const struct tn_mve_turns *job, enum tn_mve_four four, int32_t lane, const int8_t *staged,
                               TN_FLASH int32_t *record)
{
    const int32_t on = four == TN_MVE_SQUARE ? lane / 2 : four == TN_MVE_LINE ? lane : 0;
    uint32_t sum = (uint32_t)record[job->words];

    staged += four == TN_MVE_SQUARE ? lane % 2 * job->column : four == TN_MVE_ROW ? lane * job->advance : 0;
    for (int32_t i = 0; i < 4 * job->words; i++) {
        const int8_t weight = (int8_t)(uint8_t)((uint32_t)record[i / 4] >> 8 * (i % 4));
        /* What is shifted out of a word, or of the vector, is multiplied by 0. */
        const int32_t byte = four == TN_MVE_SQUARE ? i / 4 * 4 + tn_min(i % 4 + on, 3) : tn_min(i + on, 15);

        sum += (uint32_t)((int32_t)staged[byte / 4 * job->column + byte % 4] * weight);
    }
    const int32_t value = tn_multiply((int32_t)sum, record[job->words + 1], record[job->words + 2]);

    return tn_clamp(tn_wrapping_sum(value, job->zero_point), INT8_MIN, INT8_MAX);
}

TN_FOLDED void tn_mve_do_turns(struct tn_mve_turns *job, enum tn_mve_four four)
{
    for (; job->channels > 0; job->channels--, job->records += job->words + TN_MVE_RECORD) {
        const int8_t *staged = job->staged;
        int8_t *output = job->output;

        for (int32_t turn = 0; turn <= job->turns; turn++) {
            for (int32_t lane = 0; lane < 4; lane++) {
                if ((turn < job->turns ? job->mask : job->last) >> 4 * lane & 1) {
                    output[job->places[lane]] = tn_mve_output(job, four, lane, staged, job->records);
                }
            }
            staged += four == TN_MVE_ROW ? 4 * job->advance : job->advance;
            output += job->out_step;
        }
        job->staged += 4;
        job->output++;
    }
}

#define TN_MVE_TURNS(name)                                            \
    static inline void tn_mve_square_##name(struct tn_mve_turns *job) \
    {                                                                 \
        tn_mve_do_turns(job, TN_MVE_SQUARE);                          \
    }                                                                 \
    static inline void tn_mve_row_##name(struct tn_mve_turns *job)    \
    {                                                                 \
        tn_mve_do_turns(job, TN_MVE_ROW);                             \
    }                                                                 \
    static inline void tn_mve_line_##name(struct tn_mve_turns *job)   \
    {                                                                 \
        tn_mve_do_turns(job, TN_MVE_LINE);                            \
    }

TN_MVE_TURNS(relu)
TN_MVE_TURNS(signed)

#endif

/* The four rows, from input row `y` on, of the channels from `input` on. outside: a column of padding. */
TN_FOLDED struct tn_mve_rows tn_mve_rows(const struct tn_window *w, const int8_t *input, int32_t y, const int8_t *outside)
{
    struct tn_mve_rows rows;

    for (int32_t i = 0; i < 4; i++, y += w->dilation_y) {
        const int32_t inside = y >= 0 && y < w->in_height;

        rows.from[i] = inside ? input + y * w->in_width * w->channels : outside;
        rows.step[i] = inside ? w->channels : 0;
    }
    return rows;
}

/* What is the same for all rows of a square's or a row's outputs. */
TN_FOLDED struct tn_mve_turns tn_mve_turns(const struct tn_mve_depthwise *layer, int32_t square)
{
    const struct tn_window *const w = &layer->window;
    const int32_t channels = w->channels, pitch = w->out_width * channels, across = square ? 2 : 4;
    const int32_t rest = w->out_width % across;

    return (struct tn_mve_turns){
        .words = w->width,
        .column = TN_MVE_COLUMN * w->dilation_x,
        .advance = TN_MVE_COLUMN * (square ? 2 : w->stride_x),
        .out_step = across * channels,
        .turns = w->out_width / across,
        .mask = 0xFFFF,
        .last = !rest ? 0 : square ? 0x0F0F : (1 << 4 * rest) - 1,
        .zero_point = layer->zero_point,
        .places = {0, channels, square ? pitch : 2 * channels, square ? pitch + channels : 3 * channels},
    };
}

/* scratch: staged columns, as many as the last turn of four outputs looks at; and perhaps two rows that are kept. */
TN_FOLDED void tn_mve_depthwise(const struct tn_mve_depthwise *layer, int32_t square, void (*turn)(struct tn_mve_turns *),
                                const int8_t *input, int8_t *output, int8_t *scratch, TN_FLASH int32_t *weights)
{
    const struct tn_window *const w = &layer->window;
    const int32_t channels = w->channels, pitch = w->in_width * channels, rows_at_once = square ? 2 : 1;
    const int32_t seen = (w->out_width - 1) * w->stride_x + (w->width - 1) * w->dilation_x + 1;
    const int32_t right = tn_max(seen - w->pad_left - w->in_width, 0);
    struct tn_mve_turns job = tn_mve_turns(layer, square);
    int8_t *const staged = scratch + w->pad_left * TN_MVE_COLUMN;
    const int8_t *above = NULL;
    int8_t outside[TN_MVE_LANES];

    memset(outside, (int)layer->padding, sizeof outside);
    tn_mve_fill(scratch, layer->padding, w->pad_left * TN_MVE_COLUMN);
    tn_mve_fill(staged + w->in_width * TN_MVE_COLUMN, layer->padding, right * TN_MVE_COLUMN);
    for (int32_t y = 0; y < w->out_height; y += rows_at_once) {
        if (square && y + 1 == w->out_height) {
            job.mask &= 0x00FF;
            job.last &= 0x00FF;
        }
        const int8_t *kept = NULL;

        if (layer->kept && y + 1 < w->in_height) {
            int8_t *const copy = scratch + layer->kept + (y & 2 ? pitch : 0);

            tn_mve_copy(copy, input + (y + 1) * pitch, pitch);
            kept = copy;
        }
        job.records = weights;
        for (int32_t channel = 0; channel < channels; channel += TN_MVE_LANES) {
            struct tn_mve_rows rows = tn_mve_rows(w, input + channel, y * w->stride_y - w->pad_top, outside);

            if (above) {
                rows.from[0] = above + channel;
            }
            job.channels = tn_min(channels - channel, TN_MVE_LANES);
            job.staged = scratch;
            job.output = output + y * w->out_width * channels + channel;
            tn_mve_stage(&rows, w->in_width, job.channels, staged);
            turn(&job);
        }
        above = kept;
    }
}

#define TN_MVE_DEPTHWISE(how, square, form)                                                                   \
    TN_APART void tn_mve_depthwise_##how##_##form(const struct tn_mve_depthwise *layer, const int8_t *input,  \
                                                  int8_t *output, int8_t *scratch, TN_FLASH int32_t *weights) \
    {                                                                                                         \
        tn_mve_depthwise(layer, square, tn_mve_##how##_##form, input, output, scratch, weights);              \
        TN_WRITTEN();                                                                                         \
    }

TN_MVE_DEPTHWISE(square, 1, relu)
TN_MVE_DEPTHWISE(square, 1, signed)
TN_MVE_DEPTHWISE(row, 0, relu)
TN_MVE_DEPTHWISE(row, 0, signed)

#endif
