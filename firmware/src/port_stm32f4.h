/* The clocks of an STM32F4 or an STM32F2 at F_CPU, from a crystal of TN_HSE_HZ: arithmetic alone, done by the compiler.
 * ST reference manuals RM0090 (7.3.2 for the PLL, 3.5 for the flash) and RM0033 (5.3.2, 2.5), datasheet DS8626 (table 14).
 */
#ifndef TN_PORT_STM32F4_H
#define TN_PORT_STM32F4_H

#ifdef __ARM_FEATURE_DSP /* the Cortex-M4 of an STM32F4; an STM32F2 has a Cortex-M3 */
#define TN_STM32F4 1
#else
#define TN_STM32F4 0
#endif

enum {
    TN_MHZ = 1000000,
    TN_MOST_HZ = TN_STM32F4 ? 168 * TN_MHZ : 120 * TN_MHZ,
    TN_VCO_MOST_MHZ = 432,
    TN_VCO_LEAST_MHZ = 192,
    /* The PLL: 1 MHz from the crystal, times N for the VCO, over P for the CPU, over Q for what must not exceed 48 MHz. P
     * is the largest that the VCO is fast enough for. */
    TN_PLL_M = TN_HSE_HZ / TN_MHZ,
    TN_PLL_P = F_CPU / TN_MHZ <= TN_VCO_MOST_MHZ / 8   ? 8
               : F_CPU / TN_MHZ <= TN_VCO_MOST_MHZ / 6 ? 6
               : F_CPU / TN_MHZ <= TN_VCO_MOST_MHZ / 4 ? 4
                                                       : 2,
    TN_PLL_N = F_CPU / TN_MHZ * TN_PLL_P,
    TN_PLL_Q = (TN_PLL_N + 47) / 48,
    /* One for each 30 MHz begun beyond the first, at 2.7 V to 3.6 V. */
    TN_FLASH_WAITS = (F_CPU - 1) / (30 * TN_MHZ),
    /* The regulator's second scale, which an STM32F4 can do with up to 144 MHz, takes less power. */
    TN_LOW_VOLTAGE = TN_STM32F4 && F_CPU <= 144 * TN_MHZ,
};

_Static_assert(TN_HSE_HZ % TN_MHZ == 0, "the PLL's input is the crystal divided down to 1 MHz");
_Static_assert(TN_PLL_M >= 2 && TN_PLL_M <= 63, "the crystal is divided by 2 to 63");
_Static_assert(F_CPU % TN_MHZ == 0, "the PLL gives whole MHz");
_Static_assert(F_CPU <= TN_MOST_HZ, "an STM32F4 runs at up to 168 MHz, an STM32F2 at up to 120 MHz");
_Static_assert(TN_PLL_N >= TN_VCO_LEAST_MHZ && TN_PLL_N <= TN_VCO_MOST_MHZ, "the VCO runs at 192 to 432 MHz");
_Static_assert(TN_PLL_Q >= 2 && TN_PLL_Q <= 15, "the PLL's Q is 2 to 15");

#endif
