/* What the cycle counter has to know of a Thumb-2 instruction (ARMv7E-M): what it is, what it costs, which registers
 * tie it to the instruction before it.
 */
#ifndef TN_THUMB_H
#define TN_THUMB_H

#include <stdbool.h>
#include <stdint.h>

/* In the order of the columns that the plugin writes. */
enum tn_class {
    TN_ALU,
    TN_MULTIPLY, /* MUL, MLA, MLS and the long ones */
    TN_DSP,      /* what the DSP extension adds: SMLAD, SMMLAR, SXTB16, PKHBT, QADD ... */
    TN_LOAD,
    TN_STORE,
    TN_BRANCH,
    TN_DIVIDE,
    TN_FPU, /* floating-point arithmetic and moves; VLDR and VSTR are loads and stores */
    TN_VECTOR, /* of MVE, except loads and stores */
    TN_OTHER,
    TN_CLASSES,
};

/* What of a vector instruction may run beside its neighbour. */
enum tn_vector {
    TN_NO_VECTOR,
    TN_VECTOR_ACCESS,
    TN_VECTOR_ARITHMETIC,
};

/* How the program counter goes on. */
enum tn_flow {
    TN_NEXT,
    TN_DIRECT,   /* to an address in the instruction itself, known while it is decoded */
    TN_INDIRECT, /* to an address in a register, known when it is executed */
    TN_LOADED,   /* to an address that is loaded from memory first */
};

struct tn_insn {
    enum tn_class class;
    enum tn_flow flow;
    enum tn_vector vector;
    uint8_t bytes;     /* 2 or 4 */
    uint8_t cycles;    /* alone, without wait states, as a branch that is not taken */
    uint8_t words;     /* that are loaded or stored */
    bool aligned;      /* its address cannot be an unaligned one: of a byte, or of what faults there */
    bool conditional;  /* a branch that may fall through */
    bool is_it;
    bool single_load;  /* LDR of a word, halfword or byte: its last cycle overlaps with a load or store after it */
    bool pipelines;    /* a single load, or a store to base plus register: a cycle less after a single load */
    uint16_t address;  /* core registers that its address is computed from, one bit each */
    uint16_t loaded;   /* core registers that a single load writes */
    uint16_t computed; /* core registers that data processing writes */
    uint32_t fp_reads; /* single-precision registers */
    uint32_t fp_computed;
};

/* The core whose cycles count, and whether there are vectors. */
enum tn_core {
    TN_CORTEX_M4,
    TN_CORTEX_M3,
    TN_CORTEX_M0,
    TN_CORTEX_M55,
};
void tn_thumb_init(enum tn_core core);

/* The instruction whose first halfword is `low`; `high` is the second one where `bytes` comes out as 4. */
struct tn_insn tn_decode(uint16_t low, uint16_t high);

/* What a taken branch costs more than one that is not; `straddles`: its target has 4 bytes and is not aligned to 4. */
unsigned tn_refill_cycles(enum tn_flow flow, bool straddles);

#endif
