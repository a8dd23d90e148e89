/* QEMU's plugin interface, version 1: the prototypes of its qemu-plugin.h, which Debian does not ship. */
#ifndef TN_QEMU_H
#define TN_QEMU_H

#include <stddef.h>
#include <stdint.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;

/* The first member of what a plugin is told when it is loaded; nothing else is read. */
struct qemu_info {
    const char *target_name;
};

enum { CB_NO_REGS = 0, MEM_RW = 3, INLINE_ADD_U64 = 0 };

typedef void (*translate_cb)(uint64_t id, struct qemu_plugin_tb *tb);
typedef void (*execute_cb)(unsigned cpu, void *data);
typedef void (*memory_cb)(unsigned cpu, uint32_t info, uint64_t address, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, translate_cb cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, execute_cb cb, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *to, uint64_t addend);
void qemu_plugin_register_vcpu_mem_inline(struct qemu_plugin_insn *insn, int rw, int op, void *to, uint64_t addend);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, memory_cb cb, int flags, int rw, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
unsigned qemu_plugin_mem_size_shift(uint32_t info);

#endif
