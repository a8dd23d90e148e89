#include "answers.h"

#include <string.h>

#include "commands.h"
#include "port.h"

static void say_character(char character)
{
    tn_port_write((uint8_t)character);
}

void tn_say(const char *text)
{
    for (; *text != '\0'; text++) {
        say_character(*text);
    }
}

void tn_say_foreign(const char *text)
{
    for (uint32_t i = 0; i < TN_COMMAND_CHARS && text[i] != '\0'; i++) {
        const bool is_plain = text[i] >= ' ' && text[i] <= '~' && text[i] != '[' && text[i] != ']';

        say_character(is_plain ? text[i] : '?');
    }
}

void tn_say_number(uint64_t number)
{
    char digits[20]; /* of 2^64 - 1 */
    uint32_t count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0) {
        say_character(digits[--count]);
    }
}

void tn_say_hex(uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";

    say_character(digits[byte >> 4]);
    say_character(digits[byte & 15]);
}

/* |value| in thousandths. `bits` are those of an IEEE 754 single, below 2^53. The C library's printf would need more
 * flash than some networks, and knows floats only if it is asked to at link time. */
static uint64_t in_thousandths(uint32_t bits)
{
    const uint32_t exponent = bits >> 23 & 255;
    const uint64_t scaled = ((bits & 0x7FFFFF) | (exponent != 0 ? 0x800000 : 0)) * UINT64_C(1000);
    /* The value is its significand, which has 24 bits, times 2^-shift. */
    const int shift = 150 - (int)(exponent != 0 ? exponent : 1);

    if (shift <= 0) {
        return scaled << -shift;
    }
    if (shift > 40) {
        return 0; /* below 2^-6 of a thousandth */
    }
    const uint64_t whole = scaled >> shift;
    const uint64_t rest = scaled - (whole << shift);
    const uint64_t half = UINT64_C(1) << (shift - 1);

    return whole + (rest > half || (rest == half && whole % 2 != 0));
}

void tn_say_real(float value)
{
    uint32_t bits;

    _Static_assert(sizeof bits == sizeof value, "floats are IEEE 754 singles");
    memcpy(&bits, &value, sizeof bits);
    if (bits >> 31 != 0) {
        say_character('-');
    }
    if ((bits & 0x7FFFFFFF) >= 0x5A000000) {
        tn_say("inf");
        return;
    }
    const uint64_t thousandths = in_thousandths(bits);
    const uint32_t decimals = (uint32_t)(thousandths % 1000);

    tn_say_number(thousandths / 1000);
    say_character('.');
    say_character((char)('0' + decimals / 100));
    say_character((char)('0' + decimals / 10 % 10));
    say_character((char)('0' + decimals % 10));
}
