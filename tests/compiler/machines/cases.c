/* Runs compiled networks over recorded inputs and names every output that is not the expected one. */
#include "cases.h"

#ifdef __AVR__
#include <avr/pgmspace.h>
#endif

/* AVR reads its flash with instructions of their own. */
static int8_t vector_at(uint32_t index)
{
#ifdef __AVR__
    return (int8_t)pgm_read_byte_far(pgm_get_far_address(tn_vectors) + index);
#else
    return tn_vectors[index];
#endif
}

static void say_number(uint32_t number)
{
    char digits[12] = {0};
    char *first = digits + sizeof digits - 1;

    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    tn_say(first);
}

static int8_t matches(const int8_t *output, uint32_t size, uint32_t at)
{
    for (uint32_t i = 0; i < size; i++) {
        if (output[i] != vector_at(at + i)) {
            return 0;
        }
    }
    return 1;
}

/* Returns where the next case's vectors start. */
static uint32_t check(const struct tn_case *each, uint32_t number, uint32_t at)
{
    for (uint32_t sample = 0; sample < each->samples; sample++) {
        int8_t *const input = each->input();

        for (uint32_t i = 0; i < each->input_bytes; i++) {
            input[i] = vector_at(at + i);
        }
        each->invoke();
        at += each->input_bytes;
        if (!matches(each->output(), each->output_bytes, at)) {
            tn_say("wrong ");
            say_number(number);
            tn_say(" ");
            say_number(sample);
            tn_say("\n");
        }
        at += each->output_bytes;
    }
    return at;
}

void tn_check_cases(void)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < tn_case_count; i++) {
        at = check(&tn_cases[i], i, at);
    }
    tn_say("done ");
    say_number(tn_case_count);
    tn_say("\n");
}
