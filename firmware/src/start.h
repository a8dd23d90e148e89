/* What every port of bare metal needs: how often the program started, and the bytes that came while it was at work. */
#ifndef TN_START_H
#define TN_START_H

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

/* For tn_port_read: whether nothing has been received; and the oldest byte, where something has. */
bool tn_none_received(void);
uint8_t tn_take_received(void);

/* The port's: starts the program again, as far as the chip can. */
_Noreturn void tn_port_restart(void);

/* Any fault: says so, as log text between frames, and starts again. The host sees the boot count. */
_Noreturn void tn_fault_handler(void);

#endif
