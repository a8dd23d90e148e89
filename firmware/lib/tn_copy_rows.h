/* Copies rows from one pitch to another: CONCATENATION, one call per input. */
#ifndef TN_COPY_ROWS_H
#define TN_COPY_ROWS_H

#include <string.h>

#include "tn_compiler.h"

struct tn_copy_rows {
    int32_t rows;
    int32_t row_bytes;
    int32_t out_pitch;
    int32_t out_offset;
};

TN_FOLDED void tn_copy_rows(const struct tn_copy_rows *layer, const int8_t *input, int8_t *output)
{
    output += layer->out_offset;
    for (int32_t i = 0; i < layer->rows; i++) {
        memcpy(output, input, (size_t)layer->row_bytes);
        input += layer->row_bytes;
        output += layer->out_pitch;
    }
}

#endif
