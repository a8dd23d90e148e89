/* Matrix products at the speed of 16-bit weights with weights of 8 bits: two output channels in one multiplication.
 *
 * The weights of two channels for one input value share a half: 256 * second + first. SMLAD on the half as it is sums
 * 256 * (second channel) + (first channel) modulo 2^32; SXTB16 leaves the first channel's weight, and a second SMLAD its
 * sum. Their difference is the second channel's sum, shifted left by eight: exact while it stays below 2^23, which the
 * compiler has proved.
 *
 * Inputs are staged as halves. Four values k0..k3 ("a quad") are two words, (k0, k2) and (k1, k3), as SXTB16 unpacks
 * them, and the weights lie in the same order: a pair of channels takes two words for each quad.
 */
#ifndef TN_PAIR_H
#define TN_PAIR_H

#include "tn_requantize.h"

/* Clang keeps a register or two for itself, and runs out of them. */
#if defined __ARM_FEATURE_DSP && defined __OPTIMIZE__ && !defined __clang__
#define TN_PAIR_ASSEMBLY 1
#endif

struct tn_pair {
    int32_t depth;    /* length of an input vector, a multiple of four */
    int32_t channels; /* outputs per input vector */
    int32_t rounding; /* 2 * zero point of the output + 1 */
    int32_t low;
    int32_t high;
};

/* A pair's record: what requantises its two channels. The shifts' bytes: the first channel's, then the second's. */
enum {
    TN_PAIR_BIAS = 0,
    TN_PAIR_MULTIPLIER = 2,
    TN_PAIR_SHIFTS = 4,
    TN_PAIR_RECORD = 5,
};

/* The sums of three pixels: `both` is 256 * second + first channel, `first` the first channel alone. */
struct tn_pair_sums {
    uint32_t both[3];
    uint32_t first[3];
};

/* Stages `count` values at every `stride`-th word of `to`; a last quad that is not whole is filled up with anything,
 * because its weights are 0. Returns where the next value's words go. */
TN_FOLDED int8_t *tn_stage(const int8_t *from, int32_t count, int8_t *to, int32_t stride)
{
    for (const int8_t *const end = from + count / 4 * 4; from != end; from += 4, to += 8 * stride) {
        const uint32_t bytes = tn_load4(from);

        tn_store4(to, tn_sxtb16(bytes));
        tn_store4(to + 4 * stride, tn_sxtb16_odd(bytes));
    }
    if (count % 4) {
        uint32_t bytes = 0;

        memcpy(&bytes, from, (size_t)(count % 4));
        tn_store4(to, tn_sxtb16(bytes));
        tn_store4(to + 4 * stride, tn_sxtb16_odd(bytes));
        to += 8 * stride;
    }
    return to;
}

/* Where the loop over a staged input ends, and how many bytes of its code the first round skips. */
struct tn_pair_span {
    const int8_t *end;
    uint32_t skip;
};

/* The loops below are written out four times, so that the first round enters where its share is left. bytes: of staged
 * input in each of the four; code: bytes of code for them. */
TN_FOLDED struct tn_pair_span tn_pair_span(const int8_t *staged, int32_t size, int32_t bytes, uint32_t code)
{
    struct tn_pair_span span = {staged + size, (uint32_t)(-(size / bytes) & 3) * code};

#ifdef TN_PAIR_ASSEMBLY
    /* Both are read from memory, where GCC puts no constant: hide what it may know of them. */
    __asm__("" : "+r"(span.end), "+r"(span.skip));
#endif
    return span;
}

/* Adds the products of three staged pixels with one pair's weights; returns the next pair's weights. */
#ifdef TN_PAIR_ASSEMBLY
TN_FOLDED const int8_t *tn_pair_dot_3(const int8_t *staged, const int8_t *weights, struct tn_pair_span span,
                                      struct tn_pair_sums *sums)
{
    uint32_t b0 = sums->both[0], b1 = sums->both[1], b2 = sums->both[2];
    uint32_t f0 = sums->first[0], f1 = sums->first[1], f2 = sums->first[2];
    uint32_t w0, w1;

