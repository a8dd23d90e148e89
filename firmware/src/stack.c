#include "stack.h"

enum { TN_PAINT = 0x5AC35AC3 };

/* Kept out of line, so that its frame is on the stack when the paint begins below it. */
__attribute__((noinline)) uint32_t tn_stack_used(void (*work)(void))
{
    uint32_t *const here = __builtin_frame_address(0);
    /* The words next to the frame may be spilled registers of this very function. */
    uint32_t *const start = here - 16;

    for (volatile uint32_t *word = tn_stack_limit; word < start; word++) {
        *word = TN_PAINT;
    }
    work();

    const volatile uint32_t *deepest = tn_stack_limit;

    while (deepest < start && *deepest == TN_PAINT) {
        deepest++;
    }
    return (uint32_t)((uintptr_t)here - (uintptr_t)deepest);
}
