/* STM32F100, the value line. Registers and bits: ST reference manual RM0041.
 *
 * The link is USART1 on PA9 (TX) and PA10 (RX), the sync pin is PB8. The same image runs on the chip and on QEMU, which
 * has no RCC: its clocks run at their final speed from the start. Flash needs no wait states up to 24 MHz.
 */
#include <stddef.h>
#include <stdint.h>

_Static_assert(F_CPU == 24000000 && TN_HSE_HZ == 8000000, "the PLL multiplies a crystal of 8 MHz by three");

struct rcc {
    volatile uint32_t cr, cfgr, cir, apb2rstr, apb1rstr, ahbenr, apb2enr, apb1enr, bdcr, csr;
};
_Static_assert(offsetof(struct rcc, csr) == 0x24, "RM0041, RCC register map");

struct gpio {
    volatile uint32_t crl, crh, idr, odr, bsrr;
};

#define RCC ((struct rcc *)0x40021000)
#define GPIOA ((struct gpio *)0x40010800)
#define GPIOB ((struct gpio *)0x40010C00)
#define USART1 ((struct usart *)0x40013800)
#define UNIQUE_ID ((const volatile uint32_t *)0x1FFFF7E8) /* RM0041, 26.2 */
#define NVIC_ISER1 (*(volatile uint32_t *)0xE000E104)

#include "stm32.h"

enum {
    HSI_HZ = 8000000,
    RCC_CFGR_PLLSRC_HSE = 1 << 16,
    RCC_CFGR_PLLMUL_3 = 1 << 18,
    RCC_APB2ENR_GPIOA = 1 << 2,
    RCC_APB2ENR_GPIOB = 1 << 3,
    RCC_APB2ENR_USART1 = 1 << 14,
    PIN_OUTPUT = 0x3,    /* push-pull, 50 MHz */
    PIN_ALTERNATE = 0xB, /* the same for a peripheral */
    PIN_INPUT = 0x4,     /* floating */
};

/* Returns the CPU's clock as it is then. */
static uint32_t start_clock(void)
{
    if (is_emulated()) {
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
    USART1->brr = (clock_hz + TN_BAUD / 2) / TN_BAUD;
    USART1->cr1 = USART_CR1_ON;
    NVIC_ISER1 = 1u << (USART1_IRQ - 32);
}

static void start_sync_pin(void)
{
    set_pin(GPIOB, SYNC_PIN, PIN_OUTPUT);
}
