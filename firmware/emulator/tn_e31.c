/* Cycles of SiFive's E31, as in the FE310-G000: SiFive FE310-G000 Manual v3p2, sections 3.2 and 3.3.
 *
 * One instruction a cycle, in order. One that reads or writes a register whose value is not there yet waits for it:
 * LW gives its value after two cycles, narrower loads and CSR reads after three, multiplications after five, divisions
 * after "between 2 and 33 depending on the operand values", of which 33 is counted. A multiplication or division also
 * waits until the one before it has its value. A jump or branch that was predicted wrongly costs three more.
 *
 * The manual does not say how branches are predicted. Here each is predicted to go where it went the last time, at
 * first on to the next instruction, and a return is always predicted. Not modelled: the sizes of the predictor's tables
 * (40 targets, 128 histories, 2 returns), which inner loops fit; misses of the instruction cache (16 KB), and the SPI
 * flash: loads from it take as long as those from RAM.
 */
#include <stdlib.h>

#include "tn_counts.h"
#include "tn_riscv.h"

enum {
    REGISTERS = 32,
    NEVER = 255,
    MISPREDICTED_CYCLES = 3,
    LOAD_WORD_CYCLES = 2,
    LOAD_PART_CYCLES = 3,
    CSR_CYCLES = 3,
    MULTIPLY_CYCLES = 5,
    DIVIDE_CYCLES = 33,
};

/* What QEMU translated in one piece: it is entered at its start, and only its last instruction branches. */
struct block {
    uint32_t start, end;
    uint32_t successor;         /* where it went the last time */
    enum tn_riscv_flow flow;    /* of its last instruction */
    uint8_t needed[REGISTERS];  /* cycles after its start at which a register is read or written first, or NEVER */
    uint8_t pending[REGISTERS]; /* cycles after its end at which a register's value is there */
    uint8_t unit_needed, unit_pending; /* the same of the unit that multiplies and divides */
};

/* The block before, unless it was left in its middle. */
static struct block *last;
static uint32_t sync_address;

static unsigned latency(enum tn_riscv_kind kind)
{
    static const unsigned latencies[] = {
        [TN_RV_LOAD_WORD] = LOAD_WORD_CYCLES, [TN_RV_LOAD_PART] = LOAD_PART_CYCLES, [TN_RV_CSR] = CSR_CYCLES,
        [TN_RV_MULTIPLY] = MULTIPLY_CYCLES,   [TN_RV_DIVIDE] = DIVIDE_CYCLES,       [TN_RV_OTHER] = 1,
    };

    return latencies[kind] ? latencies[kind] : 1;
}

static enum tn_class class_of(enum tn_riscv_kind kind)
{
    static const enum tn_class classes[] = {
        [TN_RV_PLAIN] = TN_ALU,       [TN_RV_LOAD_WORD] = TN_LOAD,    [TN_RV_LOAD_PART] = TN_LOAD,
        [TN_RV_STORE] = TN_STORE,     [TN_RV_MULTIPLY] = TN_MULTIPLY, [TN_RV_DIVIDE] = TN_DIVIDE,
        [TN_RV_CSR] = TN_OTHER,       [TN_RV_FLOW] = TN_BRANCH,       [TN_RV_OTHER] = TN_OTHER,
    };

    return classes[kind];
}

/* Cycles for which `block` waits because of what `before` has left pending. */
static unsigned carried_cycles(const struct block *before, const struct block *block)
{
    unsigned most = before->unit_pending > block->unit_needed ? before->unit_pending - block->unit_needed : 0;

    for (unsigned i = 1; i < REGISTERS; i++) {
        const unsigned wait = before->pending[i] > block->needed[i] ? before->pending[i] - block->needed[i] : 0;

        most = wait > most ? wait : most;
    }
    return most;
}

