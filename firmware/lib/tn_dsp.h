/* The DSP instructions of Cortex-M4, M7 and M33, and what they mean in C for every other machine.
 *
 * A word holds two int16 halves or four int8 bytes, the lowest first. Kernels that use these run anywhere, bit for bit
 * the same; they are fast only where __ARM_FEATURE_DSP is defined. Sums are unsigned because they wrap.
 */
#ifndef TN_DSP_H
#define TN_DSP_H

#include <string.h>

#include "tn_compiler.h"

#ifdef __ARM_FEATURE_DSP

#include <arm_acle.h>

/* sum + the product of the low halves + the product of the high halves. */
TN_FOLDED uint32_t tn_smlad(uint32_t x, uint32_t y, uint32_t sum)
{
    return (uint32_t)__smlad((int16x2_t)x, (int16x2_t)y, (int32_t)sum);
}

/* sum + the product of the low halves. */
TN_FOLDED uint32_t tn_smlabb(uint32_t x, uint32_t y, uint32_t sum)
{
    uint32_t result;

    __asm__("smlabb %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
    return result;
}

/* sum + the product of the high halves. */
TN_FOLDED uint32_t tn_smlatt(uint32_t x, uint32_t y, uint32_t sum)
{
    uint32_t result;

    __asm__("smlatt %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(sum));
    return result;
}

/* Bytes 0 and 2 as halves. */
TN_FOLDED uint32_t tn_sxtb16(uint32_t bytes)
{
    return (uint32_t)__sxtb16((int8x4_t)bytes);
}

/* Bytes 1 and 3 as halves. */
TN_FOLDED uint32_t tn_sxtb16_odd(uint32_t bytes)
{
    uint32_t halves;

    __asm__("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(bytes));
    return halves;
}

/* The low half of `low` below the low half of `high`. */
TN_FOLDED uint32_t tn_pack_low(uint32_t low, uint32_t high)
{
    uint32_t halves;

    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(halves) : "r"(low), "r"(high));
    return halves;
}

/* The high half of `low` below the high half of `high`. */
TN_FOLDED uint32_t tn_pack_high(uint32_t low, uint32_t high)
{
    uint32_t halves;

    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(halves) : "r"(high), "r"(low));
    return halves;
}

/* sum + a * b / 2^32, rounded to the nearest, halves up. */
TN_FOLDED int32_t tn_smmlar(int32_t a, int32_t b, int32_t sum)
{
    int32_t result;

    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* sum + a * b / 2^32, rounded down. */
TN_FOLDED int32_t tn_smmla(int32_t a, int32_t b, int32_t sum)
{
    int32_t result;

    __asm__("smmla %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

/* Clamped to int8. */
TN_FOLDED int32_t tn_ssat8(int32_t value)
{
    int32_t result;

    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(value));
    return result;
}

#else

TN_FOLDED int32_t tn_half(uint32_t word, int32_t high)
{
    return (int16_t)(uint16_t)(high ? word >> 16 : word);
}

TN_FOLDED uint32_t tn_smlad(uint32_t x, uint32_t y, uint32_t sum)
{
    return sum + (uint32_t)(tn_half(x, 0) * tn_half(y, 0)) + (uint32_t)(tn_half(x, 1) * tn_half(y, 1));
}

TN_FOLDED uint32_t tn_smlabb(uint32_t x, uint32_t y, uint32_t sum)
{
    return sum + (uint32_t)(tn_half(x, 0) * tn_half(y, 0));
}

TN_FOLDED uint32_t tn_smlatt(uint32_t x, uint32_t y, uint32_t sum)
{
    return sum + (uint32_t)(tn_half(x, 1) * tn_half(y, 1));
}

TN_FOLDED uint32_t tn_sxtb16(uint32_t bytes)
{
    const uint32_t low = (uint32_t)(int32_t)(int8_t)(uint8_t)bytes;
    const uint32_t high = (uint32_t)(int32_t)(int8_t)(uint8_t)(bytes >> 16);

    return (low & 0xFFFFu) | (high << 16);
}

TN_FOLDED uint32_t tn_sxtb16_odd(uint32_t bytes)
{
    return tn_sxtb16(bytes >> 8);
}

TN_FOLDED uint32_t tn_pack_low(uint32_t low, uint32_t high)
{
    return (low & 0xFFFFu) | (high << 16);
}

TN_FOLDED uint32_t tn_pack_high(uint32_t low, uint32_t high)
{
    return (low >> 16) | (high & 0xFFFF0000u);
}

TN_FOLDED int32_t tn_smmlar(int32_t a, int32_t b, int32_t sum)
{
    const uint32_t product = (uint32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);

    return (int32_t)((uint32_t)sum + product);
}

TN_FOLDED int32_t tn_smmla(int32_t a, int32_t b, int32_t sum)
{
    return (int32_t)((uint32_t)sum + (uint32_t)(((int64_t)a * b) >> 32));
}

TN_FOLDED int32_t tn_ssat8(int32_t value)
{
    return value < -128 ? -128 : value > 127 ? 127 : value;
}

#endif

/* Four bytes from any address. */
TN_FOLDED uint32_t tn_load4(const int8_t *from)
{
    uint32_t bytes;

    memcpy(&bytes, from, sizeof bytes);
    return bytes;
}

TN_FOLDED void tn_store4(int8_t *to, uint32_t bytes)
{
    memcpy(to, &bytes, sizeof bytes);
}

/* For a handful of bytes, where a call of memcpy costs more than the copy. */
TN_FOLDED void tn_copy_bytes(int8_t *to, const int8_t *from, int32_t count)
{
    for (; count >= 4; count -= 4, to += 4, from += 4) {
        tn_store4(to, tn_load4(from));
    }
    for (; count > 0; count--) {
        *to++ = *from++;
    }
}

#endif
