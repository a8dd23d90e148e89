/* What Armv8.1-M adds to the instructions of tn_thumb.h: vectors (MVE) and low-overhead loops, as of a Cortex-M55. */
#ifndef TN_MVE_H
#define TN_MVE_H

#include "tn_thumb.h"

/* Whether the instruction of 4 bytes is one of these; `bytes` is left alone. */
bool tn_mve_decode(uint16_t low, uint16_t high, struct tn_insn *insn);

#endif
