/* What the cycle counter has to know of an RV32IMAC instruction, and the model of the core that it runs on. */
#ifndef TN_RISCV_H
#define TN_RISCV_H

#include "tn_qemu.h"
#include "tn_thumb.h"

enum tn_riscv_flow {
    TN_RV_NEXT,
    TN_RV_JUMP,     /* to an address in the instruction */
    TN_RV_BRANCH,   /* there, or on */
    TN_RV_INDIRECT, /* to an address in a register */
    TN_RV_RETURN,   /* to the one in ra or t0: the return-address stack knows it */
};

enum tn_riscv_kind {
    TN_RV_PLAIN,
    TN_RV_LOAD_WORD,
    TN_RV_LOAD_PART, /* a byte or a halfword */
    TN_RV_STORE,
    TN_RV_MULTIPLY,
    TN_RV_DIVIDE,
    TN_RV_CSR,
    TN_RV_FLOW,
    TN_RV_OTHER,
};

/* Registers by number; 0, which is always zero, where there is none. */
struct tn_riscv_insn {
    enum tn_riscv_kind kind;
    enum tn_riscv_flow flow;
    uint8_t bytes; /* 2 or 4 */
    uint8_t to, from_1, from_2;
};

/* The instruction in the low bits of `word`; of a compressed one, the upper half is not looked at. */
struct tn_riscv_insn tn_riscv_decode(uint32_t word);

/* The model of SiFive's E31: tn_e31.c. */
void tn_e31_init(uint32_t sync_address);
void tn_e31_translate(uint64_t id, struct qemu_plugin_tb *tb);

#endif
