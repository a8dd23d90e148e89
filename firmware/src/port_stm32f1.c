/* STM32F100, the value line. Registers and bits: ST reference manual RM0041.
 *
 * The link is USART1 on PA9 (TX) and PA10 (RX), the sync pin is PB8. The same image runs on the chip and on QEMU, which
 * has no RCC: its clocks run at their final speed from the start. Flash needs no wait states up to 24 MHz.
 */
#include <stddef.h>

#include "frames.h"
#include "port.h"
#include "start.h"

_Static_assert(F_CPU == 24000000 && TN_HSE_HZ == 8000000, "the PLL multiplies a crystal of 8 MHz by three");

struct rcc {
    volatile uint32_t cr, cfgr, cir, apb2rstr, apb1rstr, ahbenr, apb2enr, apb1enr, bdcr, csr;
};
_Static_assert(offsetof(struct rcc, csr) == 0x24, "RM0041, RCC register map");

struct gpio {
    volatile uint32_t crl, crh, idr, odr, bsrr;
};

struct usart {
    volatile uint32_t sr, dr, brr, cr1;
};

#define RCC ((struct rcc *)0x40021000)
#define GPIOA ((struct gpio *)0x40010800)
#define GPIOB ((struct gpio *)0x40010C00)
#define USART1 ((struct usart *)0x40013800)
#define UNIQUE_ID ((const volatile uint32_t *)0x1FFFF7E8) /* RM0041, 26.2 */
#define NVIC_ISER1 (*(volatile uint32_t *)0xE000E104)

enum {
    HSI_HZ = 8000000,
    RCC_CR_HSION = 1 << 0,
    RCC_CR_HSEON = 1 << 16,
    RCC_CR_HSERDY = 1 << 17,
    RCC_CR_PLLON = 1 << 24,
    RCC_CR_PLLRDY = 1 << 25,
    RCC_CFGR_SW_PLL = 2 << 0,
    RCC_CFGR_SWS_MASK = 3 << 2,
    RCC_CFGR_SWS_PLL = 2 << 2,
    RCC_CFGR_PLLSRC_HSE = 1 << 16,
    RCC_CFGR_PLLMUL_3 = 1 << 18,
    RCC_APB2ENR_GPIOA = 1 << 2,
    RCC_APB2ENR_GPIOB = 1 << 3,
    RCC_APB2ENR_USART1 = 1 << 14,
    RCC_CSR_RMVF = 1 << 24,
    RCC_CSR_PIN = 1 << 26,
    RCC_CSR_POWER_ON = 1 << 27,
    RCC_CSR_SOFTWARE = 1 << 28,
    RCC_CSR_WATCHDOGS = 3 << 29,
    USART_SR_RXNE = 1 << 5,
    USART_SR_TC = 1 << 6,
    USART_SR_TXE = 1 << 7,
    USART_CR1_ON = 1 << 13 | 1 << 5 | 1 << 3 | 1 << 2, /* UE, RXNEIE, TE, RE */
    USART1_IRQ = 37,
    PIN_OUTPUT = 0x3,    /* push-pull, 50 MHz */
    PIN_ALTERNATE = 0xB, /* the same for a peripheral */
    PIN_INPUT = 0x4,     /* floating */
    SYNC_PIN = 8,
    ROUNDS = 100000, /* of waiting: a crystal starts within milliseconds */
};

static bool wait_for(const volatile uint32_t *reg, uint32_t mask, uint32_t value)
{
    for (uint32_t i = 0; i < ROUNDS; i++) {
        if ((*reg & mask) == value) {
            return true;
        }
    }
    return false;
}

/* Returns the CPU's clock as it is then. */
static uint32_t start_clock(void)
{
    /* The chip cannot run without its internal oscillator here; only an emulator reads as zero. */
    if (!(RCC->cr & RCC_CR_HSION)) {
        return F_CPU;
    }
    RCC->cr |= RCC_CR_HSEON;
    if (!wait_for(&RCC->cr, RCC_CR_HSERDY, RCC_CR_HSERDY)) {
        return HSI_HZ;
    }
    RCC->cfgr = RCC_CFGR_PLLSRC_HSE | RCC_CFGR_PLLMUL_3;
    RCC->cr |= RCC_CR_PLLON;
    if (!wait_for(&RCC->cr, RCC_CR_PLLRDY, RCC_CR_PLLRDY)) {
        return HSI_HZ;
    }
    RCC->cfgr |= RCC_CFGR_SW_PLL;
    if (!wait_for(&RCC->cfgr, RCC_CFGR_SWS_MASK, RCC_CFGR_SWS_PLL)) {
        return HSI_HZ;
    }
    return F_CPU;
}

/* `mode` of a pin from 8 on. */
static void set_pin(struct gpio *port, unsigned pin, uint32_t mode)
{
    const unsigned at = 4 * (pin - 8);

    port->crh = (port->crh & ~(0xFu << at)) | mode << at;
}

static void start_link(uint32_t clock_hz)
{
    RCC->apb2enr |= RCC_APB2ENR_GPIOA | RCC_APB2ENR_GPIOB | RCC_APB2ENR_USART1;
    (void)RCC->apb2enr; /* a peripheral is there two cycles after its clock */
    set_pin(GPIOA, 9, PIN_ALTERNATE);
    set_pin(GPIOA, 10, PIN_INPUT);
    set_pin(GPIOB, SYNC_PIN, PIN_OUTPUT);
    USART1->brr = (clock_hz + TN_BAUD / 2) / TN_BAUD;
    USART1->cr1 = USART_CR1_ON;
    NVIC_ISER1 = 1u << (USART1_IRQ - 32);
}

static enum tn_reset_cause take_reset_cause(bool power_came_on, bool asked)
{
    const uint32_t csr = RCC->csr;

    RCC->csr = csr | RCC_CSR_RMVF;
    if (csr & RCC_CSR_WATCHDOGS) {
        return TN_RESET_WATCHDOG;
    }
    if (power_came_on || csr & RCC_CSR_POWER_ON) {
        return TN_RESET_POWER_ON;
    }
    if (asked || csr & RCC_CSR_SOFTWARE) {
        return TN_RESET_SOFTWARE;
    }
    return csr & RCC_CSR_PIN ? TN_RESET_PIN : TN_RESET_UNKNOWN;
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

    start_link(clock_hz);
    return boot;
}

void tn_port_chip_id(uint8_t id[TN_CHIP_ID_BYTES])
{
    /* As in start_clock(): an emulator has no such memory, and a read would fault. */
    if (RCC->cr & RCC_CR_HSION) {
        for (unsigned i = 0; i < 3; i++) {
            tn_put_u32(id + 4 * i, UNIQUE_ID[i]);
        }
    }
}

void tn_link_handler(void)
{
    const uint32_t status = USART1->sr;
    const uint8_t byte = (uint8_t)USART1->dr; /* reading clears the interrupt, an overrun's too */

    if (status & USART_SR_RXNE) {
        tn_received(byte);
    }
}

void tn_port_write(uint8_t byte)
{
    while (!(USART1->sr & USART_SR_TXE)) {
    }
    USART1->dr = byte;
}

void tn_port_flush(void)
{
    while (!(USART1->sr & USART_SR_TC)) {
    }
}

void tn_port_sync(bool high)
{
    GPIOB->bsrr = high ? 1u << SYNC_PIN : 1u << (SYNC_PIN + 16);
}
