/* Compares the DSP instructions with their portable twins: words at the edges in every combination, then random ones. */
#include "cases.h"
#include "dsp_functions.h"
#include "tn_dsp.h"
#include "dsp_wrap.h"

enum { EDGES = 18, RANDOM = 200000 };

static const dsp_function instructions[] = {DSP_FUNCTIONS(DSP_ENTRY)};

static const uint32_t edges[EDGES] = {
    0,          1,          2,          0x7F,       0x80,       0xFF,       0x7FFF,     0x8000,     0xFFFF,
    0x10000,    0x7F80FF01, 0x80008000, 0x7FFF7FFF, 0x80007FFF, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF,
};

static uint32_t compare(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t wrong = 0;

    for (size_t i = 0; i < sizeof instructions / sizeof *instructions; i++) {
        if (instructions[i](a, b, c) != dsp_twins[i](a, b, c)) {
            wrong |= (uint32_t)1 << i;
        }
    }
    return wrong;
}

/* What cases.c does elsewhere. */
void tn_check_cases(void)
{
    uint32_t wrong = 0, state = 1, word[3];

    for (uint32_t i = 0; i < EDGES * EDGES * EDGES; i++) {
        wrong |= compare(edges[i % EDGES], edges[i / EDGES % EDGES], edges[i / EDGES / EDGES]);
    }
    for (uint32_t i = 0; i < RANDOM; i++) {
        for (int32_t j = 0; j < 3; j++) {
            state ^= state << 13, state ^= state >> 17, state ^= state << 5;
            word[j] = state;
        }
        wrong |= compare(word[0], word[1], word[2]);
    }
    for (size_t i = 0; i < sizeof instructions / sizeof *instructions; i++) {
        tn_say(wrong >> i & 1 ? "wrong\n" : "equal\n");
    }
}
