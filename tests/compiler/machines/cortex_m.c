/* A Cortex-M in QEMU with nothing on it: text and the end go through semihosting. */
#include <string.h>

#include "cases.h"

extern uint32_t stack_top[], bss_start[], bss_end[];

static void semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;

    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

void tn_say(const char *text)
{
    semihost(0x04, text); /* SYS_WRITE0 */
}

static void finish(void)
{
    semihost(0x18, (const void *)0x20026); /* SYS_EXIT, ADP_Stopped_ApplicationExit */
}

static void fault(void)
{
    tn_say("fault\n");
    finish();
}

static void reset(void)
{
#ifdef __ARM_FEATURE_MVE
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: vectors may be used */
    __asm__ volatile("dsb\n\tisb");
#endif
    memset(bss_start, 0, (size_t)((char *)bss_end - (char *)bss_start));
    tn_check_cases();
    finish();
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_top, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault,
};
