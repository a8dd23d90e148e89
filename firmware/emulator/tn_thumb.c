/* Thumb-2 to costs. Encodings: ARM DDI 0403E, chapter A5. Cycles: ARM DDI 0439B (Cortex-M4 technical reference manual),
 * tables 3-1, 3-2 and 7-1, and section 3.3.2, "Load/store timings".
 *
 * Where the manual gives a range, this takes: 12 of "2 to 12" for a divide, which depends on the operands; 2 of "1 or
 * 2" for MRS, MSR and CPS; 1 for a barrier with nothing to wait for. WFI and WFE count one cycle without the sleep.
 */
#include "tn_thumb.h"

#include "tn_mve.h"

static enum tn_core core;

void tn_thumb_init(enum tn_core chosen)
{
    core = chosen;
}

/* A Cortex-M3 differs in its multiplier (ARM DDI 0337E, table 18-1): two cycles with a sum, and with results of 64 bits 3
 * to 5, or 4 to 7 with a sum, signed ones one more than unsigned. It ends early with small operands; this takes the most. */
enum { M3_SUM_CYCLES = 2, M3_UMULL_CYCLES = 4, M3_UMLAL_CYCLES = 6 };

enum { SP = 13, PC = 15, DIVIDE_CYCLES = 12, FP_DIVIDE_CYCLES = 14, FP_MAC_CYCLES = 3 };

static uint32_t bits(uint32_t value, unsigned from, unsigned count)
{
    return value >> from & ((1u << count) - 1);
}

static uint16_t reg(uint32_t number)
{
    return (uint16_t)(1u << (number & 15));
}

static struct tn_insn plain(enum tn_class class, unsigned cycles)
{
    return (struct tn_insn){.class = class, .cycles = (uint8_t)cycles};
}

/* Data processing of one cycle. To the program counter it is a branch. */
static struct tn_insn computes(enum tn_class class, uint32_t rd)
{
    struct tn_insn insn = plain(rd == PC ? TN_BRANCH : class, 1);

    insn.flow = rd == PC ? TN_INDIRECT : TN_NEXT;
    insn.computed = rd == PC ? 0 : reg(rd);
    return insn;
}

static struct tn_insn branch(enum tn_flow flow, bool conditional)
{
    struct tn_insn insn = plain(TN_BRANCH, 1);

    insn.flow = flow;
    insn.conditional = conditional;
    return insn;
}

static struct tn_insn load(uint32_t rt, uint16_t address, bool aligned)
{
    struct tn_insn insn = plain(TN_LOAD, 2);

    insn.words = 1;
    insn.aligned = aligned;
    insn.address = address;
    insn.pipelines = true;
    if (rt == PC) {
        insn.flow = TN_LOADED;
    } else {
        insn.single_load = true;
        insn.loaded = reg(rt);
    }
    return insn;
}

/* "STR Rx,[Ry,#imm] is always one cycle"; a register offset takes a second one, which a load before it hides. */
static struct tn_insn store(uint16_t address, bool register_offset, bool aligned)
{
    struct tn_insn insn = plain(TN_STORE, register_offset ? 2 : 1);

    insn.words = 1;
    insn.aligned = aligned;
    insn.address = address;
    insn.pipelines = register_offset;
    return insn;
}

/* LDM, STM, PUSH, POP, LDRD, STRD: 1 + N, never overlapping with their neighbours. */
static struct tn_insn transfer(bool is_load, uint32_t base, unsigned words, bool to_pc)
{
    struct tn_insn insn = plain(is_load ? TN_LOAD : TN_STORE, 1 + words);

    insn.words = (uint8_t)words;
    insn.aligned = true;
    insn.address = reg(base);
    insn.flow = is_load && to_pc ? TN_LOADED : TN_NEXT;
    return insn;
}

static unsigned count_bits(uint32_t list)
{
    return (unsigned)__builtin_popcount(list);
}

