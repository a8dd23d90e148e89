/* ARM MPS2 with the AN386 FPGA image: a Cortex-M4F among peripherals of ARM's system design kit (CMSDK). Registers: ARM
 * DDI 0479, sections 4.3 (UART) and 4.1 (GPIO); addresses and interrupts: ARM application note 386.
 *
 * The link is UART0, the sync pin is pin 0 of GPIO0.
 */
#include <stddef.h>

#include "port.h"
#include "start.h"

struct uart {
    volatile uint32_t data, state, ctrl, intstatus, bauddiv;
};

struct gpio {
    volatile uint32_t data, dataout, reserved[2], outenset;
};
_Static_assert(offsetof(struct gpio, outenset) == 0x10, "DDI 0479, GPIO register summary");

#define UART0 ((struct uart *)0x40004000)
#define GPIO0 ((struct gpio *)0x40010000)
#define NVIC_ISER0 (*(volatile uint32_t *)0xE000E100)

enum {
    UART_STATE_TXFULL = 1 << 0,
    UART_STATE_RXFULL = 1 << 1,
    UART_CTRL_ON = 1 << 0 | 1 << 1 | 1 << 3, /* transmit, receive, interrupt on receive */
    UART_INT_RX = 1 << 1,
    UART0_RX_IRQ = 0,
    SYNC_PIN = 0,
};

struct tn_boot tn_port_init(void)
{
    const struct tn_start start = tn_start_count();

    UART0->bauddiv = (F_CPU + TN_BAUD / 2) / TN_BAUD;
    UART0->ctrl = UART_CTRL_ON;
    NVIC_ISER0 = 1u << UART0_RX_IRQ;
    GPIO0->outenset = 1u << SYNC_PIN;
    /* The board does not tell why it started. */
    return (struct tn_boot){
        .clock_hz = F_CPU,
        .ticks_hz = F_CPU,
        .count = start.count,
        .cause = start.power_came_on ? TN_RESET_POWER_ON : start.asked ? TN_RESET_SOFTWARE : TN_RESET_UNKNOWN,
    };
}

void tn_link_handler(void)
{
    UART0->intstatus = UART_INT_RX;
    if (UART0->state & UART_STATE_RXFULL) {
        tn_received((uint8_t)UART0->data);
    }
}

void tn_port_write(uint8_t byte)
{
    while (UART0->state & UART_STATE_TXFULL) {
    }
    UART0->data = byte;
}

void tn_port_flush(void)
{
    while (UART0->state & UART_STATE_TXFULL) {
    }
}

void tn_port_sync(bool high)
{
    GPIO0->dataout = high ? 1u << SYNC_PIN : 0;
}
