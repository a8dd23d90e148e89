/* Runs compiled networks over recorded inputs and names every output that is not the expected one. */
#include "cases.h"

#include <string.h>

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

static void check(const struct tn_case *each, uint32_t number, const int8_t *vectors)
{
    for (uint32_t sample = 0; sample < each->samples; sample++) {
        const int8_t *const expected = vectors + each->input_bytes;

        memcpy(each->input(), vectors, each->input_bytes);
        each->invoke();
        if (memcmp(each->output(), expected, each->output_bytes) != 0) {
            tn_say("wrong ");
            say_number(number);
            tn_say(" ");
            say_number(sample);
            tn_say("\n");
        }
        vectors = expected + each->output_bytes;
    }
}

void tn_check_cases(void)
{
    const int8_t *vectors = tn_vectors;

    for (uint32_t i = 0; i < tn_case_count; i++) {
        check(&tn_cases[i], i, vectors);
        vectors += tn_cases[i].samples * (tn_cases[i].input_bytes + tn_cases[i].output_bytes);
    }
    tn_say("done ");
    say_number(tn_case_count);
    tn_say("\n");
}
