/* A QEMU plugin that counts what a CPU executes between two writes to its sync pin, and models the cycles: of a
 * Cortex-M4 here, of a RISC-V core in tn_e31.c.
 *
 *     qemu-system-arm -plugin tn_cycles.so,output=FILE,sync=ADDRESS[,wait_states=N,...]
 *
 * At each store of a word to `sync` it appends one line to `output`, before the next instruction runs: decimal numbers,
 * one space apart, of what was executed since the last such store, this one included: instructions, cycles without wait
 * states, cycles that the CPU waited for flash, words loaded, words stored, and instructions by class in the order of
 * enum tn_class. The arguments after these describe the flash (tn_flash.h) by the names of its fields.
 *
 * Cycles are those of the manual (tn_thumb.c) for each instruction, and
 *   - a taken branch costs P more: 1 to an address in the instruction, 2 to one in a register, and 1 more where the
 *     instruction there is 4 bytes long and not aligned to 4; 3 to an address from memory (the manual: "1 to 3
 *     depending on the alignment and width of the target instruction, and whether the processor manages to speculate
 *     the address early"); on a Cortex-M0 always 2, or 3 to an address from memory;
 *   - a load or a store with register offset costs 1 less after a single load that does not give its address;
 *   - a load or store costs 1 more when the instruction before it computed its address;
 *   - floating-point arithmetic costs 1 more when it uses what the instruction before it computed;
 *   - a load from an unaligned address costs 1 more for a halfword, 1 or 2 for a word; a store does not;
 *   - a vector instruction of a Cortex-M55 costs 1 less beside one of the other kind (tn_mve.c);
 *   - IT costs nothing after an instruction of 2 bytes; a load or store that its condition skips costs 1.
 * Each interval starts with empty buffers and caches, so that it depends on nothing before it.
 * Not modelled: entry to exceptions and return, which an inference has none of; an IT block across a 1 KB boundary,
 * where QEMU translates its parts apart: what is skipped there costs as if it were not; VDIV beside integer
 * instructions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tn_counts.h"
#include "tn_flash.h"
#include "tn_qemu.h"
#include "tn_riscv.h"
#include "tn_thumb.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv);

/* What QEMU translated in one piece: it is entered at its start, and only its last instruction branches. */
struct block {
    uint32_t start, end;
    struct tn_insn first, tail;
    unsigned first_cycles; /* as if nothing came before it */
};

/* The block before, unless it was left in its middle. */
static const struct block *last;

static uint32_t sync_address;
static bool has_output;
static struct tn_flash flash = {.line_bytes = 16};

static unsigned cost(const struct tn_insn *insn, const struct tn_insn *before)
{
    unsigned cycles = insn->cycles;

    if (insn->is_it) {
        return before->bytes == 2 ? 0 : 1;
    }
    if (insn->pipelines && before->single_load && !(insn->address & before->loaded)) {
        cycles--;
    }
    if (insn->address & before->computed || insn->fp_reads & before->fp_computed) {
        cycles++;
    }
    if (insn->vector && before->vector && insn->vector != before->vector) {
        cycles--;
    }
    return cycles;
}

static void enter_block(unsigned cpu, void *data)
{
    const struct block *const block = data;

    (void)cpu;
    if (last) {
        const struct tn_insn *const before = &last->tail;

        if (block->start == last->end && (before->flow == TN_NEXT || before->conditional)) {
            tn_dynamic.cycles += (uint64_t)cost(&block->first, before) - block->first_cycles;
        } else if (before->flow != TN_NEXT) {
            tn_dynamic.cycles += tn_refill_cycles(before->flow, block->first.bytes == 4 && block->start % 4 != 0);
        }
    }
    if (flash.wait_states) {
        tn_dynamic.wait_cycles += tn_flash_fetch(block->start, block->end);
    }
    last = block;
}

static void store_word(unsigned cpu, uint32_t info, uint64_t address, void *data)
{
    (void)cpu;
    (void)info;
    (void)data;
    if ((uint32_t)address == sync_address) {
        tn_append_interval();
        tn_flash_init(&flash);
        /* QEMU leaves a block in its middle for a device, and goes on in another one. */
        last = NULL;
    }
}

static void load(unsigned cpu, uint32_t info, uint64_t address, void *data)
{
    const uint32_t at = (uint32_t)address;
    const unsigned shift = qemu_plugin_mem_size_shift(info);

    (void)cpu;
    (void)data;
    if (shift == 1) {
        tn_dynamic.cycles += at & 1;
    } else if (shift == 2) {
        tn_dynamic.cycles += at & 1 ? 2 : (at & 2) / 2;
    }
    if (flash.wait_states) {
        tn_dynamic.wait_cycles += tn_flash_read(at);
    }
}

static struct tn_insn decode(const struct qemu_plugin_insn *insn)
{
    uint16_t halfwords[2] = {0};
    const uint8_t *const bytes = qemu_plugin_insn_data(insn);

    halfwords[0] = (uint16_t)(bytes[0] | bytes[1] << 8);
    if (halfwords[0] >= 0xE800) {
        halfwords[1] = (uint16_t)(bytes[2] | bytes[3] << 8);
    }
    return tn_decode(halfwords[0], halfwords[1]);
}

