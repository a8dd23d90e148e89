/* Layers that run in turn on a few rows at a time: which rows each of them has in memory, and where. */
#ifndef TN_PATCH_H
#define TN_PATCH_H

#include "tn_dsp.h"

/* One layer in one patch. Distances are from the start of each activation's memory [B]. */
struct tn_patch {
    int32_t rows; /* of its output that are new; without any there is nothing to compute */
    int32_t inputs[2];
    int32_t output;
    int32_t kept_from; /* where rows lie that later patches read as well, and that move to the start */
    int32_t kept_bytes;
};

TN_APART void tn_keep_rows(int8_t *memory, int32_t from, int32_t count)
{
    /* Upwards, since they may lie where they are to go. */
    if (from > 0) {
        tn_copy_bytes(memory, memory + from, count);
    }
    TN_WRITTEN();
}

#endif
