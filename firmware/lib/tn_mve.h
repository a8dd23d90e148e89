/* Matrix products with the vectors of a Cortex-M55 (MVE): VMLADAVA adds sixteen products of bytes to a core register.
 *
 * Weights lie as the model has them, one channel's after the other. Three input vectors times two channels take eleven
 * instructions for 96 products, one input vector times four channels nine for 64; the loop's last turn is predicated,
 * so that no vector is filled up and nothing beyond it is read. Inputs that fit one vector (`short`) need no such loop,
 * and three of them go times four channels at once. Sums wrap as the reference's do. Channels go by fours; where that
 * does not come out even, the last four start earlier, and some outputs are computed twice.
 *
 * Requantisation is exact for every sum and every factor that does not shift to the left: VQRDMULH is the reference's
 * first rounding, halves up, and VRSHL is its second one but for negative halves, which it rounds up as well. One less
 * in what is negative makes that the same: so TFLM rounds, see tn_fixed_point.h. Where the output's lower bound is not
 * below its zero point, what is negative is clamped anyway (`relu`).
 */
#ifndef TN_MVE_H
#define TN_MVE_H

#include <stddef.h>
#include <string.h>

#include "tn_fixed_point.h"

struct tn_mve {
    int32_t depth;    /* length of an input vector */
    int32_t channels; /* at least 4: where there are fewer outputs, weights and all else are filled up */
    int32_t outputs;  /* per input vector */
    int32_t zero_point;
    int32_t low;
    int32_t high;
};

/* Three inputs times all channels; or the first of them. */
struct tn_mve_job {
    const int8_t *inputs[3];
    int32_t depth;
    TN_FLASH int8_t *weights;
    TN_FLASH int32_t *bias;
    TN_FLASH int32_t *multipliers;
    TN_FLASH int8_t *shifts; /* -31 to 0, to the left */
    int8_t *output;
    int32_t pitch; /* from one input's outputs to the next one's, which are written later */
    int32_t channels;
    int32_t zero_point;
    int32_t low;
    int32_t high;
};

#if defined __ARM_FEATURE_MVE && __ARM_FEATURE_MVE && defined __GNUC__
#include "tn_mve_assembly.h"
#else

TN_FOLDED void tn_mve_products(const struct tn_mve_job *job, int32_t inputs)
{
    for (int32_t i = 0; i < inputs; i++) {
        TN_FLASH int8_t *weights = job->weights;

        for (int32_t channel = 0; channel < job->channels; channel++, weights += job->depth) {
            uint32_t sum = (uint32_t)job->bias[channel];

            for (int32_t k = 0; k < job->depth; k++) {
                sum += (uint32_t)((int32_t)job->inputs[i][k] * weights[k]);
            }
            const int32_t value = tn_multiply((int32_t)sum, job->multipliers[channel], job->shifts[channel]);

            job->output[i * job->pitch + channel] =
                tn_clamp(tn_wrapping_sum(value, job->zero_point), job->low, job->high);
        }
    }
}

#define TN_MVE_PRODUCTS(form)                                            \
    static inline void tn_mve_3_##form(const struct tn_mve_job *job)     \
    {                                                                    \
        tn_mve_products(job, 3);                                         \
    }                                                                    \
    static inline void tn_mve_short_##form(const struct tn_mve_job *job) \
    {                                                                    \
        tn_mve_products(job, 3);                                         \
    }                                                                    \
    static inline void tn_mve_1_##form(const struct tn_mve_job *job)     \
    {                                                                    \
        tn_mve_products(job, 1);                                         \
    }

TN_MVE_PRODUCTS(relu)
TN_MVE_PRODUCTS(signed)

TN_FOLDED void tn_mve_copy(int8_t *to, const int8_t *from, int32_t count)
{
    memcpy(to, from, (size_t)count);
}

TN_FOLDED void tn_mve_copy_short_rows(int8_t *to, int32_t to_pitch, const int8_t *from, int32_t from_pitch, int32_t count,
                                      int32_t rows)
{
    for (int32_t i = 0; i < rows; i++, to += to_pitch, from += from_pitch) {
        memcpy(to, from, (size_t)count);
    }
}

TN_FOLDED void tn_mve_fill(int8_t *to, int32_t value, int32_t count)
{
    memset(to, (int)value, (size_t)count);
}

#endif

/* `rows` of `count` bytes each; none where a number is not positive. */
TN_FOLDED void tn_mve_copy_rows(int8_t *to, int32_t to_pitch, const int8_t *from, int32_t from_pitch, int32_t count,
                                int32_t rows)
{
    if (count <= 0) {
        return;
    }
    if (count <= 16) {
        tn_mve_copy_short_rows(to, to_pitch, from, from_pitch, count, rows);
        return;
    }
    for (int32_t i = 0; i < rows; i++, to += to_pitch, from += from_pitch) {
        tn_mve_copy(to, from, count);
    }
}

TN_FOLDED struct tn_mve_job tn_mve_job(const struct tn_mve *layer, TN_FLASH int8_t *weights, TN_FLASH int32_t *bias,
                                       TN_FLASH int32_t *multipliers, TN_FLASH int8_t *shifts)
{
    return (struct tn_mve_job){
        .depth = layer->depth,
        .weights = weights,
        .bias = bias,
        .multipliers = multipliers,
        .shifts = shifts,
        .pitch = layer->outputs,
        .channels = layer->channels,
        .zero_point = layer->zero_point,
        .low = layer->low,
        .high = layer->high,
    };
}

/* The first input, of whose outputs none is written that there is not. */
TN_FOLDED void tn_mve_last(struct tn_mve_job *job, int32_t outputs, void (*one)(const struct tn_mve_job *))
{
    int8_t *const output = job->output;
    int8_t filled[4];

    if (outputs == job->channels) {
        one(job);
        return;
    }
    job->output = filled;
    one(job);
    for (int32_t i = 0; i < outputs; i++) {
        output[i] = filled[i];
    }
}

#endif
