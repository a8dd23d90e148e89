/* What ARM's architecture gives to the ports of all Cortex-M families: SysTick, WFI, the system reset (ARM DDI 0403). */
#include "port.h"
#include "start.h"

struct systick {
    volatile uint32_t csr, rvr, cvr, calib;
};

#define SYSTICK ((struct systick *)0xE000E010)
#define SCB_AIRCR (*(volatile uint32_t *)0xE000ED0C)

enum {
    SYSTICK_MAX = 0xFFFFFF,
    SYSTICK_ON = 7, /* the CPU's clock, with interrupt */
};

static volatile uint32_t timer_wraps;

uint8_t tn_port_read(void)
{
    while (tn_none_received()) {
        /* With interrupts masked, one that comes after the check still ends the wait (ARM DDI 0403, WFI). */
        __asm volatile("cpsid i" ::: "memory");
        if (tn_none_received()) {
            __asm volatile("wfi");
        }
        __asm volatile("cpsie i" ::: "memory");
    }
    return tn_take_received();
}

void tn_systick_handler(void)
{
    timer_wraps++;
}

/* Weak, because a chip may lack SysTick: then its port has a timer of its own. */
__attribute__((weak)) void tn_port_timer_start(void)
{
    timer_wraps = 0;
    SYSTICK->rvr = SYSTICK_MAX;
    SYSTICK->cvr = 0;
    SYSTICK->csr = SYSTICK_ON;
}

__attribute__((weak)) uint64_t tn_port_timer_read(void)
{
    uint32_t wraps;
    uint32_t now;

    /* A wrap between the two readings would count for the wrong one. */
    do {
        wraps = timer_wraps;
        now = SYSTICK->cvr;
    } while (wraps != timer_wraps);
    /* The first tick loads the counter, which reads zero until then. */
    return (uint64_t)wraps * (SYSTICK_MAX + 1u) + (now ? SYSTICK_MAX + 1u - now : 0);
}

__attribute__((weak)) uint32_t tn_port_timer_stop(void)
{
    const uint64_t ticks = tn_port_timer_read();

    SYSTICK->csr = 0;
    return ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

_Noreturn void tn_port_restart(void)
{
    SCB_AIRCR = 0x05FA0004; /* the key, and SYSRESETREQ */
    for (;;) {
    }
}
