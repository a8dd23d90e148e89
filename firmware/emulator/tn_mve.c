/* Encodings: ARM DDI 0553B (Armv8.1-M), chapter C2. Cycles: Arm's "Introduction to the Arm Cortex-M55 Processor" and
 * "Helium optimization", general optimizations: the core works on two of a vector's four beats in a cycle, so 2 cycles
 * for each vector instruction, of which one runs beside the instruction before it where one of the two accesses memory
 * and the other one computes. LE takes none: after a loop's first turn the core goes back by itself.
 *
 * Assumed: a cycle for each element of an access with a vector of addresses. Predication changes nothing, neither
 * cycles nor words. Not modelled: arithmetic that runs beside other arithmetic, which makes real code faster; waits for
 * a result that the next instruction needs, which make it slower.
 */
#include "tn_mve.h"

enum { BEATS = 2 };

static uint32_t bits(uint32_t value, unsigned from, unsigned count)
{
    return value >> from & ((1u << count) - 1);
}

static struct tn_insn vector(enum tn_class class, unsigned cycles, enum tn_vector kind)
{
    return (struct tn_insn){.class = class, .cycles = (uint8_t)cycles, .vector = kind};
}

/* LE, LETP, WLS, WLSTP, DLS, DLSTP, LCTP, VCTP. */
static struct tn_insn loop(uint16_t low, uint16_t high)
{
    struct tn_insn insn = {.class = TN_BRANCH, .cycles = 1};

    if (bits(high, 13, 1)) {
        insn.class = TN_OTHER;
    } else if (bits(low, 0, 4) == 15) {
        insn.cycles = 0; /* LE */
    } else {
        insn.flow = TN_DIRECT;
        insn.conditional = true;
    }
    return insn;
}

static struct tn_insn access(uint16_t low, uint16_t high)
{
    const uint32_t elements = 16u >> bits(high, 7, 2);
    const bool whole = bits(high, 12, 1); /* elements fill the vector as they lie in memory; or VLD2, VLD4 and their kin */
    const bool by_offsets = !bits(low, 8, 1) && !bits(low, 5, 1) && !whole;
    const bool by_addresses = bits(low, 8, 5) == 0x1D;
    struct tn_insn insn = vector(bits(low, 4, 1) ? TN_LOAD : TN_STORE, BEATS, TN_VECTOR_ACCESS);
    uint32_t bytes = 16;

    if (by_offsets) {
        bytes = elements << (bits(high, 6, 1) << 1 | bits(high, 4, 1));
        insn.cycles = (uint8_t)elements;
    } else if (by_addresses) {
        insn.cycles = bits(high, 8, 1) ? 2 : 4; /* VLDRD, or VLDRW */
    } else if (!whole) {
        bytes = elements << bits(low, 3, 1);
    }
    insn.words = (uint8_t)(bytes / 4);
    insn.aligned = true;
    return insn;
}

bool tn_mve_decode(uint16_t low, uint16_t high, struct tn_insn *insn)
{
    if (bits(low, 11, 5) == 0x1E && (high & 0xD001) == 0xC001) {
        *insn = loop(low, high);
        return true;
    }
    /* The space of coprocessors, but for 10 and 11, which are floating point, unless it is Neon's, whose numbers are
 * none. */
    if (bits(low, 13, 3) != 7 || bits(low, 10, 2) != 3 || (bits(high, 9, 3) == 5 && bits(low, 8, 2) != 3)) {
        return false;
    }
    if (bits(low, 9, 1)) {
        *insn = vector(TN_VECTOR, BEATS, TN_VECTOR_ARITHMETIC);
    } else if (!bits(low, 12, 1) && !bits(low, 7, 2) && !bits(low, 5, 1)) {
        *insn = vector(TN_VECTOR, 1, TN_NO_VECTOR); /* VMOV of two lanes and two core registers */
    } else {
        *insn = access(low, high);
    }
    return true;
}
