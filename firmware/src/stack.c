#include "stack.h"

#include "port.h"

enum { TN_PAINT = 0x5AC35AC3 };

#ifdef __AVR__
#define READ_STACK_POINTER "in %A0, __SP_L__\n\tin %B0, __SP_H__"
#elif defined __riscv
#define READ_STACK_POINTER "mv %0, sp"
#else
#define READ_STACK_POINTER "mov %0, sp"
#endif

static uint32_t depth;

uint32_t tn_stack_depth(void)
{
    return depth;
}

/* Kept out of line, so that its frame is on the stack when the paint begins below it: nothing lives below the stack
 * pointer (AAPCS, RISC-V calling convention), and an interrupt that comes while this paints has gone when it paints on. */
__attribute__((noinline)) uint32_t tn_stack_used(void (*work)(void))
{
    uint32_t *const limit = tn_port_stack_limit();
    uint32_t *here;

    __asm volatile(READ_STACK_POINTER : "=r"(here));
    for (volatile uint32_t *word = limit; word + 1 <= here; word++) {
        *word = TN_PAINT;
    }
    depth = tn_port_memory().stack_bytes - (uint32_t)((uintptr_t)here - (uintptr_t)limit);
    work();

    const volatile uint32_t *deepest = limit;

    while (deepest + 1 <= here && *deepest == TN_PAINT) {
        deepest++;
    }
    return (uint32_t)((uintptr_t)here - (uintptr_t)deepest);
}
