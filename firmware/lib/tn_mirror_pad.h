/* MIRROR_PAD in up to four dimensions: what lies outside the input is the input, mirrored at its edge. */
#ifndef TN_MIRROR_PAD_H
#define TN_MIRROR_PAD_H

#include "tn_compiler.h"

struct tn_mirror_pad {
    int32_t edge; /* 0: the edge itself is mirrored as well (SYMMETRIC), 1: it is not (REFLECT) */
    int32_t size_0, size_1, size_2, size_3;
    int32_t out_0, out_1, out_2, out_3;
    int32_t before_0, before_1, before_2, before_3;
};

/* The input's index for an index that counts from the input's first element. */
static inline int32_t tn_mirrored(int32_t index, int32_t size, int32_t edge)
{
    if (index < 0) {
        return -index - 1 + edge;
    }
    return index < size ? index : 2 * size - 1 - index - edge;
}

TN_FOLDED void tn_mirror_pad(const struct tn_mirror_pad *p, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < p->out_0; i++) {
        const int8_t *const image = input + tn_mirrored(i - p->before_0, p->size_0, p->edge) * p->size_1 * p->size_2 * p->size_3;

        for (int32_t j = 0; j < p->out_1; j++) {
            const int8_t *const row = image + tn_mirrored(j - p->before_1, p->size_1, p->edge) * p->size_2 * p->size_3;

            for (int32_t k = 0; k < p->out_2; k++) {
                const int8_t *const pixel = row + tn_mirrored(k - p->before_2, p->size_2, p->edge) * p->size_3;

                for (int32_t l = 0; l < p->out_3; l++) {
                    *output++ = pixel[tn_mirrored(l - p->before_3, p->size_3, p->edge)];
                }
            }
        }
    }
}

#endif
