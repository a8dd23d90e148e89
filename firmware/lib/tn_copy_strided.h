/* Copies values that lie at regular distances: SLICE, STRIDED_SLICE, SPLIT, TRANSPOSE and their like differ only in these.
 *
 * The output is written from its first value to its last. Strides are in values, may be negative, and those that are not
 * needed belong to sizes of 1.
 */
#ifndef TN_COPY_STRIDED_H
#define TN_COPY_STRIDED_H

#include <string.h>

#include "tn_compiler.h"

struct tn_copy_strided {
    int32_t start; /* of the output's first value in the input */
    int32_t size_0, size_1, size_2, size_3, size_4;
    int32_t stride_0, stride_1, stride_2, stride_3, stride_4;
};

/* The last dimension: in one piece where it lies so. */
TN_FOLDED int8_t *tn_copy_run(const struct tn_copy_strided *p, const int8_t *from, int8_t *output)
{
    if (p->stride_4 == 1) {
        memcpy(output, from, (size_t)p->size_4);
        return output + p->size_4;
    }
    for (int32_t i = 0; i < p->size_4; i++, from += p->stride_4) {
        *output++ = *from;
    }
    return output;
}

TN_FOLDED void tn_copy_strided(const struct tn_copy_strided *p, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < p->size_0; i++) {
        for (int32_t j = 0; j < p->size_1; j++) {
            for (int32_t k = 0; k < p->size_2; k++) {
                for (int32_t l = 0; l < p->size_3; l++) {
                    const int32_t at = p->start + i * p->stride_0 + j * p->stride_1 + k * p->stride_2 + l * p->stride_3;

                    output = tn_copy_run(p, input + at, output);
                }
            }
        }
    }
}

#endif
