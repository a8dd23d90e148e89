/* SiFive FE310-G000. Registers: SiFive FE310-G000 Manual v3p2, chapters 6 (clocks), 10 (PLIC), 17 (GPIO), 18 (UART).
 *
 * The link is UART0 on GPIO 16 (RX) and 17 (TX), the sync pin is GPIO 18. The CPU runs from the board's 16 MHz crystal,
 * without the PLL. The chip has no reset that software can ask for beside its watchdog, which QEMU 7.2 does not have:
 * the program is entered again instead.
 */
#include <stddef.h>

#include "port.h"
#include "start.h"

_Static_assert(F_CPU == 16000000, "the clock is the crystal of the HiFive1");

struct prci {
    volatile uint32_t hfrosccfg, hfxosccfg, pllcfg, plloutdiv;
};

struct gpio {
    volatile uint32_t input_val, input_en, output_en, output_val, pue, ds, rise_ie, rise_ip, fall_ie, fall_ip;
    volatile uint32_t high_ie, high_ip, low_ie, low_ip, iof_en, iof_sel, out_xor;
};
_Static_assert(offsetof(struct gpio, iof_en) == 0x38, "FE310-G000 Manual, table 17.2");

struct uart {
    volatile uint32_t txdata, rxdata, txctrl, rxctrl, ie, ip, div;
};

#define PRCI ((struct prci *)0x10008000)
#define GPIO ((struct gpio *)0x10012000)
#define UART0 ((struct uart *)0x10013000)
#define PLIC_PRIORITY(source) (*(volatile uint32_t *)(0x0C000000 + 4 * (source)))
#define PLIC_ENABLE (*(volatile uint32_t *)0x0C002000)
#define PLIC_THRESHOLD (*(volatile uint32_t *)0x0C200000)
#define PLIC_CLAIM (*(volatile uint32_t *)0x0C200004)

enum {
    HFXOSC_ENABLE = 1 << 30,
    HFXOSC_READY = 1u << 31,
    PLL_SELECT = 1 << 16,
    PLL_REFERENCE = 1 << 17, /* the crystal */
    PLL_BYPASS = 1 << 18,
    UART_ENABLE = 1 << 0,
    UART_IE_RECEIVE = 1 << 1,
    UART_FULL_OR_EMPTY = 1u << 31, /* of txdata, of rxdata */
    UART0_SOURCE = 3,
    UART0_PINS = 1 << 16 | 1 << 17,
    SYNC_PIN = 18,
    MSTATUS_MIE = 1 << 3,
    MIE_EXTERNAL = 1 << 11,
    CAUSE_EXTERNAL = 0x8000000B,
};

/* The compiler's -march has no CSR instructions, because the C library's name has none. */
#define CSR(text) ".option push\n.option arch, +zicsr\n" text "\n.option pop"

static uint64_t timer_started;

static uint64_t cycles(void)
{
    uint32_t high, low, again;

    do {
        __asm volatile(CSR("csrr %0, mcycleh") : "=r"(high));
        __asm volatile(CSR("csrr %0, mcycle") : "=r"(low));
        __asm volatile(CSR("csrr %0, mcycleh") : "=r"(again));
    } while (high != again);
    return (uint64_t)high << 32 | low;
}

static void start_clock(void)
{
    PRCI->hfxosccfg = HFXOSC_ENABLE;
    while (!(PRCI->hfxosccfg & HFXOSC_READY)) {
    }
    PRCI->pllcfg = PLL_REFERENCE | PLL_BYPASS;
    PRCI->pllcfg = PLL_REFERENCE | PLL_BYPASS | PLL_SELECT;
}

struct tn_boot tn_port_init(void)
{
    const struct tn_start start = tn_start_count();

    start_clock();
    GPIO->iof_sel &= ~(uint32_t)UART0_PINS;
    GPIO->iof_en |= UART0_PINS;
    GPIO->output_en |= 1u << SYNC_PIN;
    UART0->div = F_CPU / TN_BAUD - 1;
    UART0->txctrl = UART_ENABLE;
    UART0->rxctrl = UART_ENABLE;
    UART0->ie = UART_IE_RECEIVE;
    PLIC_PRIORITY(UART0_SOURCE) = 1;
    PLIC_THRESHOLD = 0;
    PLIC_ENABLE = 1u << UART0_SOURCE;
    PLIC_CLAIM = UART0_SOURCE; /* a reset may have come between a claim and its completion */
    __asm volatile(CSR("csrs mie, %0") ::"r"(MIE_EXTERNAL));
    __asm volatile(CSR("csrs mstatus, %0") ::"r"(MSTATUS_MIE));
    return (struct tn_boot){
        .clock_hz = F_CPU,
        .ticks_hz = F_CPU,
        .count = start.count,
        .cause = start.power_came_on ? TN_RESET_POWER_ON : start.asked ? TN_RESET_SOFTWARE : TN_RESET_PIN,
    };
}

/* Where startup_riscv.S goes for every trap. */
void tn_trap_handler(uint32_t cause)
{
    if (cause != CAUSE_EXTERNAL) {
        tn_fault_handler();
    }
    const uint32_t source = PLIC_CLAIM;
    uint32_t data = UART0->rxdata;

    while (!(data & UART_FULL_OR_EMPTY)) {
        tn_received((uint8_t)data);
        data = UART0->rxdata;
    }
    PLIC_CLAIM = source;
}

uint8_t tn_port_read(void)
{
    while (tn_none_received()) {
        /* With interrupts masked, one that comes after the check still ends the wait (RISC-V privileged, WFI). */
        __asm volatile(CSR("csrc mstatus, %0") ::"r"(MSTATUS_MIE) : "memory");
        if (tn_none_received()) {
            __asm volatile("wfi");
        }
        __asm volatile(CSR("csrs mstatus, %0") ::"r"(MSTATUS_MIE) : "memory");
    }
    return tn_take_received();
}

void tn_port_chip_id(uint8_t id[TN_CHIP_ID_BYTES])
{
    (void)id; /* the chip has none */
}

void tn_port_write(uint8_t byte)
{
    while (UART0->txdata & UART_FULL_OR_EMPTY) {
    }
    UART0->txdata = byte;
}

/* The FIFO's last byte and the one in the shift register are not told of: they take less than this many cycles. */
void tn_port_flush(void)
{
    const uint64_t until = cycles() + 10ull * 10 * F_CPU / TN_BAUD;

    while (cycles() < until) {
    }
}

void tn_port_timer_start(void)
{
    timer_started = cycles();
}

uint64_t tn_port_timer_read(void)
{
    return cycles() - timer_started;
}

uint32_t tn_port_timer_stop(void)
{
    const uint64_t ticks = tn_port_timer_read();

    return ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

void tn_port_sync(bool high)
{
    GPIO->output_val = high ? 1u << SYNC_PIN : 0;
}

_Noreturn void tn_port_restart(void)
{
    extern _Noreturn void tn_reset_handler(void);

    tn_reset_handler();
}
