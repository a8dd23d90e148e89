/* Matrix products at the speed of 16-bit weights with weights of 8 bits: two output channels in one multiplication.
 *
 * The weights of two channels for one input value share a half: 256 * second + first. SMLAD on the half as it is sums
 * 256 * (second channel) + (first channel) modulo 2^32; SXTB16 leaves the first channel's weight, and a second SMLAD its
 * sum. Their difference is the second channel's sum, shifted left by eight: exact while it stays below 2^23, which the
 * compiler has proved.
 *
 * Inputs are staged as halves. Four values k0..k3 ("a quad") are two words, (k0, k2) and (k1, k3), as SXTB16 unpacks
 * them, and the weights lie in the same order: a pair of channels takes two words for each quad. Three pixels are staged
 * side by side: the first words of their quads, then the second words.
 */
#ifndef TN_PAIR_H
#define TN_PAIR_H

#include <stddef.h>

#include "tn_requantize.h"

struct tn_pair {
    int32_t depth;    /* length of an input vector, filled up to whole rounds of the loop */
    int32_t channels; /* outputs per input vector */
    int32_t low;
    int32_t high;
};

/* What one pair of channels needs beside its weights. shifts: from the lowest byte, the first channel's, the second's,
 * and how far the second one's output lies from the first's: 0 where there is no second channel. */
struct tn_pair_record {
    int32_t both; /* 256 * second bias + first bias */
    int32_t first;
    int32_t multipliers[2];
    int32_t addends[2];
    int32_t shifts;
};

/* Inputs times all channels. With three pixels, the second's and the third's outputs lie at `second` and `third` from
 * the first's; where they are no pixels of their own, they repeat the one before and are written to the same place. */
struct tn_pair_job {
    const int8_t *staged;
    const int8_t *end;
    uint32_t skip; /* bytes of the loop's code that its first round leaves out */
    int32_t low;
    int32_t high;
    int8_t *output;
    int32_t second;
    int32_t third;
    const struct tn_pair_record *last; /* behind the last one */
    const int8_t *weights;
    const struct tn_pair_record *records;
};

#if defined __ARM_FEATURE_DSP && defined __thumb2__
#include "tn_pair_assembly.h"
#else

/* The shift that all channels share in tn_pair_3_relu and tn_pair_1_relu. */
enum { TN_PAIR_SHIFT = 12 };

/* The outputs of the sums `both` and `first`, for every form that the assembly has. */
TN_FOLDED void tn_pair_finish(const struct tn_pair_job *job, const struct tn_pair_record *record, int32_t variant,
                              uint32_t both, uint32_t first, int8_t *output)
{
    const uint32_t shifts = (uint32_t)record->shifts, low_shift = shifts & 0xFFu, high_shift = shifts >> 8 & 0xFFu;
    const int32_t second = (int32_t)(both - first);

    if (variant == TN_REQUANTIZE_RELU) {
        output[shifts >> 16] = (int8_t)tn_ssat8(
            tn_smmla(second >> high_shift, record->multipliers[1], record->addends[1]) >> TN_PAIR_SHIFT);
        *output = (int8_t)tn_ssat8(
            tn_smmla((int32_t)(first << low_shift), record->multipliers[0], record->addends[0]) >> TN_PAIR_SHIFT);
        return;
    }
    output[shifts >> 16] = tn_requantize(variant, second >> 7, record->multipliers[1], (int32_t)high_shift,
                                         record->addends[1], job->low, job->high);
    *output = tn_requantize(variant, (int32_t)(2u * first), record->multipliers[0], (int32_t)low_shift,
                            record->addends[0], job->low, job->high);
}

TN_FOLDED void tn_pair_3(struct tn_pair_job job, int32_t variant)
{
    const int32_t outputs[3] = {0, job.second, job.third};

    for (; job.records != job.last; job.records++, job.output += 2) {
        uint32_t both[3], first[3];

        for (int32_t i = 0; i < 3; i++) {
            both[i] = (uint32_t)job.records->both;
            first[i] = (uint32_t)job.records->first;
        }
        for (const int8_t *x = job.staged; x != job.end; x += 12, job.weights += 4) {
            const uint32_t weights = tn_load4(job.weights);

            for (int32_t i = 0; i < 3; i++) {
                both[i] = tn_smlad(tn_load4(x + 4 * i), weights, both[i]);
                first[i] = tn_smlad(tn_load4(x + 4 * i), tn_sxtb16(weights), first[i]);
            }
        }
        for (int32_t i = 0; i < 3; i++) {
            tn_pair_finish(&job, job.records, variant, both[i], first[i], job.output + outputs[i]);
        }
    }
}