static struct tn_insn narrow_register(uint16_t op)
{
    const uint32_t rd = bits(op, 7, 1) << 3 | bits(op, 0, 3);

    switch (bits(op, 8, 2)) {
    case 0: /* ADD */
    case 2: /* MOV */
        return computes(TN_ALU, rd);
    case 1: /* CMP */
        return plain(TN_ALU, 1);
    default: /* BX, BLX */
        return branch(TN_INDIRECT, false);
    }
}

static struct tn_insn narrow_miscellaneous(uint16_t op)
{
    switch (bits(op, 8, 4)) {
    case 0x0: /* ADD, SUB to SP */
        return computes(TN_ALU, SP);
    case 0x1:
    case 0x3:
    case 0x9:
    case 0xB: /* CBZ, CBNZ */
        return branch(TN_DIRECT, true);
    case 0x2: /* SXTH ... UXTB */
    case 0xA: /* REV ... */
        return computes(TN_ALU, bits(op, 0, 3));
    case 0x4:
    case 0x5: /* PUSH */
        return transfer(false, SP, count_bits(bits(op, 0, 9)), false);
    case 0x6: /* CPS */
        return plain(TN_OTHER, 2);
    case 0xC:
    case 0xD: /* POP */
        return transfer(true, SP, count_bits(bits(op, 0, 9)), bits(op, 8, 1));
    case 0xF: {
        struct tn_insn insn = plain(TN_OTHER, 1);

        insn.is_it = bits(op, 0, 4) != 0; /* else a hint */
        return insn;
    }
    default:
        return plain(TN_OTHER, 1);
    }
}

static struct tn_insn narrow_load_store(uint16_t op)
{
    const uint16_t rn = reg(bits(op, 3, 3));
    const uint32_t rt = bits(op, 0, 3);

    switch (bits(op, 12, 4)) {
    case 0x4: /* LDR literal */
        return load(bits(op, 8, 3), 0, true);
    case 0x5: { /* base plus register: STR, STRH, STRB, LDRSB, LDR, LDRH, LDRB, LDRSH */
        const uint32_t kind = bits(op, 9, 3);
        const uint16_t address = rn | reg(bits(op, 6, 3));

        return kind < 3 ? store(address, true, kind == 2) : load(rt, address, kind == 3 || kind == 6);
    }
    case 0x9: /* relative to SP, in words */
        return bits(op, 11, 1) ? load(bits(op, 8, 3), reg(SP), true) : store(reg(SP), false, true);
    default: /* 7: LDRB, STRB */
        return bits(op, 11, 1) ? load(rt, rn, bits(op, 12, 4) == 0x7) : store(rn, false, bits(op, 12, 4) == 0x7);
    }
}

static struct tn_insn narrow(uint16_t op)
{
    switch (bits(op, 12, 4)) {
    case 0x0:
    case 0x1: /* shifts, ADD and SUB of three operands */
        return computes(TN_ALU, bits(op, 0, 3));
    case 0x2:
    case 0x3: /* MOV, CMP, ADD, SUB immediate */
        return bits(op, 11, 2) == 1 && bits(op, 12, 4) == 2 ? plain(TN_ALU, 1) : computes(TN_ALU, bits(op, 8, 3));
    case 0x4:
        if (bits(op, 11, 1)) {
            return narrow_load_store(op);
        }
        if (bits(op, 10, 1)) {
            return narrow_register(op);
        }
        switch (bits(op, 6, 4)) {
        case 8:  /* TST */
        case 10: /* CMP */
        case 11: /* CMN */
            return plain(TN_ALU, 1);
        default:
            return computes(bits(op, 6, 4) == 13 ? TN_MULTIPLY : TN_ALU, bits(op, 0, 3));
        }
    case 0x5:
    case 0x6:
    case 0x7:
    case 0x8:
    case 0x9:
        return narrow_load_store(op);
    case 0xA: /* ADR, ADD from SP */
        return computes(TN_ALU, bits(op, 8, 3));
    case 0xB:
        return narrow_miscellaneous(op);
    case 0xC: /* STM, LDM */
        return transfer(bits(op, 11, 1), bits(op, 8, 3), count_bits(bits(op, 0, 8)), false);
    case 0xD: /* B<cond>; UDF and SVC in place of the last two conditions */
        return bits(op, 8, 4) < 14 ? branch(TN_DIRECT, true) : plain(TN_OTHER, 1);
    default:
        return branch(TN_DIRECT, false);
    }
}

