/* What was executed since the last write to the sync pin, and the file that tells of it. Every core's model adds here. */
#ifndef TN_COUNTS_H
#define TN_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tn_thumb.h"

/* Instructions of one class that cost and move the same, and how often one of them was executed. QEMU adds to `count`
 * without leaving translated code, which is what makes counting cheap. */
struct tn_kind {
    enum tn_class class;
    unsigned cycles, loads, stores;
    uint64_t count;
};

/* What depends on what happens, beside the kinds. */
struct tn_dynamic {
    uint64_t cycles, loads, stores, wait_cycles;
};

extern struct tn_dynamic tn_dynamic;

/* False where the file cannot be opened. */
bool tn_open_counts(const char *path);

/* The kind that equals these, which is made if there is none. */
struct tn_kind *tn_find_kind(enum tn_class class, unsigned cycles, unsigned loads, unsigned stores);

/* Writes a line of what was counted, and starts from zero. */
void tn_append_interval(void);

#endif