TN_FOLDED void tn_pair_1(struct tn_pair_job job, int32_t variant)
{
    for (; job.records != job.last; job.records++, job.output += 2) {
        uint32_t both = (uint32_t)job.records->both, first = (uint32_t)job.records->first;

        for (const int8_t *x = job.staged; x != job.end; x += 4, job.weights += 4) {
            both = tn_smlad(tn_load4(x), tn_load4(job.weights), both);
            first = tn_smlad(tn_load4(x), tn_sxtb16(tn_load4(job.weights)), first);
        }
        tn_pair_finish(&job, job.records, variant, both, first, job.output);
    }
}

#define TN_PAIR(form, variant)                                   \
    static inline void tn_pair_3_##form(const struct tn_pair_job *job)  \
    {                                                            \
        tn_pair_3(*job, variant);                                 \
    }                                                            \
    static inline void tn_pair_1_##form(const struct tn_pair_job *job)  \
    {                                                            \
        tn_pair_1(*job, variant);                                 \
    }

TN_PAIR(relu, TN_REQUANTIZE_RELU)
TN_PAIR(signed, TN_REQUANTIZE_SIGNED)
TN_PAIR(clamped, TN_REQUANTIZE_CLAMPED)

/* Stages `count` values of three pixels, side by side; count is a positive multiple of four. */
static inline int8_t *tn_stage_3(const int8_t *a, const int8_t *b, const int8_t *c, int8_t *to, int32_t count)
{
    for (int32_t i = 0; i < count; i += 4, to += 24) {
        const uint32_t bytes[3] = {tn_load4(a + i), tn_load4(b + i), tn_load4(c + i)};

        for (int32_t pixel = 0; pixel < 3; pixel++) {
            tn_store4(to + 4 * pixel, tn_sxtb16(bytes[pixel]));
            tn_store4(to + 12 + 4 * pixel, tn_sxtb16_odd(bytes[pixel]));
        }
    }
    return to;
}

#endif

/* The loops over a staged input are written out four times and entered where the first round's share is left.
 * bytes: of staged input in each of the four; code: bytes of code for them. */
TN_FOLDED struct tn_pair_job tn_pair_job(const struct tn_pair *layer, const int8_t *staged, int32_t size, int32_t bytes,
                                         uint32_t code, const int8_t *weights, const int32_t *records)
{
    const struct tn_pair_record *const first = (const struct tn_pair_record *)records;

    return (struct tn_pair_job){
        .staged = staged,
        .end = staged + size,
        .skip = (uint32_t)(-(size / bytes) & 3) * code,
        .low = layer->low,
        .high = layer->high,
        .weights = weights,
        .records = first,
        .last = first + (layer->channels + 1) / 2,
    };
}

/* A job for three pixels: whole quads of 24 bytes. */
TN_FOLDED struct tn_pair_job tn_pair_job_3(const struct tn_pair *layer, const int8_t *staged, const int8_t *weights,
                                           const int32_t *records)
{
    return tn_pair_job(layer, staged, 6 * layer->depth, 24, 68, weights, records);
}

/* A job for one pixel: two quads of 8 bytes at a time. */
TN_FOLDED struct tn_pair_job tn_pair_job_1(const struct tn_pair *layer, const int8_t *staged, const int8_t *weights,
                                           const int32_t *records)
{
    return tn_pair_job(layer, staged, 2 * layer->depth, 16, 56, weights, records);
}

/* Stages `count` values of one pixel; a last quad that is not whole is filled up with 0. Returns where the next go. */
static inline int8_t *tn_stage_1(const int8_t *from, int32_t count, int8_t *to)
{
    for (; count > 0; count -= 4, from += 4, to += 8) {
        uint32_t bytes = 0;

        if (count >= 4) {
            bytes = tn_load4(from);
        } else {
            tn_copy_bytes((int8_t *)&bytes, from, count);
        }
        tn_store4(to, tn_sxtb16(bytes));
        tn_store4(to + 4, tn_sxtb16_odd(bytes));
    }
    return to;
}

#endif