/* LDRD, STRD, LDREX, STREX, TBB, TBH. */
static struct tn_insn wide_dual(uint16_t low, uint16_t high)
{
    const uint32_t rn = bits(low, 0, 4);
    const bool is_load = bits(low, 4, 1);

    if (bits(low, 8, 1) || bits(low, 5, 1)) {
        return transfer(is_load, rn, 2, false);
    }
    if (bits(low, 7, 1) && is_load && bits(high, 5, 3) == 0) {
        struct tn_insn insn = plain(TN_BRANCH, 3); /* TBB, TBH: a load of two cycles, an addition */

        insn.flow = TN_LOADED;
        insn.words = 1;
        insn.address = reg(rn) | reg(bits(high, 0, 4));
        return insn;
    }
    /* STREX writes whether it stored, and is pipelined as a load. */
    return is_load ? load(bits(high, 12, 4), reg(rn), true) : store(reg(rn), true, true);
}

static struct tn_insn wide_load_store(uint16_t low, uint16_t high)
{
    const uint32_t rn = bits(low, 0, 4);
    const uint32_t rt = bits(high, 12, 4);
    const bool register_offset = !bits(low, 7, 1) && rn != PC && bits(high, 6, 6) == 0;
    const uint16_t address = (rn == PC ? 0 : reg(rn)) | (register_offset ? reg(bits(high, 0, 4)) : 0);

    if (!bits(low, 4, 1)) {
        return store(address, register_offset, bits(low, 5, 2) == 0);
    }
    if (rt == PC && bits(low, 5, 2) != 2) {
        return plain(TN_OTHER, 1); /* PLD, PLI */
    }
    return load(rt, address, bits(low, 5, 2) == 0);
}

static struct tn_insn wide_register(uint16_t low, uint16_t high)
{
    const uint32_t op = bits(low, 4, 4);
    bool dsp;

    if (op < 8) { /* shifts by register; extensions, with addition or of two bytes in the DSP extension */
        dsp = bits(high, 7, 1) && (op == 2 || op == 3 || bits(low, 0, 4) != PC);
    } else { /* parallel addition; QADD, SEL, beside REV and CLZ */
        dsp = !bits(high, 7, 1) || !(op & 1);
    }
    return computes(dsp ? TN_DSP : TN_ALU, bits(high, 8, 4));
}

static struct tn_insn wide_multiply(uint16_t low, uint16_t high)
{
    const uint32_t op = bits(low, 4, 3);
    struct tn_insn insn;

    if (!bits(low, 7, 1)) {
        insn = computes(op == 0 ? TN_MULTIPLY : TN_DSP, bits(high, 8, 4));
        if (core == TN_CORTEX_M3 && (bits(high, 12, 4) != PC || bits(high, 4, 4))) { /* not MUL */
            insn.cycles = M3_SUM_CYCLES;
        }
        return insn;
    }
    if (op == 1 || op == 3) {
        insn = computes(TN_DIVIDE, bits(high, 8, 4));
        insn.cycles = DIVIDE_CYCLES;
        return insn;
    }
    insn = computes(op == 5 || bits(high, 4, 4) ? TN_DSP : TN_MULTIPLY, bits(high, 8, 4));
    insn.computed |= reg(bits(high, 12, 4));
    if (core == TN_CORTEX_M3) { /* 0 SMULL, 2 UMULL, 4 SMLAL, 6 UMLAL */
        insn.cycles = (uint8_t)((op & 4 ? M3_UMLAL_CYCLES : M3_UMULL_CYCLES) + (op & 2 ? 0 : 1));
    }
    return insn;
}

