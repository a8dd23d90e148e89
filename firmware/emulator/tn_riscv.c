/* RV32IMAC: The RISC-V Instruction Set Manual, volume I, version 20191213, chapters 16 (compressed) and 24 (listings). */
#include "tn_riscv.h"

static unsigned field(uint32_t word, unsigned low, unsigned bits)
{
    return word >> low & ((1u << bits) - 1);
}

static struct tn_riscv_insn flow(enum tn_riscv_flow how, unsigned to, unsigned from_1, unsigned from_2)
{
    return (struct tn_riscv_insn){
        .kind = TN_RV_FLOW, .flow = how, .to = (uint8_t)to, .from_1 = (uint8_t)from_1, .from_2 = (uint8_t)from_2};
}

static struct tn_riscv_insn plain(enum tn_riscv_kind kind, unsigned to, unsigned from_1, unsigned from_2)
{
    return (struct tn_riscv_insn){
        .kind = kind, .to = (uint8_t)to, .from_1 = (uint8_t)from_1, .from_2 = (uint8_t)from_2};
}

static struct tn_riscv_insn indirect(unsigned to, unsigned from)
{
    return flow(to == 0 && (from == 1 || from == 5) ? TN_RV_RETURN : TN_RV_INDIRECT, to, from, 0);
}

/* Registers of three bits are those from x8 on. */
static struct tn_riscv_insn decode_quadrant_0(uint32_t word)
{
    const unsigned low = 8 + field(word, 2, 3), high = 8 + field(word, 7, 3);

    switch (field(word, 13, 3)) {
    case 0:
        return plain(TN_RV_PLAIN, low, 2, 0); /* C.ADDI4SPN */
    case 2:
        return plain(TN_RV_LOAD_WORD, low, high, 0);
    case 6:
        return plain(TN_RV_STORE, 0, high, low);
    default:
        return plain(TN_RV_OTHER, 0, 0, 0);
    }
}

static struct tn_riscv_insn decode_quadrant_1(uint32_t word)
{
    const unsigned full = field(word, 7, 5), high = 8 + field(word, 7, 3), low = 8 + field(word, 2, 3);

    switch (field(word, 13, 3)) {
    case 0:
        return plain(TN_RV_PLAIN, full, full, 0); /* C.ADDI */
    case 1:
        return flow(TN_RV_JUMP, 1, 0, 0); /* C.JAL */
    case 2:
        return plain(TN_RV_PLAIN, full, 0, 0); /* C.LI */
    case 3:
        return plain(TN_RV_PLAIN, full, full == 2 ? 2 : 0, 0); /* C.ADDI16SP, C.LUI */
    case 4:
        return plain(TN_RV_PLAIN, high, high, field(word, 10, 2) == 3 ? low : 0);
    case 5:
        return flow(TN_RV_JUMP, 0, 0, 0); /* C.J */
    default:
        return flow(TN_RV_BRANCH, 0, high, 0); /* C.BEQZ, C.BNEZ */
    }
}

static struct tn_riscv_insn decode_quadrant_2(uint32_t word)
{
    const unsigned high = field(word, 7, 5), low = field(word, 2, 5), links = field(word, 12, 1);

    switch (field(word, 13, 3)) {
    case 0:
        return plain(TN_RV_PLAIN, high, high, 0); /* C.SLLI */
    case 2:
        return plain(TN_RV_LOAD_WORD, high, 2, 0);
    case 4:
        if (low) {
            return plain(TN_RV_PLAIN, high, links ? high : 0, low); /* C.ADD, C.MV */
        }
        return high ? indirect(links, high) : plain(TN_RV_OTHER, 0, 0, 0); /* C.JR, C.JALR, C.EBREAK */
    case 6:
        return plain(TN_RV_STORE, 0, 2, low);
    default:
        return plain(TN_RV_OTHER, 0, 0, 0);
    }
}

static struct tn_riscv_insn decode_full(uint32_t word)
{
    const unsigned to = field(word, 7, 5), from_1 = field(word, 15, 5), from_2 = field(word, 20, 5);
    const unsigned function = field(word, 12, 3);

    switch (field(word, 0, 7)) {
    case 0x03:
        return plain(function == 2 ? TN_RV_LOAD_WORD : TN_RV_LOAD_PART, to, from_1, 0);
    case 0x13:
        return plain(TN_RV_PLAIN, to, from_1, 0);
    case 0x17:
    case 0x37:
        return plain(TN_RV_PLAIN, to, 0, 0); /* AUIPC, LUI */
    case 0x23:
        return plain(TN_RV_STORE, 0, from_1, from_2);
    case 0x2F:
        return plain(TN_RV_LOAD_WORD, to, from_1, from_2); /* atomics */
    case 0x33:
        if (field(word, 25, 7) == 1) {
            return plain(function < 4 ? TN_RV_MULTIPLY : TN_RV_DIVIDE, to, from_1, from_2);
        }
        return plain(TN_RV_PLAIN, to, from_1, from_2);
    case 0x63:
        return flow(TN_RV_BRANCH, 0, from_1, from_2);
    case 0x67:
        return indirect(to, from_1);
    case 0x6F:
        return flow(TN_RV_JUMP, to, 0, 0);
    case 0x73:
        return function ? plain(TN_RV_CSR, to, function < 4 ? from_1 : 0, 0) : plain(TN_RV_OTHER, 0, 0, 0);
    default:
        return plain(TN_RV_OTHER, 0, 0, 0);
    }
}

struct tn_riscv_insn tn_riscv_decode(uint32_t word)
{
    struct tn_riscv_insn insn;

    switch (field(word, 0, 2)) {
    case 0:
        insn = decode_quadrant_0(word);
        break;
    case 1:
        insn = decode_quadrant_1(word);
        break;
    case 2:
        insn = decode_quadrant_2(word);
        break;
    default:
        insn = decode_full(word);
        insn.bytes = 4;
        return insn;
    }
    insn.bytes = 2;
    return insn;
}
