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

/* How often the loops of tn_pair_assembly.h are written out. */
#ifdef TN_SIZE
enum { TN_PAIR_TURNS_3 = 2, TN_PAIR_TURNS_1 = 1 };
#define TN_PAIR_REPEAT_3 ".rept 2\n"
#define TN_PAIR_REPEAT_1 ".rept 1\n"
#else
enum { TN_PAIR_TURNS_3 = 8, TN_PAIR_TURNS_1 = 4 };
#define TN_PAIR_REPEAT_3 ".rept 8\n"
#define TN_PAIR_REPEAT_1 ".rept 4\n"
#endif

struct tn_pair {
    int32_t depth;    /* length of an input vector, filled up to whole rounds of the loop */
    int32_t channels; /* outputs per input vector */
    int32_t low;
    int32_t high;
};

/* What one pair of channels needs beside its weights. shifts: the first channel's in the lowest byte, then the second's. */
struct tn_pair_record {
    int32_t both; /* 256 * second bias + first bias */
    int32_t first;
    int32_t multipliers[2];
    int32_t addends[2];
    int32_t shifts;
};

/* Three inputs times all channels. With a pitch of 0 they are one and the same pixel, and so are their outputs. */
struct tn_pair_job_3 {
    const int8_t *staged;
    uint32_t skip; /* bytes of the loop's code that its first round leaves out */
    const int8_t *end;
    int32_t low;
    int32_t high;
    int8_t *output;
    int32_t pitch; /* from one pixel's outputs to the next one's */
    const struct tn_pair_record *last; /* behind the last pair of two channels */
    int32_t odd;                       /* 1 where a channel without a second one follows */
    TN_FLASH int8_t *weights;
    const struct tn_pair_record *records;
};

/* One input times all channels, four at a time: their weights lie together, four words of one pair, four of the other. */
struct tn_pair_job_1 {
    const int8_t *staged;
    uint32_t skip;
    const int8_t *end;
    int32_t low;
    int32_t high;
    int8_t *output;
    int32_t left; /* channels to go */
    TN_FLASH int8_t *weights;
    const struct tn_pair_record *records;
};

#if defined __ARM_FEATURE_DSP && defined __thumb2__
#include "tn_pair_assembly.h"
#else

/* The shift that all channels share in tn_pair_3_relu and tn_pair_1_relu. */
enum { TN_PAIR_SHIFT = 12 };

struct tn_pair_limits {
    int32_t low;
    int32_t high;
};

/* The outputs of the sums `both` and `first`, for every form that the assembly has. */
TN_FOLDED void tn_pair_finish(const struct tn_pair_record *record, int32_t variant, struct tn_pair_limits limits,
                              uint32_t both, uint32_t first, int8_t *outputs)
{
    const uint32_t shift = (uint32_t)record->shifts & 0xFFu, other = (uint32_t)record->shifts >> 8;
    const int32_t second = (int32_t)(both - first);

    if (variant == TN_REQUANTIZE_RELU) {
        outputs[0] = (int8_t)tn_ssat8(
            tn_smmla((int32_t)(first << shift), record->multipliers[0], record->addends[0]) >> TN_PAIR_SHIFT);
        outputs[1] =
            (int8_t)tn_ssat8(tn_smmla(second >> other, record->multipliers[1], record->addends[1]) >> TN_PAIR_SHIFT);
        return;
    }
    outputs[0] = tn_requantize(variant, (int32_t)(2u * first), record->multipliers[0], (int32_t)shift,
                               record->addends[0], limits.low, limits.high);
    outputs[1] = tn_requantize(variant, second >> 7, record->multipliers[1], (int32_t)other, record->addends[1],
                               limits.low, limits.high);
}

TN_FOLDED void tn_pair_3(const struct tn_pair_job_3 *job, int32_t variant)
{
    const int32_t places[3] = {0, job->pitch, 2 * job->pitch};
    const struct tn_pair_limits limits = {job->low, job->high};
    TN_FLASH int8_t *weights = job->weights;
    int8_t *output = job->output;

    for (const struct tn_pair_record *record = job->records; record != job->last + job->odd; record++, output += 2) {
        uint32_t both[3], first[3];

        for (int32_t i = 0; i < 3; i++) {
            both[i] = (uint32_t)record->both;
            first[i] = (uint32_t)record->first;
        }
        for (const int8_t *x = job->staged; x != job->end; x += 12, weights += 4) {
            const uint32_t pair = tn_load4(weights);

            for (int32_t i = 0; i < 3; i++) {
                both[i] = tn_smlad(tn_load4(x + 4 * i), pair, both[i]);
                first[i] = tn_smlad(tn_load4(x + 4 * i), tn_sxtb16(pair), first[i]);
            }
        }
        for (int32_t i = 0; i < 3; i++) {
            int8_t outputs[2];

            tn_pair_finish(record, variant, limits, both[i], first[i], outputs);
            tn_copy_bytes(output + places[i], outputs, record < job->last ? 2 : 1);
        }
    }
}

