/* What the ports of STM32 share once they have said where RCC, USART1, GPIOB and UNIQUE_ID are, which register of RCC is
 * `csr`, and how clock, link and sync pin are started. Bits: ST reference manuals RM0033, RM0041 and RM0090.
 */
#ifndef TN_STM32_H
#define TN_STM32_H

#include "frames.h"
#include "port.h"
#include "start.h"

struct usart {
    volatile uint32_t sr, dr, brr, cr1;
};

enum {
    RCC_CR_HSION = 1 << 0,
    RCC_CR_HSEON = 1 << 16,
    RCC_CR_HSERDY = 1 << 17,
    RCC_CR_PLLON = 1 << 24,
    RCC_CR_PLLRDY = 1 << 25,
    RCC_CFGR_SW_PLL = 2 << 0,
    RCC_CFGR_SWS_MASK = 3 << 2,
    RCC_CFGR_SWS_PLL = 2 << 2,
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
    SYNC_PIN = 8, /* of GPIOB */
    ROUNDS = 100000, /* of waiting: a crystal starts within milliseconds */
};

/* The port's. The first returns the CPU's clock as it is then. */
static uint32_t start_clock(void);
static void start_link(uint32_t clock_hz);
static void start_sync_pin(void);

static bool wait_for(const volatile uint32_t *reg, uint32_t mask, uint32_t value)
{
    for (uint32_t i = 0; i < ROUNDS; i++) {
        if ((*reg & mask) == value) {
            return true;
        }
    }
    return false;
}

/* The chip cannot run without its internal oscillator before start_clock() has ended; only an emulator reads as zero. */
static bool is_emulated(void)
{
    return !(RCC->cr & RCC_CR_HSION);
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
    start_sync_pin();
    return boot;
}

void tn_port_chip_id(uint8_t id[TN_CHIP_ID_BYTES])
{
    /* An emulator has no such memory, and a read would fault. */
    for (unsigned i = 0; i < 3 && !is_emulated(); i++) {
        tn_put_u32(id + 4 * i, UNIQUE_ID[i]);
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

#endif
