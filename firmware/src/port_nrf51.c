/* nRF51822. Registers: Nordic Semiconductor, nRF51 Series Reference Manual, version 3.0.
 *
 * The link is the UART on the pins that a BBC micro:bit has to its USB interface, P0.24 (TX) and P0.25 (RX); the sync pin is
 * P0.03, the large contact 0 of its edge. The chip has no SysTick: TIMER0 counts instead. Flash needs no wait states.
 */
#include <stddef.h>

#include "frames.h"
#include "port.h"
#include "start.h"

_Static_assert(F_CPU == 16000000, "the chip has one clock");

struct uart {
    volatile uint32_t startrx, stoprx, starttx, stoptx, reserved0[60], cts, ncts, rxdrdy, reserved1[4], txdrdy;
    volatile uint32_t reserved2[121], intenset, intenclr, reserved3[125], enable, reserved4, pselrts, pseltxd, pselcts;
    volatile uint32_t pselrxd, rxd, txd, reserved5, baudrate;
};
_Static_assert(offsetof(struct uart, rxdrdy) == 0x108, "reference manual, UART registers");
_Static_assert(offsetof(struct uart, txdrdy) == 0x11C, "reference manual, UART registers");
_Static_assert(offsetof(struct uart, intenset) == 0x304, "reference manual, UART registers");
_Static_assert(offsetof(struct uart, enable) == 0x500, "reference manual, UART registers");
_Static_assert(offsetof(struct uart, baudrate) == 0x524, "reference manual, UART registers");

struct timer {
    volatile uint32_t start, stop, count, clear, reserved0[12], capture[4], reserved1[60], compare[4];
    volatile uint32_t reserved2[237], mode, bitmode, reserved3, prescaler, reserved4[11], cc[4];
};
_Static_assert(offsetof(struct timer, compare) == 0x140, "reference manual, TIMER registers");
_Static_assert(offsetof(struct timer, mode) == 0x504, "reference manual, TIMER registers");
_Static_assert(offsetof(struct timer, cc) == 0x540, "reference manual, TIMER registers");

#define HFCLKSTART (*(volatile uint32_t *)0x40000000)
#define HFCLKSTARTED (*(volatile uint32_t *)0x40000100)
#define RESETREAS (*(volatile uint32_t *)0x40000400)
#define DEVICEID ((const volatile uint32_t *)0x10000060)
#define UART0 ((struct uart *)0x40002000)
#define TIMER0 ((struct timer *)0x40008000)
#define GPIO_OUT (*(volatile uint32_t *)0x50000504)
#define GPIO_DIRSET (*(volatile uint32_t *)0x50000518)
#define NVIC_ISER (*(volatile uint32_t *)0xE000E100)

enum {
    RESETREAS_PIN = 1 << 0,
    RESETREAS_WATCHDOG = 1 << 1,
    RESETREAS_SOFTWARE = 1 << 2,
    UART_ENABLED = 4,
    UART_INT_RXDRDY = 1 << 2,
    UART_IRQ = 2,
    TIMER_BITMODE_32 = 3,
    TX_PIN = 24,
    RX_PIN = 25,
    SYNC_PIN = 3,
};

/* Pins that the UART does not drive while it is off; its line rests high. */
#define RESTING (1u << TX_PIN)

/* A fraction of 2^32 of the clock, of which the chip takes the upper 20 bits. */
#define BAUDRATE ((uint32_t)((((uint64_t)TN_BAUD << 32) / F_CPU + 0x800) & 0xFFFFF000u))
_Static_assert(TN_BAUD != 115200 || BAUDRATE == 0x1D7E000, "reference manual, BAUDRATE");

static enum tn_reset_cause take_reset_cause(bool power_came_on, bool asked)
{
    const uint32_t cause = RESETREAS;

    RESETREAS = cause;
    if (cause & RESETREAS_WATCHDOG) {
        return TN_RESET_WATCHDOG;
    }
    if (power_came_on) {
        return TN_RESET_POWER_ON;
    }
    if (asked || cause & RESETREAS_SOFTWARE) {
        return TN_RESET_SOFTWARE;
    }
    return cause & RESETREAS_PIN ? TN_RESET_PIN : TN_RESET_UNKNOWN;
}

struct tn_boot tn_port_init(void)
{
    const struct tn_start start = tn_start_count();

    /* Without its crystal the chip runs on, at the same frequency but for some percent. */
    HFCLKSTART = 1;
    for (uint32_t i = 0; i < F_CPU / 1000 && !HFCLKSTARTED; i++) {
    }
    GPIO_OUT = RESTING;
    GPIO_DIRSET = RESTING | 1u << SYNC_PIN;
    UART0->pseltxd = TX_PIN;
    UART0->pselrxd = RX_PIN;
    UART0->baudrate = BAUDRATE;
    UART0->enable = UART_ENABLED;
    UART0->intenset = UART_INT_RXDRDY;
    UART0->startrx = 1;
    UART0->starttx = 1;
    NVIC_ISER = 1u << UART_IRQ;
    TIMER0->bitmode = TIMER_BITMODE_32;
    TIMER0->prescaler = 0;
    TIMER0->cc[1] = UINT32_MAX;
    return (struct tn_boot){
        .clock_hz = F_CPU,
        .ticks_hz = F_CPU,
        .count = start.count,
        .cause = take_reset_cause(start.power_came_on, start.asked),
    };
}

void tn_port_chip_id(uint8_t id[TN_CHIP_ID_BYTES])
{
    tn_put_u32(tn_put_u32(id, DEVICEID[0]), DEVICEID[1]);
}

void tn_link_handler(void)
{
    UART0->rxdrdy = 0;
    tn_received((uint8_t)UART0->rxd);
}

void tn_port_write(uint8_t byte)
{
    UART0->txd = byte;
    while (!UART0->txdrdy) {
    }
    UART0->txdrdy = 0;
}

/* A byte has left when its event comes. */
void tn_port_flush(void)
{
}

void tn_port_timer_start(void)
{
    TIMER0->clear = 1;
    TIMER0->compare[1] = 0;
    TIMER0->start = 1;
}

uint64_t tn_port_timer_read(void)
{
    TIMER0->capture[0] = 1;
    return TIMER0->compare[1] ? UINT32_MAX : TIMER0->cc[0];
}

uint32_t tn_port_timer_stop(void)
{
    const uint32_t ticks = (uint32_t)tn_port_timer_read();

    TIMER0->stop = 1;
    return ticks;
}

void tn_port_sync(bool high)
{
    GPIO_OUT = RESTING | (uint32_t)high << SYNC_PIN;
}
