/* LM3S6965, of the Stellaris family. Registers and bits: Texas Instruments, LM3S6965 data sheet (SPMS114).
 *
 * The link is UART0 on PA0 (RX) and PA1 (TX), the sync pin is PF0, which has the evaluation board's LED. Flash needs no
 * wait states up to 50 MHz.
 */
#include <stddef.h>

#include "port.h"
#include "start.h"

_Static_assert(F_CPU == 50000000, "the PLL's 200 MHz are divided by four");

/* System control. */
#define RIS (*(volatile uint32_t *)0x400FE050)
#define RESC (*(volatile uint32_t *)0x400FE05C)
#define RCC (*(volatile uint32_t *)0x400FE060)
#define RCGC1 (*(volatile uint32_t *)0x400FE104)
#define RCGC2 (*(volatile uint32_t *)0x400FE108)

struct uart {
    volatile uint32_t dr, rsr, reserved0[4], fr, reserved1, ilpr, ibrd, fbrd, lcrh, ctl, ifls, im, ris, mis, icr;
};
_Static_assert(offsetof(struct uart, icr) == 0x44, "SPMS114, UART register map");

/* Bits 2 to 9 of the address of its data say which pins a store touches. */
struct gpio {
    volatile uint32_t data[256], dir, reserved0[7], afsel, reserved1[62], den;
};
_Static_assert(offsetof(struct gpio, afsel) == 0x420, "SPMS114, GPIO register map");
_Static_assert(offsetof(struct gpio, den) == 0x51C, "SPMS114, GPIO register map");

#define UART0 ((struct uart *)0x4000C000)
#define GPIOA ((struct gpio *)0x40004000)
#define GPIOF ((struct gpio *)0x40025000)
#define NVIC_ISER0 (*(volatile uint32_t *)0xE000E100)

enum {
    IOSC_HZ = 12000000,
    RIS_PLL_LOCKED = 1 << 6,
    RESC_EXTERNAL = 1 << 0,
    RESC_POWER_ON = 1 << 1,
    RESC_WATCHDOG = 1 << 3,
    RESC_SOFTWARE = 1 << 4,
    RCC_OSCSRC_MASK = 3 << 4, /* 0: the crystal */
    RCC_XTAL_MASK = 0xF << 6,
    RCC_XTAL_8MHZ = 0xE << 6,
    RCC_BYPASS = 1 << 11,
    RCC_PWRDN = 1 << 13,
    RCC_USESYSDIV = 1 << 22,
    RCC_SYSDIV_MASK = 0xF << 23,
    RCC_SYSDIV_4 = 3 << 23,
    RCGC1_UART0 = 1 << 0,
    RCGC2_GPIOA = 1 << 0,
    RCGC2_GPIOF = 1 << 5,
    UART_FR_BUSY = 1 << 3,
    UART_FR_RXFE = 1 << 4,
    UART_FR_TXFF = 1 << 5,
    UART_LCRH_8N1 = 3 << 5, /* without its FIFOs, so that each byte interrupts */
    UART_CTL_ON = 1 << 9 | 1 << 8 | 1 << 0,
    UART_INT_RX = 1 << 4,
    UART0_IRQ = 5,
    UART_PINS = 1 << 0 | 1 << 1,
    SYNC_PIN = 1 << 0,
    ROUNDS = 100000, /* of waiting: the PLL locks within half a millisecond */
};

/* The PLL from the crystal (SPMS114, "Main PLL"). Returns the CPU's clock as it is then. */
static uint32_t start_clock(void)
{
    uint32_t rcc = (RCC | RCC_BYPASS) & ~(uint32_t)RCC_USESYSDIV;

    RCC = rcc;
    rcc = (rcc & ~(uint32_t)(RCC_OSCSRC_MASK | RCC_XTAL_MASK | RCC_PWRDN)) | RCC_XTAL_8MHZ;
    RCC = rcc;
    rcc = (rcc & ~(uint32_t)RCC_SYSDIV_MASK) | RCC_SYSDIV_4 | RCC_USESYSDIV;
    RCC = rcc;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        if (RIS & RIS_PLL_LOCKED) {
            RCC = rcc & ~(uint32_t)RCC_BYPASS;
            return F_CPU;
        }
    }
    /* Without the crystal the board stops here; with it the PLL is what failed. */
    return IOSC_HZ;
}

static void start_pins(void)
{
    RCGC1 |= RCGC1_UART0;
    RCGC2 |= RCGC2_GPIOA | RCGC2_GPIOF;
    (void)RCGC2; /* a peripheral is there three cycles after its clock */
    (void)RCGC2;
    GPIOA->afsel |= UART_PINS;
    GPIOA->den |= UART_PINS;
    GPIOF->dir |= SYNC_PIN;
    GPIOF->den |= SYNC_PIN;
}

static void start_link(uint32_t clock_hz)
{
    /* The divisor has 6 bits of fraction: clock / (16 * baud). */
    const uint32_t divisor = (clock_hz * 8 / TN_BAUD + 1) / 2;

    UART0->ibrd = divisor >> 6;
    UART0->fbrd = divisor & 63;
    UART0->lcrh = UART_LCRH_8N1;
    UART0->im = UART_INT_RX;
    UART0->ctl = UART_CTL_ON;
    NVIC_ISER0 = 1u << UART0_IRQ;
}

static enum tn_reset_cause take_reset_cause(bool power_came_on, bool asked)
{
    const uint32_t cause = RESC;

    RESC = 0;
    if (cause & RESC_WATCHDOG) {
        return TN_RESET_WATCHDOG;
    }
    if (power_came_on) {
        return TN_RESET_POWER_ON;
    }
    if (asked || cause & RESC_SOFTWARE) {
        return TN_RESET_SOFTWARE;
    }
    return cause & RESC_EXTERNAL ? TN_RESET_PIN : cause & RESC_POWER_ON ? TN_RESET_POWER_ON : TN_RESET_UNKNOWN;
}

struct tn_boot tn_port_init(void)
{
    const struct tn_start start = tn_start_count();
    const uint32_t clock_hz = start_clock();
    const struct tn_boot boot = {
        .clock_hz = clock_hz,
        .ticks_hz = clock_hz,
        .count = start.count,
        .cause = take_reset_cause(start.power_came_on, start.asked),
    };

    start_pins();
    start_link(clock_hz);
    return boot;
}

void tn_port_chip_id(uint8_t id[TN_CHIP_ID_BYTES])
{
    (void)id; /* the chip has none */
}

void tn_link_handler(void)
{
    while (!(UART0->fr & UART_FR_RXFE)) {
        tn_received((uint8_t)UART0->dr);
    }
    UART0->icr = UART_INT_RX;
}

void tn_port_write(uint8_t byte)
{
    while (UART0->fr & UART_FR_TXFF) {
    }
    UART0->dr = byte;
}

void tn_port_flush(void)
{
    while (UART0->fr & UART_FR_BUSY) {
    }
}

void tn_port_sync(bool high)
{
    GPIOF->data[SYNC_PIN] = high ? SYNC_PIN : 0;
}
