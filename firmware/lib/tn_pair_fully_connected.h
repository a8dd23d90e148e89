/* FULLY_CONNECTED of one input vector with packed pairs of channels. */
#ifndef TN_PAIR_FULLY_CONNECTED_H
#define TN_PAIR_FULLY_CONNECTED_H

#include "tn_pair.h"

struct tn_pair_fully_connected {
    int32_t count; /* input values */
    struct tn_pair matmul;
};

/* The input as halves, filled up to the depth, a multiple of eight, with 0. */
TN_FOLDED void tn_stage_vector(const struct tn_pair_fully_connected *layer, const int8_t *input, int8_t *scratch)
{
    int8_t *const end = tn_stage_1(input, layer->count, scratch);

    if (end != scratch + 2 * layer->matmul.depth) {
        tn_store4(end, 0);
        tn_store4(end + 4, 0);
    }
}

/* scratch: the input, staged; it is read no more when the first output is written. */
#define TN_PAIR_FULLY_CONNECTED(form)                                                                                    \
    static inline void tn_pair_fully_connected_##form(const struct tn_pair_fully_connected *layer, const int8_t *input,  \
                                                      int8_t *output, int8_t *scratch, TN_FLASH int8_t *weights,            \
                                                      const int32_t *records)                                            \
    {                                                                                                                    \
        const struct tn_pair_job_1 job = tn_pair_job_1(&layer->matmul, scratch, output, weights, records);               \
                                                                                                                         \
        tn_stage_vector(layer, input, scratch);                                                                          \
        tn_pair_1_##form(&job);                                      \
    }

TN_PAIR_FULLY_CONNECTED(relu)
TN_PAIR_FULLY_CONNECTED(signed)
TN_PAIR_FULLY_CONNECTED(clamped)

#endif
