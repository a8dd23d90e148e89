/* What the ports of all Cortex-M families share: the queue of received bytes, and what ARM's architecture has (SysTick,
 * system reset: ARM DDI 0403). cortex_m.c also has those functions of port.h that need nothing else.
 */
#ifndef TN_CORTEX_M_H
#define TN_CORTEX_M_H

#include <stdbool.h>
#include <stdint.h>

/* For a boot count that lives from one reset to the next. */
struct tn_start {
    uint32_t count;
    bool power_came_on; /* memory does not remember a start before this one */
    bool asked;         /* the firmware itself asked for the reset */
};

/* Called once, first. */
struct tn_start tn_start_count(void);

/* From the interrupt of the link. A byte that does not fit is dropped, and its frame's CRC tells. */
void tn_received(uint8_t byte);

/* The port's: waits until what was written has left. */
void tn_port_flush(void);

#endif
