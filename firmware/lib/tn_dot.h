/* Dot products of int8 vectors, several at a time: each loaded value is used more than once.
 *
 * Accumulators are unsigned because the reference's sums wrap: for networks that overflow, wrapping must be defined.
 * Weights of four output channels are interleaved, so that one pointer walks through them.
 */
#ifndef TN_DOT_H
#define TN_DOT_H

#include "tn_compiler.h"

/* Adds to sums[0..3] the products of `a`, to sums[4..7] those of `b`, with four weight vectors of `count` each. */
TN_APART void tn_dot_4x2(const int8_t *a, const int8_t *b, TN_FLASH int8_t *weights, int32_t count, uint32_t *sums)
{
    uint32_t a0 = sums[0], a1 = sums[1], a2 = sums[2], a3 = sums[3];
    uint32_t b0 = sums[4], b1 = sums[5], b2 = sums[6], b3 = sums[7];

    for (const int8_t *end = a + count; a != end; weights += 4) {
        const int32_t x = *a++;
        const int32_t y = *b++;

        a0 += (uint32_t)(x * weights[0]);
        b0 += (uint32_t)(y * weights[0]);
        a1 += (uint32_t)(x * weights[1]);
        b1 += (uint32_t)(y * weights[1]);
        a2 += (uint32_t)(x * weights[2]);
        b2 += (uint32_t)(y * weights[2]);
        a3 += (uint32_t)(x * weights[3]);
        b3 += (uint32_t)(y * weights[3]);
    }
    sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
    sums[4] = b0, sums[5] = b1, sums[6] = b2, sums[7] = b3;
    TN_WRITTEN();
}

/* Adds to sums[0..3] the products of `a` with four weight vectors of `count` each. */
TN_FOLDED void tn_dot_4x1(const int8_t *a, TN_FLASH int8_t *weights, int32_t count, uint32_t *sums)
{
    uint32_t a0 = sums[0], a1 = sums[1], a2 = sums[2], a3 = sums[3];

    for (const int8_t *end = a + count; a != end; weights += 4) {
        const int32_t x = *a++;

        a0 += (uint32_t)(x * weights[0]);
        a1 += (uint32_t)(x * weights[1]);
        a2 += (uint32_t)(x * weights[2]);
        a3 += (uint32_t)(x * weights[3]);
    }
    sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
}

/* The products of one vector with one weight vector, added to `sum`. */
static inline uint32_t tn_dot_1x1(const int8_t *a, TN_FLASH int8_t *weights, int32_t count, uint32_t sum)
{
    for (const int8_t *end = a + count; a != end;) {
        sum += (uint32_t)(*a++ * *weights++);
    }
    return sum;
}

#endif
