/* STM32F405/407/415/417, and STM32F205/207/215/217. Registers and bits: ST reference manuals RM0090 and RM0033.
 *
 * The link is USART1 on PA9 (TX) and PA10 (RX), the sync pin is PB8. The same image runs on the chip and on QEMU, which
 * has no RCC: its clocks run at their final speed from the start.
 */
#include "port_stm32f4.h"

#include <stddef.h>
#include <stdint.h>

_Static_assert(F_CPU / 2 / 16 >= TN_BAUD, "USART1 takes 16 ticks of its bus for a bit");

struct rcc {
    volatile uint32_t cr, pllcfgr, cfgr, cir, ahb1rstr, ahb2rstr, ahb3rstr, reserved0, apb1rstr, apb2rstr;
    volatile uint32_t reserved1[2], ahb1enr, ahb2enr, ahb3enr, reserved2, apb1enr, apb2enr;
    volatile uint32_t reserved3[2], ahb1lpenr, ahb2lpenr, ahb3lpenr, reserved4, apb1lpenr, apb2lpenr;
    volatile uint32_t reserved5[2], bdcr, csr;
};
_Static_assert(offsetof(struct rcc, apb2enr) == 0x44, "RM0090, RCC register map");
_Static_assert(offsetof(struct rcc, csr) == 0x74, "RM0090, RCC register map");

struct gpio {
    volatile uint32_t moder, otyper, ospeedr, pupdr, idr, odr, bsrr, lckr, afr[2];
};

struct pwr {
    volatile uint32_t cr, csr;
};

#define RCC ((struct rcc *)0x40023800)
#define FLASH_ACR (*(volatile uint32_t *)0x40023C00)
#define GPIOA ((struct gpio *)0x40020000)
#define GPIOB ((struct gpio *)0x40020400)
#define PWR ((struct pwr *)0x40007000)
#define USART1 ((struct usart *)0x40011000)
#define UNIQUE_ID ((const volatile uint32_t *)0x1FFF7A10) /* RM0090, 39.1; RM0033, 33.1 */
#define NVIC_ISER1 (*(volatile uint32_t *)0xE000E104)

#include "stm32.h"

enum {
    HSI_HZ = 16000000,
    RCC_PLLCFGR_HSE = 1 << 22,
    RCC_CFGR_DIVIDED = 5 << 10 | 4 << 13, /* APB1 by four, up to 42 MHz, and APB2 by two, up to 84 MHz */
    RCC_AHB1ENR_GPIOA = 1 << 0,
    RCC_AHB1ENR_GPIOB = 1 << 1,
    RCC_APB1ENR_PWR = 1 << 28,
    RCC_APB2ENR_USART1 = 1 << 4,
    PWR_CR_VOS = 1 << 14,     /* scale 1, as after a reset */
    PWR_CSR_VOSRDY = 1 << 14,
    FLASH_ACR_CACHED = 7 << 8,
    FLASH_ACR_WAITS = 7 << 0,
};

/* The regulator's scale can be chosen only before the PLL is on (RM0090, 5.4.1). */
static void choose_voltage(void)
{
    RCC->apb1enr |= RCC_APB1ENR_PWR;
    (void)RCC->apb1enr;
    PWR->cr = TN_LOW_VOLTAGE ? PWR->cr & ~(uint32_t)PWR_CR_VOS : PWR->cr | PWR_CR_VOS;
}

static bool start_pll(void)
{
    RCC->cr |= RCC_CR_HSEON;
    if (!wait_for(&RCC->cr, RCC_CR_HSERDY, RCC_CR_HSERDY)) {
        return false;
    }
    if (TN_STM32F4) {
        choose_voltage();
    }
    RCC->pllcfgr = TN_PLL_M | TN_PLL_N << 6 | (TN_PLL_P / 2 - 1) << 16 | RCC_PLLCFGR_HSE | TN_PLL_Q << 24;
    RCC->cr |= RCC_CR_PLLON;
    return wait_for(&RCC->cr, RCC_CR_PLLRDY, RCC_CR_PLLRDY) &&
           (!TN_STM32F4 || wait_for(&PWR->csr, PWR_CSR_VOSRDY, PWR_CSR_VOSRDY));
}

/* From the internal oscillator to the PLL: what the faster clock needs is there before it is. Returns the CPU's clock as
 * it is then. */
static uint32_t start_clock(void)
{
    if (is_emulated()) {
        return F_CPU;
    }
    if (!start_pll()) {
        return HSI_HZ;
    }
    FLASH_ACR = FLASH_ACR_CACHED | TN_FLASH_WAITS;
    if (!wait_for(&FLASH_ACR, FLASH_ACR_WAITS, TN_FLASH_WAITS)) {
        return HSI_HZ;
    }
    RCC->cfgr = RCC_CFGR_DIVIDED;
    RCC->cfgr = RCC_CFGR_DIVIDED | RCC_CFGR_SW_PLL;
    if (!wait_for(&RCC->cfgr, RCC_CFGR_SWS_MASK, RCC_CFGR_SWS_PLL)) {
        RCC->cfgr = 0;
        return HSI_HZ;
    }
    return F_CPU;
}

static void start_link(uint32_t clock_hz)
{
    const uint32_t bus_hz = clock_hz == HSI_HZ ? HSI_HZ : clock_hz / 2;

    RCC->ahb1enr |= RCC_AHB1ENR_GPIOA;
    RCC->apb2enr |= RCC_APB2ENR_USART1;
    (void)RCC->apb2enr; /* a peripheral is there two cycles after its clock */
    GPIOA->afr[1] = (GPIOA->afr[1] & ~0xFF0u) | 0x770u;
    GPIOA->moder = (GPIOA->moder & ~(0xFu << 18)) | 0xAu << 18;
    USART1->brr = (bus_hz + TN_BAUD / 2) / TN_BAUD;
    USART1->cr1 = USART_CR1_ON;
    NVIC_ISER1 = 1u << (USART1_IRQ - 32);
}

static void start_sync_pin(void)
{
    RCC->ahb1enr |= RCC_AHB1ENR_GPIOB;
    (void)RCC->ahb1enr;
    GPIOB->moder = (GPIOB->moder & ~(3u << 2 * SYNC_PIN)) | 1u << 2 * SYNC_PIN;
}
