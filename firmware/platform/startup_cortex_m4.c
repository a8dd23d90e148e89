/* From reset to main on a Cortex-M (ARM DDI 0403, "Reset behavior" and "The vector table"). */
#include <stdint.h>
#include <string.h>

extern uint32_t tn_stack_top[];
extern uint8_t tn_data_load[], tn_data_start[], tn_data_end[], tn_bss_start[], tn_bss_end[];
extern uint8_t tn_fast_load[], tn_fast_start[], tn_fast_end[];

extern _Noreturn void tn_serve(void);
extern void tn_fault_handler(void);
extern void tn_systick_handler(void);
extern void tn_link_handler(void);
void tn_reset_handler(void);

#define CPACR (*(volatile uint32_t *)0xE000ED88)

enum { SYSTICK = 15, FIRST_IRQ = 16, VECTORS = FIRST_IRQ + 82 };

/* Every exception that the firmware does not use is a fault. Of the interrupts, a port enables that of its link alone. */
__attribute__((section(".vectors"), used)) static const void *const vectors[VECTORS] = {
    [0] = tn_stack_top,
    [1] = tn_reset_handler,
    [2 ... SYSTICK - 1] = tn_fault_handler,
    [SYSTICK] = tn_systick_handler,
    [FIRST_IRQ ... VECTORS - 1] = tn_link_handler,
};

void tn_reset_handler(void)
{
#if __ARM_ARCH > 6
    CPACR |= 0xFu << 20; /* full access to the FPU, and to the vectors of a Cortex-M55 */
    __asm volatile("dsb\n\tisb");
#endif
    memcpy(tn_data_start, tn_data_load, (size_t)(tn_data_end - tn_data_start));
    memcpy(tn_fast_start, tn_fast_load, (size_t)(tn_fast_end - tn_fast_start));
    memset(tn_bss_start, 0, (size_t)(tn_bss_end - tn_bss_start));
    tn_serve();
}
