/* BATCH_MATMUL: products of matrices, as many as the batch dimensions say; strides say how each lies in memory. */
#ifndef TN_BATCH_MATMUL_H
#define TN_BATCH_MATMUL_H

#include "tn_fixed_point.h"

struct tn_batch_matmul {
    int32_t batch_0, batch_1, batch_2;
    int32_t a_0, a_1, a_2; /* between the matrices; 0 where one serves a whole dimension */
    int32_t b_0, b_1, b_2;
    int32_t rows;
    int32_t depth;
    int32_t columns;
    int32_t a_row, a_depth;
    int32_t b_depth, b_column;
    int32_t zero_point_a;
    int32_t zero_point_b;
    int32_t multiplier;
    int32_t shift;
    struct tn_rescale rescale;
};

TN_FOLDED int8_t *tn_batch_matmul_one(const struct tn_batch_matmul *p, const int8_t *a, const int8_t *b,
                                          int8_t *output)
{
    for (int32_t i = 0; i < p->rows; i++) {
        for (int32_t j = 0; j < p->columns; j++) {
            const int8_t *x = a + i * p->a_row, *y = b + j * p->b_column;
            uint32_t sum = 0;

            for (int32_t k = 0; k < p->depth; k++, x += p->a_depth, y += p->b_depth) {
                sum += (uint32_t)((*x - p->zero_point_a) * (*y - p->zero_point_b));
            }
            *output++ = tn_rescale(&p->rescale, 0, sum, p->multiplier, p->shift);
        }
    }
    return output;
}

TN_FOLDED void tn_batch_matmul(const struct tn_batch_matmul *p, const int8_t *a, const int8_t *b, int8_t *output)
{
    for (int32_t i = 0; i < p->batch_0; i++) {
        for (int32_t j = 0; j < p->batch_1; j++) {
            for (int32_t k = 0; k < p->batch_2; k++) {
                output = tn_batch_matmul_one(p, a + i * p->a_0 + j * p->a_1 + k * p->a_2,
                                             b + i * p->b_0 + j * p->b_1 + k * p->b_2, output);
            }
        }
    }
}

#endif
