/* How deep the stack grew: what lies below the stack pointer is painted, and afterwards searched for the deepest
 * word that lost its paint. */
#ifndef TN_STACK_H
#define TN_STACK_H

#include <stdint.h>

/* From the linker script: the lowest word of the stack, and the word after its highest. */
extern uint32_t tn_stack_limit[];
extern uint32_t tn_stack_top[];

/* Paints, runs `work`, and returns the bytes of stack that it used, its return address and interrupts included. */
uint32_t tn_stack_used(void (*work)(void));

#endif
