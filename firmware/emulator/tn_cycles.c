/* A QEMU plugin that counts what a Cortex-M4 executes between two writes to its sync pin, and models the cycles.
 *
 *     qemu-system-arm -plugin tn_cycles.so,output=FILE,sync=ADDRESS[,wait_states=N,...]
 *
 * At each store to `sync` it appends one line to `output`, before the next instruction runs: decimal numbers, one space
 * apart, of what was executed since the last such store, this one included: instructions, cycles without wait states,
 * cycles that the CPU waited for flash, words loaded, words stored, and instructions by class in the order of
 * enum tn_class. The arguments after these describe the flash (tn_flash.h) by the names of its fields.
 *
 * Cycles are those of the manual (tn_thumb.c) for each instruction, and
 *   - a taken branch costs P more: 1 to an address in the instruction, 2 to one in a register, and 1 more where the
 *     instruction there is 4 bytes long and not aligned to 4; 3 to an address from memory (the manual: "1 to 3 depending
 *     on the alignment and width of the target instruction, and whether the processor manages to speculate the address
 *     early");
 *   - a load or a store with register offset costs 1 less after a single load that does not give its address;
 *   - a load or store costs 1 more when the instruction before it computed its address;
 *   - floating-point arithmetic costs 1 more when it uses what the instruction before it computed;
 *   - a load from an unaligned address costs 1 more for a halfword, 1 or 2 for a word; a store does not;
 *   - IT costs nothing after an instruction of 2 bytes; a load or store that its condition skips costs 1.
 * Each interval starts with empty buffers and caches, so that it depends on nothing before it.
 * Not modelled: entry to exceptions and return, which an inference has none of; what instructions at both sides of a
 * 1 KB boundary of straight code save each other, because QEMU translates them apart; VDIV beside integer instructions.
 *
 * The prototypes are those of QEMU's plugin interface, version 1 (qemu-plugin.h, which Debian does not ship).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tn_flash.h"
#include "tn_thumb.h"

#define EXPORT __attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;

enum { CB_NO_REGS = 0, MEM_RW = 3, INLINE_ADD_U64 = 0 };

typedef void (*translate_cb)(uint64_t id, struct qemu_plugin_tb *tb);
typedef void (*execute_cb)(unsigned cpu, void *data);
typedef void (*memory_cb)(unsigned cpu, uint32_t info, uint64_t address, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, translate_cb cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, execute_cb cb, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *to, uint64_t addend);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, memory_cb cb, int flags, int rw, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
unsigned qemu_plugin_mem_size_shift(uint32_t info);
bool qemu_plugin_mem_is_store(uint32_t info);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv);

enum { MAX_CYCLES = 64 };

/* What QEMU translated in one piece: it is entered at its start, and only its last instruction branches. */
struct block {
    uint32_t start, end;
    enum tn_flow flow;
    bool conditional;
    bool is_straddled; /* starts with 4 bytes that are not aligned to 4 */
};

/* How often an instruction of a class and a cost was executed. QEMU adds to these without leaving translated code. */
static uint64_t counts[TN_CLASSES][MAX_CYCLES];
/* Cycles that depend on what happens. */
static uint64_t dynamic_cycles, wait_cycles;
static uint64_t loads, stores;
/* The block before, unless it was left in its middle. */
static const struct block *last;

static uint32_t sync_address;
static int output = -1;
static struct tn_flash flash = {.line_bytes = 16};