    /* The end waits in memory: the fourteen registers are taken. LDM needs registers in ascending order, so the inputs'
     * are named. */
    __asm__ volatile("    ldr r0, %[skip]\n"
                     "    add pc, r0\n"
                     "    nop\n"
                     "1:\n"
                     "    .rept 4\n"
                     "    ldmia.w %[x]!, {r0, r1, r2}\n"
                     "    ldrd %[w0], %[w1], [%[w]], #8\n"
                     "    smlad %[b0], r0, %[w0], %[b0]\n"
                     "    smlad %[b1], r1, %[w0], %[b1]\n"
                     "    smlad %[b2], r2, %[w0], %[b2]\n"
                     "    sxtb16.w %[w0], %[w0]\n"
                     "    smlad %[f0], r0, %[w0], %[f0]\n"
                     "    smlad %[f1], r1, %[w0], %[f1]\n"
                     "    smlad %[f2], r2, %[w0], %[f2]\n"
                     "    ldmia.w %[x]!, {r0, r1, r2}\n"
                     "    smlad %[b0], r0, %[w1], %[b0]\n"
                     "    smlad %[b1], r1, %[w1], %[b1]\n"
                     "    smlad %[b2], r2, %[w1], %[b2]\n"
                     "    sxtb16.w %[w1], %[w1]\n"
                     "    smlad %[f0], r0, %[w1], %[f0]\n"
                     "    smlad %[f1], r1, %[w1], %[f1]\n"
                     "    smlad %[f2], r2, %[w1], %[f2]\n"
                     "    .endr\n"
                     "    ldr %[w0], %[end]\n"
                     "    cmp %[x], %[w0]\n"
                     "    bne 1b\n"
                     : [x] "+r"(staged), [w] "+r"(weights), [b0] "+r"(b0), [b1] "+r"(b1), [b2] "+r"(b2), [f0] "+r"(f0),
                       [f1] "+r"(f1), [f2] "+r"(f2), [w0] "=&r"(w0), [w1] "=&r"(w1)
                     : [end] "m"(span.end), [skip] "m"(span.skip)
                     : "r0", "r1", "r2", "cc", "memory");
    sums->both[0] = b0, sums->both[1] = b1, sums->both[2] = b2;
    sums->first[0] = f0, sums->first[1] = f1, sums->first[2] = f2;
    return weights;
}
#else
TN_FOLDED const int8_t *tn_pair_dot_3(const int8_t *staged, const int8_t *weights, struct tn_pair_span span,
                                      struct tn_pair_sums *sums)
{
    for (; staged != span.end; staged += 12, weights += 4) {
        const uint32_t both = tn_load4(weights), first = tn_sxtb16(both);

        for (int32_t i = 0; i < 3; i++) {
            const uint32_t x = tn_load4(staged + 4 * i);

            sums->both[i] = tn_smlad(x, both, sums->both[i]);
            sums->first[i] = tn_smlad(x, first, sums->first[i]);
        }
    }
    return weights;
}
#endif

/* The same for one pixel, whose depth is a multiple of eight here. */
#ifdef TN_PAIR_ASSEMBLY
TN_FOLDED const int8_t *tn_pair_dot_1(const int8_t *staged, const int8_t *weights, struct tn_pair_span span,
                                      uint32_t *both, uint32_t *first)
{
    uint32_t b = *both, f = *first;

    __asm__ volatile("    ldr r0, %[skip]\n"
                     "    add pc, r0\n"
                     "    nop\n"
                     "1:\n"
                     "    .rept 4\n"
                     "    ldmia.w %[x]!, {r0, r1, r2, r3}\n"
                     "    ldmia.w %[w]!, {r4, r5, r6, r8}\n"
                     "    smlad %[b], r0, r4, %[b]\n"
                     "    sxtb16.w r4, r4\n"
                     "    smlad %[b], r1, r5, %[b]\n"
                     "    sxtb16.w r5, r5\n"
                     "    smlad %[b], r2, r6, %[b]\n"
                     "    sxtb16.w r6, r6\n"
                     "    smlad %[b], r3, r8, %[b]\n"
                     "    sxtb16.w r8, r8\n"
                     "    smlad %[f], r0, r4, %[f]\n"
                     "    smlad %[f], r1, r5, %[f]\n"
                     "    smlad %[f], r2, r6, %[f]\n"
                     "    smlad %[f], r3, r8, %[f]\n"
                     "    .endr\n"
                     "    ldr r0, %[end]\n"
                     "    cmp %[x], r0\n"
                     "    bne 1b\n"
                     : [x] "+r"(staged), [w] "+r"(weights), [b] "+r"(b), [f] "+r"(f)
                     : [end] "m"(span.end), [skip] "m"(span.skip)
                     : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "cc", "memory");
    *both = b;
    *first = f;
    return weights;
}
#else
TN_FOLDED const int8_t *tn_pair_dot_1(const int8_t *staged, const int8_t *weights, struct tn_pair_span span,
                                      uint32_t *both, uint32_t *first)
{
    for (; staged != span.end; staged += 4, weights += 4) {
        const uint32_t x = tn_load4(staged), pair = tn_load4(weights);

        *both = tn_smlad(x, pair, *both);
        *first = tn_smlad(x, tn_sxtb16(pair), *first);
    }
    return weights;
}
#endif

