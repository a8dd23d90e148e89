/* From reset to main on a RISC-V CPU in machine mode, without an operating system (RISC-V privileged specification,
 * "Reset" and "Machine trap-vector base-address register"). Everything of this firmware runs on its one stack. */
.option arch, +zicsr

.section .vectors, "ax"
.globl tn_reset_handler
tn_reset_handler:
    csrci mstatus, 8
    la sp, tn_stack_top
    la t0, trap
    csrw mtvec, t0
    la a0, tn_data_start
    la a1, tn_data_load
    la a2, tn_data_end
    sub a2, a2, a0
    call memcpy
    la a0, tn_fast_start
    la a1, tn_fast_load
    la a2, tn_fast_end
    sub a2, a2, a0
    call memcpy
    la a0, tn_bss_start
    li a1, 0
    la a2, tn_bss_end
    sub a2, a2, a0
    call memset
    j tn_serve

/* What a C function may change is kept; it keeps the rest itself. */
.balign 4
trap:
    addi sp, sp, -64
    sw ra, 0(sp)
    sw t0, 4(sp)
    sw t1, 8(sp)
    sw t2, 12(sp)
    sw a0, 16(sp)
    sw a1, 20(sp)
    sw a2, 24(sp)
    sw a3, 28(sp)
    sw a4, 32(sp)
    sw a5, 36(sp)
    sw a6, 40(sp)
    sw a7, 44(sp)
    sw t3, 48(sp)
    sw t4, 52(sp)
    sw t5, 56(sp)
    sw t6, 60(sp)
    csrr a0, mcause
    call tn_trap_handler
    lw ra, 0(sp)
    lw t0, 4(sp)
    lw t1, 8(sp)
    lw t2, 12(sp)
    lw a0, 16(sp)
    lw a1, 20(sp)
    lw a2, 24(sp)
    lw a3, 28(sp)
    lw a4, 32(sp)
    lw a5, 36(sp)
    lw a6, 40(sp)
    lw a7, 44(sp)
    lw t3, 48(sp)
    lw t4, 52(sp)
    lw t5, 56(sp)
    lw t6, 60(sp)
    addi sp, sp, 64
    mret
