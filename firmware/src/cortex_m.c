#include "cortex_m.h"
#include "port.h"

struct systick {
    volatile uint32_t csr, rvr, cvr, calib;
};

#define SYSTICK ((struct systick *)0xE000E010)
#define SCB_AIRCR (*(volatile uint32_t *)0xE000ED0C)

enum {
    SYSTICK_MAX = 0xFFFFFF,
    SYSTICK_ON = 7, /* the CPU's clock, with interrupt */
    QUEUE_SIZE = 2048,
};

/* A reset leaves this alone, the power's coming on does not. `mark` tells which it was. */
enum { MARK = 0x7A5C1E0F };
static struct {
    uint32_t mark;
    uint32_t starts;
    uint32_t asked; /* MARK: this firmware asked for the reset */
} persistent __attribute__((section(".noinit")));

/* Bytes that came while the CPU was at work: more than the longest frame, so that a request may be sent again
 * while the first one is being done. */
static volatile uint8_t queue[QUEUE_SIZE];
static volatile uint32_t queue_in, queue_out;

static volatile uint32_t timer_wraps;

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

void tn_received(uint8_t byte)
{
    if (queue_in - queue_out < QUEUE_SIZE) {
        queue[queue_in % QUEUE_SIZE] = byte;
        queue_in++;
    }
}

uint8_t tn_port_read(void)
{
    while (queue_in == queue_out) {
        /* With interrupts masked, one that comes after the check still ends the wait (ARM DDI 0403, WFI). */
        __asm volatile("cpsid i" ::: "memory");
        if (queue_in == queue_out) {
            __asm volatile("wfi");
        }
        __asm volatile("cpsie i" ::: "memory");
    }
    const uint8_t byte = queue[queue_out % QUEUE_SIZE];

    queue_out++;
    return byte;
}

void tn_systick_handler(void)
{
    timer_wraps++;
}

void tn_port_timer_start(void)
{
    timer_wraps = 0;
    SYSTICK->rvr = SYSTICK_MAX;
    SYSTICK->cvr = 0;
    SYSTICK->csr = SYSTICK_ON;
}

uint32_t tn_port_timer_stop(void)
{
    uint32_t wraps;
    uint32_t now;

    /* A wrap between the two readings would count for the wrong one. */
    do {
        wraps = timer_wraps;
        now = SYSTICK->cvr;
    } while (wraps != timer_wraps);
    SYSTICK->csr = 0;
    /* The first tick loads the counter, which reads zero until then. */
    const uint64_t ticks = (uint64_t)wraps * (SYSTICK_MAX + 1u) + (now ? SYSTICK_MAX + 1u - now : 0);

    return ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

static _Noreturn void reset(void)
{
    SCB_AIRCR = 0x05FA0004; /* the key, and SYSRESETREQ */
    for (;;) {
    }
}

_Noreturn void tn_port_reset(void)
{
    tn_port_flush();
    persistent.asked = MARK;
    reset();
}

/* Any fault: say so, as log text between frames, and start again. The host sees the boot count. */
_Noreturn void tn_fault_handler(void)
{
    static const char text[] = "\nthe CPU faulted\n";

    for (const char *c = text; *c; c++) {
        tn_port_write((uint8_t)*c);
    }
    tn_port_flush();
    reset();
}