static void append_interval(void)
{
    uint64_t by_class[TN_CLASSES] = {0};
    uint64_t instructions = 0;
    uint64_t cycles = dynamic_cycles;
    char line[21 * (5 + TN_CLASSES)];
    int length;

    for (int class = 0; class < TN_CLASSES; class++) {
        for (int each = 0; each < MAX_CYCLES; each++) {
            by_class[class] += counts[class][each];
            cycles += counts[class][each] * (uint64_t)each;
        }
        instructions += by_class[class];
    }
    length = snprintf(line, sizeof line, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, instructions, cycles,
                      wait_cycles, loads, stores);
    for (int class = 0; class < TN_CLASSES; class++) {
        length += snprintf(line + length, sizeof line - (size_t)length, " %" PRIu64, by_class[class]);
    }
    line[length++] = '\n';
    if (write(output, line, (size_t)length) != length) {
        perror("tn_cycles: the counts could not be written");
        abort();
    }
    memset(counts, 0, sizeof counts);
    dynamic_cycles = wait_cycles = loads = stores = 0;
}

static unsigned refill_cycles(enum tn_flow flow, const struct block *target)
{
    return flow == TN_LOADED ? 3 : (unsigned)flow + target->is_straddled;
}
_Static_assert(TN_DIRECT == 1 && TN_INDIRECT == 2, "the least of P is the flow");

static void enter_block(unsigned cpu, void *data)
{
    const struct block *const block = data;

    (void)cpu;
    if (last && last->flow != TN_NEXT && !(last->conditional && block->start == last->end)) {
        dynamic_cycles += refill_cycles(last->flow, block);
    }
    if (flash.wait_states) {
        wait_cycles += tn_flash_fetch(block->start, block->end);
    }
    last = block;
}

/* `data` is not NULL for an instruction in an IT block: its accesses were not counted among its cycles. */
static void access_memory(unsigned cpu, uint32_t info, uint64_t address, void *data)
{
    const uint32_t at = (uint32_t)address;
    const unsigned shift = qemu_plugin_mem_size_shift(info);
    const unsigned words = shift == 3 ? 2 : 1;

    (void)cpu;
    dynamic_cycles += data ? words : 0;
    if (qemu_plugin_mem_is_store(info)) {
        stores += words;
        if (at == sync_address) {
            append_interval();
            tn_flash_init(&flash);
            /* QEMU leaves a block in its middle for a device, and goes on in another one. */
            last = NULL;
        }
        return;
    }
    loads += words;
    if (shift == 1) {
        dynamic_cycles += at & 1;
    } else if (shift == 2) {
        dynamic_cycles += at & 1 ? 2 : (at & 2) / 2;
    }
    if (flash.wait_states) {
        wait_cycles += tn_flash_read(at);
    }
}

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
    return cycles;
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
        const bool late = skippable && insn.words > 0 && insn.cycles > 1;
        const unsigned cycles = late ? 1 : cost(&insn, &before);

        if (i == 0) {
            block->start = address;
            block->is_straddled = insn.bytes == 4 && address % 4 != 0;
        }
        block->end = address + insn.bytes;
        block->flow = insn.flow;
        block->conditional = insn.conditional || skippable;
        qemu_plugin_register_vcpu_insn_exec_inline(each, INLINE_ADD_U64, &counts[insn.class][cycles], 1);
        if (insn.words) {
            qemu_plugin_register_vcpu_mem_cb(each, access_memory, CB_NO_REGS, MEM_RW, late ? block : NULL);
        }
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
        output = open(value + 1, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
        return output >= 0;
    }
    if (!strncmp(argument, "prefetch=", 9)) {
        flash.prefetch = !strcmp(value + 1, "on");
        return flash.prefetch || !strcmp(value + 1, "off");
    }
    return read_number(argument, (size_t)(value - argument), value + 1);
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (!read_argument(argv[i])) {
            fprintf(stderr, "tn_cycles: %s is no argument that can be used\n", argv[i]);
            return -1;
        }
    }
    if (output < 0 || !sync_address || !flash.line_bytes || flash.instruction_lines > TN_MAX_LINES ||
        flash.data_lines > TN_MAX_LINES) {
        fprintf(stderr, "tn_cycles: needs output=FILE and sync=ADDRESS, and a flash as in tn_flash.h\n");
        return -1;
    }
    tn_flash_init(&flash);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    return 0;
}