/* Three staged pixels times all channels. The second and third pixel's outputs lie at `second` and `third` from
 * `output`; where they are no pixels of their own, they repeat the one before and are written to the same place. */
TN_FOLDED void tn_pair_matmul_3(const struct tn_pair *layer, int32_t variant, const int8_t *staged, int8_t *output,
                                int32_t second, int32_t third, const int8_t *weights, const int32_t *record)
{
    const int32_t rounding = layer->rounding, low = layer->low, high = layer->high;
    const struct tn_pair_span span = tn_pair_span(staged, 6 * layer->depth, 24, 68);

    for (int32_t left = layer->channels; left > 0; left -= 2, record += TN_PAIR_RECORD, output += 2) {
        const uint32_t bias = (uint32_t)record[TN_PAIR_BIAS];
        const uint32_t both = bias + ((uint32_t)record[TN_PAIR_BIAS + 1] << 8);
        struct tn_pair_sums sums = {{both, both, both}, {bias, bias, bias}};

        weights = tn_pair_dot_3(staged, weights, span, &sums);

        /* A channel without a second one shares its place with it, and is written last. */
        int8_t *const other = output + (left > 1 ? 1 : 0);
        const uint32_t shifts = (uint32_t)record[TN_PAIR_SHIFTS];
        int32_t multiplier = record[TN_PAIR_MULTIPLIER + 1];
        int32_t shift = (int32_t)(shifts >> 8);
        int32_t addend = tn_requantize_addend(rounding, shift);

        other[third] = tn_requantize(variant, (int32_t)(sums.both[2] - sums.first[2]) >> 7, multiplier, shift, addend,
                                     low, high);
        other[second] = tn_requantize(variant, (int32_t)(sums.both[1] - sums.first[1]) >> 7, multiplier, shift, addend,
                                      low, high);
        other[0] = tn_requantize(variant, (int32_t)(sums.both[0] - sums.first[0]) >> 7, multiplier, shift, addend, low,
                                 high);

        multiplier = record[TN_PAIR_MULTIPLIER];
        shift = (int32_t)(shifts & 0xFFu);
        addend = tn_requantize_addend(rounding, shift);
        output[third] = tn_requantize(variant, (int32_t)(2u * sums.first[2]), multiplier, shift, addend, low, high);
        output[second] = tn_requantize(variant, (int32_t)(2u * sums.first[1]), multiplier, shift, addend, low, high);
        output[0] = tn_requantize(variant, (int32_t)(2u * sums.first[0]), multiplier, shift, addend, low, high);
    }
}

/* One staged pixel times all channels. */
TN_FOLDED void tn_pair_matmul_1(const struct tn_pair *layer, int32_t variant, const int8_t *staged, int8_t *output,
                                const int8_t *weights, const int32_t *record)
{
    const int32_t rounding = layer->rounding, low = layer->low, high = layer->high;
    const struct tn_pair_span span = tn_pair_span(staged, 2 * layer->depth, 16, 56);

    for (int32_t left = layer->channels; left > 0; left -= 2, record += TN_PAIR_RECORD, output += 2) {
        uint32_t first = (uint32_t)record[TN_PAIR_BIAS];
        uint32_t both = first + ((uint32_t)record[TN_PAIR_BIAS + 1] << 8);

        weights = tn_pair_dot_1(staged, weights, span, &both, &first);

        const uint32_t shifts = (uint32_t)record[TN_PAIR_SHIFTS];
        const int32_t shift = (int32_t)(shifts & 0xFFu), other = (int32_t)(shifts >> 8);

        output[left > 1 ? 1 : 0] =
            tn_requantize(variant, (int32_t)(both - first) >> 7, record[TN_PAIR_MULTIPLIER + 1], other,
                          tn_requantize_addend(rounding, other), low, high);
        output[0] = tn_requantize(variant, (int32_t)(2u * first), record[TN_PAIR_MULTIPLIER], shift,
                                  tn_requantize_addend(rounding, shift), low, high);
    }
}

#endif