static struct tn_insn wide_branch(uint16_t low, uint16_t high)
{
    if (bits(high, 12, 1) || bits(high, 14, 1)) {
        return branch(TN_DIRECT, false); /* B, BL */
    }
    if (bits(low, 7, 3) != 7) {
        return branch(TN_DIRECT, true);
    }
    switch (bits(low, 5, 2)) {
    case 0: /* MSR */
    case 3: /* MRS */
        return plain(TN_OTHER, 2);
    default: /* hints and barriers */
        return plain(TN_OTHER, 1);
    }
}

static uint32_t fp_register(uint32_t field, uint32_t lowest)
{
    return 1u << (field << 1 | lowest);
}

static struct tn_insn fp_load_store(uint16_t low, uint16_t high)
{
    const bool is_load = bits(low, 4, 1);
    const uint32_t rn = bits(low, 0, 4);
    struct tn_insn insn;

    if (bits(low, 8, 1) && !bits(low, 5, 1)) { /* VLDR, VSTR */
        insn = transfer(is_load, rn, bits(high, 8, 1) ? 2 : 1, false);
        if (!is_load) {
            insn.fp_reads = fp_register(bits(high, 12, 4), bits(low, 6, 1));
        }
    } else {
        insn = transfer(is_load, rn, bits(high, 0, 8), false);
    }
    if (rn == PC) {
        insn.address = 0;
    }
    return insn;
}

static struct tn_insn fp_arithmetic(uint16_t low, uint16_t high)
{
    const uint32_t op = bits(low, 4, 4) & 0xB;
    const uint32_t vn = fp_register(bits(low, 0, 4), bits(high, 7, 1));
    const uint32_t vm = fp_register(bits(high, 0, 4), bits(high, 5, 1));
    const uint32_t vd = fp_register(bits(high, 12, 4), bits(low, 6, 1));
    struct tn_insn insn = plain(TN_FPU, 1);

    insn.fp_computed = vd;
    insn.fp_reads = vn | vm;
    switch (op) {
    case 0x2: /* VMUL */
    case 0x3: /* VADD, VSUB */
        break;
    case 0x8:
        insn.cycles = FP_DIVIDE_CYCLES;
        break;
    case 0xB: { /* one operand */
        const uint32_t opc2 = bits(low, 0, 4);
        const uint32_t opc3 = bits(high, 6, 2);

        insn.fp_reads = opc3 & 1 ? vm : 0; /* else VMOV of an immediate */
        if (opc2 == 4 || opc2 == 5) {
            insn.fp_reads = vd | (opc2 == 4 ? vm : 0); /* VCMP */
            insn.fp_computed = 0;
        } else if (opc2 == 1 && opc3 == 3) {
            insn.cycles = FP_DIVIDE_CYCLES; /* VSQRT */
        } else if (opc2 == 0 || opc2 == 1) {
            insn.fp_computed = 0; /* VMOV, VABS, VNEG are no arithmetic */
        }
        break;
    }
    default: /* VMLA, VFMA and their kin */
        insn.cycles = FP_MAC_CYCLES;
        break;
    }
    return insn;
}

static struct tn_insn floating_point(uint16_t low, uint16_t high)
{
    struct tn_insn insn;

