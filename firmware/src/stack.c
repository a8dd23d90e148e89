#include "stack.h"

enum { TN_PAINT = 0x5AC35AC3 };

#ifdef __riscv
#define READ_STACK_POINTER "mv %0, sp"
#else
#define READ_STACK_POINTER "mov %0, sp"
#endif

/* Kept out of line, so that its frame is on the stack when the paint begins below it: nothing lives below the stack
 * pointer (AAPCS, RISC-V calling convention), and an interrupt that comes while this paints has gone when it paints on. */
__attribute__((noinline)) uint32_t tn_stack_used(void (*work)(void))
{
    uint32_t *here;

    __asm volatile(READ_STACK_POINTER : "=r"(here));
    for (volatile uint32_t *word = tn_stack_limit; word < here; word++) {
        *word = TN_PAINT;
    }
    work();

    const volatile uint32_t *deepest = tn_stack_limit;

    while (deepest < here && *deepest == TN_PAINT) {
        deepest++;
    }
    return (uint32_t)((uintptr_t)here - (uintptr_t)deepest);
}
