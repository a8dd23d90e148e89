/* PAD and PADV2 in up to four dimensions: the output is filled, then the input's rows are copied into it. */
#ifndef TN_PAD_H
#define TN_PAD_H

#include <string.h>

#include "tn_compiler.h"

struct tn_pad {
    int32_t count; /* of the output */
    int32_t value;
    int32_t size_0, size_1, size_2; /* of the input, as rows of row_bytes */
    int32_t row_bytes;
    int32_t out_offset; /* of the input's first row in the output */
    int32_t pitch_0, pitch_1, pitch_2; /* of the output */
};

TN_FOLDED void tn_pad(const struct tn_pad *layer, const int8_t *input, int8_t *output)
{
    memset(output, (int)layer->value, (size_t)layer->count);
    output += layer->out_offset;
    for (int32_t i = 0; i < layer->size_0; i++) {
        for (int32_t j = 0; j < layer->size_1; j++) {
            for (int32_t k = 0; k < layer->size_2; k++) {
                memcpy(output + i * layer->pitch_0 + j * layer->pitch_1 + k * layer->pitch_2, input,
                       (size_t)layer->row_bytes);
                input += layer->row_bytes;
            }
        }
    }
}

#endif
