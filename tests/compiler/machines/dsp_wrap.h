/* Gives each function one type: what it does not take is ignored. */
#define DSP_ARGUMENTS_1 a
#define DSP_ARGUMENTS_2 a, b
#define DSP_ARGUMENTS_3 a, b, c
#define DSP_WRAP(name, count)                                                                       \
    static uint32_t wrapped_##name(uint32_t a, uint32_t b, uint32_t c)                              \
    {                                                                                               \
        (void)b, (void)c;                                                                           \
        return (uint32_t)name(DSP_ARGUMENTS_##count);                                               \
    }
#define DSP_ENTRY(name, count) wrapped_##name,

/* Signed parameters take the same words. */
#pragma GCC diagnostic ignored "-Wsign-conversion"
DSP_FUNCTIONS(DSP_WRAP)
