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
/* What is assembled takes nearly all registers: it is compiled alike in every program, whoever calls it. */
#define TN_PAIR_APART static __attribute__((noipa, unused))
#else
#define TN_PAIR_APART TN_APART
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

/* Stages `count` values of three pixels, side by side; count is a positive multiple of four. */
#ifdef TN_PAIR_ASSEMBLY
TN_PAIR_APART int8_t *tn_stage_3(const int8_t *a, const int8_t *b, const int8_t *c, int32_t count, int8_t *to)
{
    const int8_t *const end = a + count;

    __asm__ volatile("1:\n"
                     "    ldr r0, [%[a]], #4\n"
                     "    ldr r1, [%[b]], #4\n"
                     "    ldr r2, [%[c]], #4\n"
                     "    sxtb16 r3, r0, ror #8\n"
                     "    sxtb16 r4, r1, ror #8\n"
                     "    sxtb16 r5, r2, ror #8\n"
                     "    sxtb16 r0, r0\n"
                     "    sxtb16 r1, r1\n"
                     "    sxtb16 r2, r2\n"
                     "    stmia %[to]!, {r0, r1, r2, r3, r4, r5}\n"
                     "    cmp %[a], %[end]\n"
                     "    bne 1b\n"
                     : [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c), [to] "+&r"(to)
                     : [end] "r"(end)
                     : "r0", "r1", "r2", "r3", "r4", "r5", "cc", "memory");
    return to;
}
#else
TN_PAIR_APART int8_t *tn_stage_3(const int8_t *a, const int8_t *b, const int8_t *c, int32_t count, int8_t *to)
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
TN_FOLDED const int8_t *tn_pair_dot_3(const int8_t *staged, const int8_t *weights, const struct tn_pair_span *span,
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
                     : [x] "+&r"(staged), [w] "+&r"(weights), [b0] "+&r"(b0), [b1] "+&r"(b1), [b2] "+&r"(b2), [f0] "+&r"(f0),
                       [f1] "+&r"(f1), [f2] "+&r"(f2), [w0] "=&r"(w0), [w1] "=&r"(w1)
                     : [end] "m"(span->end), [skip] "m"(span->skip)
                     : "r0", "r1", "r2", "cc", "memory");
    sums->both[0] = b0, sums->both[1] = b1, sums->both[2] = b2;
    sums->first[0] = f0, sums->first[1] = f1, sums->first[2] = f2;
    return weights;
}
#else
TN_FOLDED const int8_t *tn_pair_dot_3(const int8_t *staged, const int8_t *weights, const struct tn_pair_span *span,
                                      struct tn_pair_sums *sums)
{
    for (; staged != span->end; staged += 12, weights += 4) {
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
TN_FOLDED const int8_t *tn_pair_dot_1(const int8_t *staged, const int8_t *weights, const struct tn_pair_span *span,
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
                     : [x] "+&r"(staged), [w] "+&r"(weights), [b] "+&r"(b), [f] "+&r"(f)
                     : [end] "m"(span->end), [skip] "m"(span->skip)
                     : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "cc", "memory");
    *both = b;
    *first = f;
    return weights;
}
#else
TN_FOLDED const int8_t *tn_pair_dot_1(const int8_t *staged, const int8_t *weights, const struct tn_pair_span *span,
                                      uint32_t *both, uint32_t *first)
{
    for (; staged != span->end; staged += 4, weights += 4) {
        const uint32_t x = tn_load4(staged), pair = tn_load4(weights);

        *both = tn_smlad(x, pair, *both);
        *first = tn_smlad(x, tn_sxtb16(pair), *first);
    }
    return weights;
}
#endif

/* Three staged pixels times one pair of channels; `other` is where the second channel's output lies from the first's. */
TN_FOLDED const int8_t *tn_pair_block_3(const struct tn_pair *layer, int32_t variant, const int8_t *staged,
                                        const struct tn_pair_span *span, int8_t *output, int32_t second, int32_t third,
                                        int32_t other, const int8_t *weights, const int32_t *record)
{
    const int32_t rounding = layer->rounding, low = layer->low, high = layer->high;
    const uint32_t bias = (uint32_t)record[TN_PAIR_BIAS];
    const uint32_t both = bias + ((uint32_t)record[TN_PAIR_BIAS + 1] << 8);
    struct tn_pair_sums sums = {{both, both, both}, {bias, bias, bias}};

    weights = tn_pair_dot_3(staged, weights, span, &sums);

    const uint32_t shifts = (uint32_t)record[TN_PAIR_SHIFTS];
    int32_t multiplier = record[TN_PAIR_MULTIPLIER + 1];
    int32_t shift = (int32_t)(shifts >> 8);
    int32_t addend = tn_requantize_addend(rounding, shift);
    int8_t *to = output + other;

    /* The second channel first: one that is none is written to the first one's place, and overwritten. */
    for (int32_t i = 0; i < 3; i++) {
        to[i == 0 ? 0 : i == 1 ? second : third] = tn_requantize(
            variant, (int32_t)(sums.both[i] - sums.first[i]) >> 7, multiplier, shift, addend, low, high);
    }
    multiplier = record[TN_PAIR_MULTIPLIER];
    shift = (int32_t)(shifts & 0xFFu);
    addend = tn_requantize_addend(rounding, shift);
    to = output;
    for (int32_t i = 0; i < 3; i++) {
        to[i == 0 ? 0 : i == 1 ? second : third] =
            tn_requantize(variant, (int32_t)(2u * sums.first[i]), multiplier, shift, addend, low, high);
    }
    return weights;
}

/* Three staged pixels times all channels. The second and third pixel's outputs lie at `second` and `third` from
 * `output`; where they are no pixels of their own, they repeat the one before and are written to the same place. */
TN_FOLDED void tn_pair_matmul_3(const struct tn_pair *layer, int32_t variant, const int8_t *staged, int8_t *output,
                                int32_t second, int32_t third, const int8_t *weights, const int32_t *record)
{
    const struct tn_pair_span span = tn_pair_span(staged, 6 * layer->depth, 24, 68);
    const int32_t *end = record + layer->channels / 2 * TN_PAIR_RECORD;

    for (int32_t other = 1;;) {
        for (; record != end; record += TN_PAIR_RECORD, output += 2) {
            weights = tn_pair_block_3(layer, variant, staged, &span, output, second, third, other, weights, record);
        }
        if (layer->channels % 2 == 0 || other == 0) {
            return;
        }
        end += TN_PAIR_RECORD;
        other = 0;
    }
}

/* One staged pixel times all channels. */
TN_FOLDED void tn_pair_matmul_1(const struct tn_pair *layer, int32_t variant, const int8_t *staged, int8_t *output,
                                const int8_t *weights, const int32_t *record)
{
    const int32_t rounding = layer->rounding, low = layer->low, high = layer->high;
    const struct tn_pair_span span = tn_pair_span(staged, 2 * layer->depth, 16, 56);

    const int32_t *const end = record + (layer->channels + 1) / 2 * TN_PAIR_RECORD;
    const int8_t *const last = output + layer->channels - 1;

    for (; record != end; record += TN_PAIR_RECORD, output += 2) {
        uint32_t first = (uint32_t)record[TN_PAIR_BIAS];
        uint32_t both = first + ((uint32_t)record[TN_PAIR_BIAS + 1] << 8);

        weights = tn_pair_dot_1(staged, weights, &span, &both, &first);

        const uint32_t shifts = (uint32_t)record[TN_PAIR_SHIFTS];
        const int32_t shift = (int32_t)(shifts & 0xFFu), other = (int32_t)(shifts >> 8);

        if (output != last) {
            output[1] = tn_requantize(variant, (int32_t)(both - first) >> 7, record[TN_PAIR_MULTIPLIER + 1], other,
                                      tn_requantize_addend(rounding, other), low, high);
        }
        output[0] = tn_requantize(variant, (int32_t)(2u * first), record[TN_PAIR_MULTIPLIER], shift,
                                  tn_requantize_addend(rounding, shift), low, high);
    }
}

/* One function for each form, shared by all layers that need it. */
#define TN_PAIR_MATMUL(form, variant)                                                                                    \
    TN_PAIR_APART void tn_pair_matmul_3_##form(const struct tn_pair *layer, const int8_t *staged, int8_t *output,        \
                                               int32_t second, int32_t third, const int8_t *weights,                     \
                                               const int32_t *records)                                                   \
    {                                                                                                                    \
        tn_pair_matmul_3(layer, variant, staged, output, second, third, weights, records);                               \
    }                                                                                                                    \
                                                                                                                         \
    TN_PAIR_APART void tn_pair_matmul_1_##form(const struct tn_pair *layer, const int8_t *staged, int8_t *output,        \
                                               const int8_t *weights, const int32_t *records)                            \
    {                                                                                                                    \
        tn_pair_matmul_1(layer, variant, staged, output, weights, records);                                              \
    }

TN_PAIR_MATMUL(relu, TN_REQUANTIZE_RELU)
TN_PAIR_MATMUL(signed, TN_REQUANTIZE_SIGNED)
TN_PAIR_MATMUL(clamped, TN_REQUANTIZE_CLAMPED)

#endif
