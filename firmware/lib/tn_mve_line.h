/* DEPTHWISE_CONV_2D with vectors where image and window are one pixel wide, or high: four outputs of one channel at a
 * time.
 *
 * Sixteen channels are staged so that one word holds a channel's values of four pixels, the next word the next four.
 * Four words are what the windows of four outputs see, whose weights stand one byte further on for each of them.
 */
#ifndef TN_MVE_LINE_H
#define TN_MVE_LINE_H

#include "tn_mve_depthwise.h"

struct tn_mve_line {
    int32_t channels;
    int32_t inputs; /* pixels */
    int32_t outputs;
    int32_t taps;   /* with the outputs of one turn but one, at most 16 */
    int32_t before; /* pixels of padding */
    int32_t padding;
    int32_t zero_point;
};

/* All inputs that windows see, of up to sixteen channels from `input` on. */
TN_FOLDED void tn_mve_stage_line(const struct tn_mve_line *layer, const int8_t *input, int32_t channels,
                                 const int8_t *outside, int8_t *to)
{
    const int32_t end = (layer->outputs + layer->taps + 2) / 4, pitch = layer->channels;
    const int32_t first = (layer->before + 3) / 4, whole = (layer->before + layer->inputs) / 4;

    for (int32_t word = 0, words; word < end; word += words) {
        const int32_t inside = word >= first && word < whole;
        int32_t pixel = 4 * word - layer->before;
        struct tn_mve_rows rows;

        words = inside ? tn_min(whole, end) - word : 1;
        for (int32_t i = 0; i < 4; i++, pixel++) {
            rows.from[i] = pixel >= 0 && pixel < layer->inputs ? input + pixel * pitch : outside;
            rows.step[i] = 4 * pitch;
        }
        tn_mve_stage(&rows, words, channels, to + word * TN_MVE_COLUMN);
    }
}

/* scratch: staged words, as many as the last turn of four outputs looks at. */
TN_FOLDED void tn_mve_line(const struct tn_mve_line *layer, void (*turn)(struct tn_mve_turns *), const int8_t *input,
                           int8_t *output, int8_t *scratch, TN_FLASH int32_t *weights)
{
    const int32_t channels = layer->channels;
    struct tn_mve_turns job = {
        .records = weights,
        .words = (layer->taps + 3) / 4,
        .column = TN_MVE_COLUMN,
        .advance = TN_MVE_COLUMN,
        .out_step = 4 * channels,
        .turns = layer->outputs / 4,
        .mask = 0xFFFF,
        .last = (1 << 4 * (layer->outputs % 4)) - 1,
        .zero_point = layer->zero_point,
        .places = {0, channels, 2 * channels, 3 * channels},
    };
    int8_t outside[TN_MVE_LANES];

    memset(outside, (int)layer->padding, sizeof outside);
    for (int32_t channel = 0; channel < channels; channel += TN_MVE_LANES) {
        job.channels = tn_min(channels - channel, TN_MVE_LANES);
        job.staged = scratch;
        job.output = output + channel;
        tn_mve_stage_line(layer, input + channel, job.channels, outside, scratch);
        turn(&job);
    }
}

#define TN_MVE_DEPTHWISE_LINE(form)                                                                                  \
    TN_APART void tn_mve_depthwise_line_##form(const struct tn_mve_line *layer, const int8_t *input, int8_t *output, \
                                        int8_t *scratch, TN_FLASH int32_t *weights)                                  \
    {                                                                                                                \
        tn_mve_line(layer, tn_mve_line_##form, input, output, scratch, weights);                                     \
        TN_WRITTEN();                                                                                                \
    }

TN_MVE_DEPTHWISE_LINE(relu)
TN_MVE_DEPTHWISE_LINE(signed)

#endif