/* How many instructions after an IT it makes conditional: its mask ends with a one. */
static unsigned it_length(const struct qemu_plugin_insn *insn)
{
    const uint8_t mask = *(const uint8_t *)qemu_plugin_insn_data(insn) & 0xF;

    return 4 - (unsigned)__builtin_ctz(mask);
}

/* Counts an instruction. One that its condition may skip counts as a cycle, and each word that it moves as another. */
static void count(struct qemu_plugin_insn *each, const struct tn_insn *insn, unsigned cycles, bool skippable)
{
    const bool stores = insn->class == TN_STORE;
    const unsigned words = skippable ? 0 : insn->words;
    struct tn_kind *const kind = tn_find_kind(insn->class, cycles, stores ? 0 : words, stores ? words : 0);

    qemu_plugin_register_vcpu_insn_exec_inline(each, INLINE_ADD_U64, &kind->count, 1);
    if (skippable && insn->words) {
        uint64_t *const moved = stores ? &tn_dynamic.stores : &tn_dynamic.loads;

        qemu_plugin_register_vcpu_mem_inline(each, MEM_RW, INLINE_ADD_U64, moved, 1);
        if (insn->cycles > 1) {
            qemu_plugin_register_vcpu_mem_inline(each, MEM_RW, INLINE_ADD_U64, &tn_dynamic.cycles, 1);
        }
    }
}

/* Asks for its addresses where they matter. Calls out of translated code are what costs time. */
static void watch(struct qemu_plugin_insn *each, const struct tn_insn *insn)
{
    if (insn->class == TN_STORE && !insn->aligned) {
        qemu_plugin_register_vcpu_mem_cb(each, store_word, CB_NO_REGS, MEM_RW, NULL);
    } else if (insn->class != TN_STORE && insn->words && (!insn->aligned || flash.wait_states)) {
        qemu_plugin_register_vcpu_mem_cb(each, load, CB_NO_REGS, MEM_RW, NULL);
    }
}

static void translate(uint64_t id, struct qemu_plugin_tb *tb)
{
    struct block *const block = calloc(1, sizeof *block);
    struct tn_insn before = {0};
    unsigned conditional = 0; /* instructions left of an IT block */

    (void)id;
    if (!block) {
        abort();
    }
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *const each = qemu_plugin_tb_get_insn(tb, i);
        const uint32_t address = (uint32_t)qemu_plugin_insn_vaddr(each);
        struct tn_insn insn = decode(each);
        const bool skippable = conditional > 0;

        insn.conditional |= skippable;
        if (i == 0) {
            block->start = address;
            block->first = insn;
            block->first_cycles = cost(&insn, &before);
        }
        block->end = address + insn.bytes;
        block->tail = insn;
        count(each, &insn, skippable && insn.words ? 1 : cost(&insn, &before), skippable);
        watch(each, &insn);
        conditional = insn.is_it ? it_length(each) : conditional - (conditional > 0);
        before = insn;
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, enter_block, CB_NO_REGS, block);
}

static const struct {
    const char *name;
    uint32_t *value;
} numbers[] = {
    {"sync", &sync_address},
    {"flash_start", &flash.start},
    {"flash_bytes", &flash.size},
    {"wait_states", &flash.wait_states},
    {"line_bytes", &flash.line_bytes},
    {"instruction_lines", &flash.instruction_lines},
    {"data_lines", &flash.data_lines},
};

static bool read_number(const char *argument, size_t name_length, const char *value)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strlen(numbers[i].name) == name_length && !strncmp(argument, numbers[i].name, name_length)) {
            char *end;

            *numbers[i].value = (uint32_t)strtoul(value, &end, 0);
            return end != value && !*end;
        }
    }
    return false;
}

static bool read_argument(const char *argument)
{
    const char *const value = strchr(argument, '=');

    if (!value) {
        return false;
    }
    if (!strncmp(argument, "output=", 7)) {
        has_output = tn_open_counts(value + 1);
        return has_output;
    }
    if (!strncmp(argument, "core=", 5)) {
        /* A Cortex-M7 and a Cortex-M33 count as a Cortex-M4: what their second pipelines gain is published nowhere. */
        tn_thumb_init(!strcmp(value + 1, "cortex-m0")    ? TN_CORTEX_M0
                      : !strcmp(value + 1, "cortex-m3")  ? TN_CORTEX_M3
                      : !strcmp(value + 1, "cortex-m55") ? TN_CORTEX_M55
                                                         : TN_CORTEX_M4);
        return true;
    }
    if (!strncmp(argument, "prefetch=", 9)) {
        flash.prefetch = !strcmp(value + 1, "on");
        return flash.prefetch || !strcmp(value + 1, "off");
    }
    return read_number(argument, (size_t)(value - argument), value + 1);
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!read_argument(argv[i])) {
            fprintf(stderr, "tn_cycles: %s is no argument that can be used\n", argv[i]);
            return -1;
        }
    }
    if (!has_output || !sync_address || !flash.line_bytes || flash.instruction_lines > TN_MAX_LINES ||
        flash.data_lines > TN_MAX_LINES) {
        fprintf(stderr, "tn_cycles: needs output=FILE and sync=ADDRESS, and a flash as in tn_flash.h\n");
        return -1;
    }
    if (!strcmp(info->target_name, "riscv32")) {
        qemu_plugin_register_vcpu_tb_trans_cb(id, tn_e31_translate);
        tn_e31_init(sync_address);
        return 0;
    }
    tn_flash_init(&flash);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    return 0;
}