TN_FOLDED void tn_pair_1(const struct tn_pair_job_1 *job, int32_t variant)
{
    const struct tn_pair_limits limits = {job->low, job->high};
    const struct tn_pair_record *record = job->records;
    TN_FLASH int8_t *weights = job->weights;
    int8_t *output = job->output;

    for (int32_t left = job->left; left > 0; left -= 4, record += 2, output += 4) {
        uint32_t both[2], first[2];
        int8_t outputs[4];

        for (int32_t pair = 0; pair < 2; pair++) {
            both[pair] = (uint32_t)record[pair].both;
            first[pair] = (uint32_t)record[pair].first;
        }
        for (const int8_t *x = job->staged; x != job->end; x += 16) {
            for (int32_t i = 0; i < 8; i++, weights += 4) {
                const uint32_t halves = tn_load4(weights), values = tn_load4(x + i % 4 * 4);

                both[i / 4] = tn_smlad(values, halves, both[i / 4]);
                first[i / 4] = tn_smlad(values, tn_sxtb16(halves), first[i / 4]);
            }
        }
        for (int32_t pair = 0; pair < 2; pair++) {
            tn_pair_finish(record + pair, variant, limits, both[pair], first[pair], outputs + 2 * pair);
        }
        tn_copy_bytes(output, outputs, left < 4 ? left : 4);
    }
}

#define TN_PAIR(form, variant)                                          \
    static inline void tn_pair_3_##form(const struct tn_pair_job_3 *job) \
    {                                                                   \
        tn_pair_3(job, variant);                                        \
    }                                                                   \
    static inline void tn_pair_1_##form(const struct tn_pair_job_1 *job) \
    {                                                                   \
        tn_pair_1(job, variant);                                        \
    }

TN_PAIR(relu, TN_REQUANTIZE_RELU)
TN_PAIR(signed, TN_REQUANTIZE_SIGNED)
TN_PAIR(clamped, TN_REQUANTIZE_CLAMPED)

/* Stages `count` values of three pixels, side by side; count is a positive multiple of four. */
TN_FOLDED int8_t *tn_stage_3(const int8_t *a, const int8_t *b, const int8_t *c, int8_t *to, int32_t count)
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

/* A job for three pixels. The loop, for all quads but the first, is written out several times, 68 bytes of code each. */
TN_FOLDED struct tn_pair_job_3 tn_pair_job_3(const struct tn_pair *layer, const int8_t *staged, TN_FLASH int8_t *weights,
                                             const int32_t *records)
{
    const struct tn_pair_record *const first = (const struct tn_pair_record *)records;
    const int32_t looped = layer->depth / 4 - 1;

    return (struct tn_pair_job_3){
        .staged = staged,
        .skip = (uint32_t)(looped ? -looped & (TN_PAIR_TURNS_3 - 1) : TN_PAIR_TURNS_3) * 68u,
        .end = staged + 6 * layer->depth,
        .low = layer->low,
        .high = layer->high,
        .last = first + layer->channels / 2,
        .odd = layer->channels % 2,
        .weights = weights,
        .records = first,
    };
}

/* A job for one pixel. The loop is written out several times, 108 bytes of code for two quads. */
TN_FOLDED struct tn_pair_job_1 tn_pair_job_1(const struct tn_pair *layer, const int8_t *staged, int8_t *output,
                                             TN_FLASH int8_t *weights, const int32_t *records)
{
    return (struct tn_pair_job_1){
        .staged = staged,
        .skip = (uint32_t)(-layer->depth / 8 & (TN_PAIR_TURNS_1 - 1)) * 108u,
        .end = staged + 2 * layer->depth,
        .low = layer->low,
        .high = layer->high,
        .output = output,
        .left = layer->channels,
        .weights = weights,
        .records = (const struct tn_pair_record *)records,
    };
}

/* Stages `count` values of one pixel; a last quad that is not whole is filled up with 0. Returns where the next go. */
TN_FOLDED int8_t *tn_stage_1(const int8_t *from, int32_t count, int8_t *to)
{
    for (; count >= 4; count -= 4, from += 4, to += 8) {
        const uint32_t bytes = tn_load4(from);

        tn_store4(to, tn_sxtb16(bytes));
        tn_store4(to + 4, tn_sxtb16_odd(bytes));
    }
    if (count > 0) {
        const uint32_t bytes = (uint32_t)(uint8_t)from[0] | (count > 1 ? (uint32_t)(uint8_t)from[1] << 8 : 0) |
                               (count > 2 ? (uint32_t)(uint8_t)from[2] << 16 : 0);

        tn_store4(to, tn_sxtb16(bytes));
        tn_store4(to + 4, tn_sxtb16_odd(bytes));
        to += 8;
    }
    return to;
}

#endif