static void enter_block(unsigned cpu, void *data)
{
    struct block *const block = data;

    (void)cpu;
    if (last) {
        const bool predicted = last->flow == TN_RV_NEXT || last->flow == TN_RV_RETURN || last->successor == block->start;

        tn_dynamic.cycles += carried_cycles(last, block) + (predicted ? 0 : MISPREDICTED_CYCLES);
        last->successor = block->start;
    }
    last = block;
}

static void store(unsigned cpu, uint32_t info, uint64_t address, void *data)
{
    (void)cpu;
    (void)info;
    (void)data;
    if ((uint32_t)address == sync_address) {
        tn_append_interval();
        last = NULL;
    }
}

/* Where the pipeline is within a block, in cycles after its start. */
struct pipeline {
    unsigned now, unit_free;
    unsigned ready[REGISTERS];
};

static unsigned later(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static void need(struct block *block, unsigned number, unsigned when)
{
    if (when < block->needed[number]) {
        block->needed[number] = (uint8_t)when;
    }
}

/* Puts the next instruction through; returns the cycles until the one after it may start. */
static unsigned advance(struct pipeline *at, struct block *block, const struct tn_riscv_insn *insn)
{
    const bool uses_unit = insn->kind == TN_RV_MULTIPLY || insn->kind == TN_RV_DIVIDE;
    const unsigned before = at->now;
    unsigned start = later(later(before, at->ready[insn->from_1]), later(at->ready[insn->from_2], at->ready[insn->to]));

    if (uses_unit) {
        start = later(start, at->unit_free);
        at->unit_free = start + latency(insn->kind);
        block->unit_needed = start < block->unit_needed ? (uint8_t)start : block->unit_needed;
    }
    need(block, insn->from_1, start);
    need(block, insn->from_2, start);
    need(block, insn->to, start);
    if (insn->to) {
        at->ready[insn->to] = start + latency(insn->kind);
    }
    at->now = start + 1;
    return at->now - before;
}

static uint8_t left(unsigned when, unsigned now)
{
    return when > now ? (uint8_t)(when - now) : 0;
}

static struct block *new_block(void)
{
    struct block *const block = calloc(1, sizeof *block);

    if (!block) {
        abort();
    }
    block->unit_needed = NEVER;
    for (unsigned i = 0; i < REGISTERS; i++) {
        block->needed[i] = NEVER;
    }
    return block;
}

static struct tn_riscv_insn decode(const struct qemu_plugin_insn *insn)
{
    const uint8_t *const bytes = qemu_plugin_insn_data(insn);
    uint32_t word = (uint32_t)(bytes[0] | bytes[1] << 8);

    if ((word & 3) == 3) {
        word |= (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    }
    return tn_riscv_decode(word);
}

void tn_e31_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
    struct block *const block = new_block();
    struct pipeline at = {0};

    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *const each = qemu_plugin_tb_get_insn(tb, i);
        const uint32_t address = (uint32_t)qemu_plugin_insn_vaddr(each);
        const struct tn_riscv_insn insn = decode(each);
        const enum tn_class class = class_of(insn.kind);
        struct tn_kind *const kind = tn_find_kind(class, advance(&at, block, &insn), class == TN_LOAD, class == TN_STORE);

        if (i == 0) {
            block->start = address;
        }
        block->end = address + insn.bytes;
        block->flow = insn.flow;
        qemu_plugin_register_vcpu_insn_exec_inline(each, INLINE_ADD_U64, &kind->count, 1);
        if (class == TN_STORE) {
            qemu_plugin_register_vcpu_mem_cb(each, store, CB_NO_REGS, MEM_RW, NULL);
        }
    }
    block->successor = block->end;
    block->unit_pending = left(at.unit_free, at.now);
    for (unsigned i = 1; i < REGISTERS; i++) {
        block->pending[i] = left(at.ready[i], at.now);
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, enter_block, CB_NO_REGS, block);
}

void tn_e31_init(uint32_t address)
{
    sync_address = address;
}
