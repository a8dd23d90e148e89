/* How deep the stack grew: what lies below the stack pointer is painted, and afterwards searched for the deepest
 * word that lost its paint. */
#ifndef TN_STACK_H
#define TN_STACK_H

#include <stdint.h>

/* The port's: the lowest word that the stack may use. */
uint32_t *tn_port_stack_limit(void);

/* The bytes of stack in use where tn_stack_used called `work` last. */
uint32_t tn_stack_depth(void);

/* Paints, runs `work`, and returns the bytes of stack that it used, its return address and interrupts included. */
uint32_t tn_stack_used(void (*work)(void));

#endif
