/* Element-wise operators of one input: what each of the 256 inputs becomes is known offline. */
#ifndef TN_MAP_H
#define TN_MAP_H

#include "tn_compiler.h"

struct tn_map {
    int32_t count;
};

/* table[0] is for the input -128. */
TN_FOLDED void tn_map(const struct tn_map *layer, const int8_t *input, int8_t *output, TN_FLASH int8_t *table)
{
    for (int32_t i = 0; i < layer->count; i++) {
        output[i] = table[input[i] + 128];
    }
}

#endif
