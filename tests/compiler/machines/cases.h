/* What a machine gives to cases.c, and what it takes from there. */
#ifndef CASES_H
#define CASES_H

#include <stddef.h>
#include <stdint.h>

struct tn_case {
    int8_t *(*input)(void);
    const int8_t *(*output)(void);
    void (*invoke)(void);
    uint32_t input_bytes;
    uint32_t output_bytes;
    uint32_t samples;
};

extern const struct tn_case tn_cases[];
extern const uint32_t tn_case_count;
/* For every case and sample: the input, then the expected output. */
extern const int8_t tn_vectors[];

/* The machine's: writes text to whoever started it. */
void tn_say(const char *text);

void tn_check_cases(void);

#endif
