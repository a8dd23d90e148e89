#include "start.h"

#include "frames.h"
#include "port.h"
#include "stack.h"

/* More than the longest frame, so that a request may be sent again while the first one is being done. */
enum { QUEUE_SIZE = 2 * TN_MAX_PAYLOAD };
_Static_assert((QUEUE_SIZE & (QUEUE_SIZE - 1)) == 0, "the queue's ends wrap where an unsigned number does");

/* A reset leaves this alone, the power's coming on does not. `mark` tells which it was. */
enum { MARK = 0x7A5C1E0F };
static struct {
    uint32_t mark;
    uint32_t starts;
    uint32_t asked; /* MARK: this firmware asked for the reset */
} persistent __attribute__((section(".noinit")));

/* From the linker script. `tn_static_bytes` is an address that means a size. */
extern const uint8_t tn_static_bytes[];
extern uint8_t tn_spare_start[], tn_spare_end[];
extern uint32_t tn_stack_limit[], tn_stack_top[];

static volatile uint8_t queue[QUEUE_SIZE];
static volatile uint32_t queue_in, queue_out;

struct tn_start tn_start_count(void)
{
    const bool power_came_on = persistent.mark != MARK;

    if (power_came_on) {
        persistent.starts = 0;
        persistent.asked = 0;
    }
    const struct tn_start start = {
        .count = ++persistent.starts,
        .power_came_on = power_came_on,
        .asked = persistent.asked == MARK,
    };

    persistent.mark = MARK;
    persistent.asked = 0;
    return start;
}

struct tn_memory tn_port_memory(void)
{
    return (struct tn_memory){
        .static_bytes = (uint32_t)(uintptr_t)tn_static_bytes,
        .stack_bytes = (uint32_t)((uintptr_t)tn_stack_top - (uintptr_t)tn_stack_limit),
        .spare_start = tn_spare_start,
        .spare_end = tn_spare_end,
    };
}

uint32_t *tn_port_stack_limit(void)
{
    return tn_stack_limit;
}

void tn_received(uint8_t byte)
{
    if (queue_in - queue_out < QUEUE_SIZE) {
        queue[queue_in % QUEUE_SIZE] = byte;
        queue_in++;
    }
}

bool tn_none_received(void)
{
    return queue_in == queue_out;
}

uint8_t tn_take_received(void)
{
    const uint8_t byte = queue[queue_out % QUEUE_SIZE];

    queue_out++;
    return byte;
}

_Noreturn void tn_port_reset(void)
{
    tn_port_flush();
    persistent.asked = MARK;
    tn_port_restart();
}

_Noreturn void tn_fault_handler(void)
{
    static const char text[] = "\nthe CPU faulted\n";

    for (const char *c = text; *c; c++) {
        tn_port_write((uint8_t)*c);
    }
    tn_port_flush();
    tn_port_restart();
}