    if (bits(high, 9, 3) != 5) {
        return plain(TN_OTHER, 1);
    }
    if (bits(low, 5, 7) == 0x62) { /* VMOV of two core registers */
        insn = plain(TN_FPU, 2);
        if (bits(low, 4, 1)) {
            insn.computed = reg(bits(high, 12, 4)) | reg(bits(low, 0, 4));
        }
        return insn;
    }
    if (bits(low, 9, 1) == 0) {
        return fp_load_store(low, high);
    }
    if (bits(high, 4, 1) == 0) {
        return fp_arithmetic(low, high);
    }
    insn = plain(TN_FPU, 1); /* VMOV of one core register, VMRS, VMSR */
    if (bits(low, 4, 1) && bits(high, 12, 4) != PC) {
        insn.computed = reg(bits(high, 12, 4));
        insn.fp_reads = fp_register(bits(low, 0, 4), bits(high, 7, 1));
    }
    return insn;
}

/* Data processing with an operand that is shifted or immediate: to register 15 is a comparison. */
static struct tn_insn wide_data(enum tn_class class, uint16_t high)
{
    return bits(high, 8, 4) == PC ? plain(class, 1) : computes(class, bits(high, 8, 4));
}

static struct tn_insn wide(uint16_t low, uint16_t high)
{
    switch (bits(low, 9, 4)) {
    case 0x4: /* 1110 100 */
        if (bits(low, 6, 1)) {
            return wide_dual(low, high);
        }
        return transfer(bits(low, 4, 1), bits(low, 0, 4), count_bits(high), bits(high, 15, 1));
    case 0x5: /* 1110 101 */
        return wide_data(bits(low, 5, 4) == 6 ? TN_DSP : TN_ALU, high);
    case 0x6:
    case 0x7: /* 1110 11 */
        return floating_point(low, high);
    case 0xC: /* 1111 100 */
        return wide_load_store(low, high);
    case 0xD: /* 1111 101 */
        return bits(low, 8, 1) ? wide_multiply(low, high) : wide_register(low, high);
    case 0xE:
    case 0xF:
        return plain(TN_OTHER, 1);
    default: { /* 1111 0 */
        const bool halfwords = (bits(low, 4, 7) & 0x77) == 0x32 && (high & 0x70C0) == 0; /* SSAT16, USAT16 */

        return bits(high, 15, 1) ? wide_branch(low, high) : wide_data(halfwords ? TN_DSP : TN_ALU, high);
    }
    }
}

/* ARM DDI 0432C (Cortex-M0 technical reference manual), table 3-1, with the multiplier of one cycle: neighbours change
 * nothing, a load or a store takes 2, BL 4, other taken branches 3, POP to PC 4 + N, MRS, MSR and barriers 4. */
static struct tn_insn on_cortex_m0(struct tn_insn insn, uint16_t low, bool is_wide)
{
    if (insn.class == TN_STORE && insn.cycles == 1) {
        insn.cycles = 2;
    } else if (is_wide) {
        insn.cycles = insn.class == TN_BRANCH ? 2 : 4;
    } else if (bits(low, 5, 11) == 0x5B3) { /* CPS */
        insn.cycles = 1;
    } else if (low == 0xBF20 || low == 0xBF30) { /* WFE, WFI */
        insn.cycles = 2;
    }
    insn.single_load = insn.pipelines = false;
    insn.address = insn.computed = 0;
    return insn;
}

unsigned tn_refill_cycles(enum tn_flow flow, bool straddles)
{
    if (flow == TN_LOADED) {
        return 3;
    }
    return core == TN_CORTEX_M0 ? 2 : (unsigned)flow + straddles;
}
_Static_assert(TN_DIRECT == 1 && TN_INDIRECT == 2, "the least of P is the flow");

struct tn_insn tn_decode(uint16_t low, uint16_t high)
{
    const bool is_wide = bits(low, 11, 5) >= 0x1D;
    struct tn_insn insn;

    if (!is_wide) {
        insn = narrow(low);
    } else if (core != TN_CORTEX_M55 || !tn_mve_decode(low, high, &insn)) {
        insn = wide(low, high);
    }
    insn.bytes = is_wide ? 4 : 2;
    return core == TN_CORTEX_M0 ? on_cortex_m0(insn, low, is_wide) : insn;
}
