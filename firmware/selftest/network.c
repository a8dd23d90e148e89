#include "network.h"

#include <string.h>

#include "frames.h"
#include "known_ends.h"
#include "port.h"

/* What the input may ask for. A task that is none of these leaves the output zero. */
enum {
    TN_ECHO = 1,    /* bytes: the input's */
    TN_SPIN = 2,    /* `amount` rounds of a loop */
    TN_STACK = 3,   /* writes to `amount` bytes of stack */
    TN_SRAM = 4,    /* values: first address, bytes tried, words that failed, first address that failed */
    TN_FLASH = 5,   /* values: CRC-32 of the first `amount` bytes of flash, the last word of it */
    TN_KERNELS = 6, /* bytes: the outputs of the network of known answers for the input's */
    TN_FAST = 7,    /* as TN_SRAM, of fast memory apart from SRAM */
};

_Static_assert(TN_KNOWN_INPUTS_BYTES <= TN_SELFTEST_BYTES, "the network of known answers reads its input from bytes");
_Static_assert(TN_KNOWN_OUTPUTS_BYTES <= TN_SELFTEST_BYTES, "and writes its output there");

#ifdef TN_OWN_MEMORY_MAP
/* From our linker script and its command line: addresses, and one that means a size. */
extern const uint8_t flash_start[];
extern const uint8_t flash_bytes[];
extern uint8_t tn_fast_end[];
extern uint8_t tn_fast_limit[];
#endif

/* Any but that of an image without a network: zeros. */
const uint8_t tn_network_sha256[32] = {'t', 'i', 'n', 'y', 'n', 'a', 's', ' ', 's', 'e', 'l', 'f', '-', 't', 'e', 's', 't'};

static struct tn_selftest_input input;
static struct tn_selftest_output output;

int8_t *tn_network_input(void)
{
    return (int8_t *)&input;
}

const int8_t *tn_network_output(void)
{
    return (const int8_t *)&output;
}

static void spin(uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++) {
        __asm volatile("" ::: "memory");
    }
}

__attribute__((noinline)) static void use_stack(uint32_t bytes)
{
    volatile uint8_t *const taken = __builtin_alloca(bytes);

    for (uint32_t i = 0; i < bytes; i++) {
        taken[i] = (uint8_t)i;
    }
}

/* Another value for every address (the factor is odd), so that two addresses of one cell are found out. */
static uint32_t pattern(uintptr_t address, uint32_t flip)
{
    return (uint32_t)address * 2654435761u ^ flip;
}

/* RAM that holds nothing of this image: written as a whole, then read as a whole, each bit as 0 and as 1. */
static void try_ram(const uint8_t *spare_start, const uint8_t *spare_end)
{
    const uintptr_t start = ((uintptr_t)spare_start + 3) & ~(uintptr_t)3;
    const uintptr_t end = (uintptr_t)spare_end & ~(uintptr_t)3;
    uint32_t failed = 0;
    uintptr_t first = 0;

    for (uint32_t pass = 0; pass < 2; pass++) {
        const uint32_t flip = pass ? UINT32_MAX : 0;

        for (uintptr_t at = start; at < end; at += 4) {
            *(volatile uint32_t *)at = pattern(at, flip);
        }
        for (uintptr_t at = start; at < end; at += 4) {
            if (*(volatile uint32_t *)at != pattern(at, flip)) {
                first = failed++ ? first : at;
            }
        }
    }
    output.values[0] = (uint32_t)start;
    output.values[1] = (uint32_t)(end - start);
    output.values[2] = failed;
    output.values[3] = (uint32_t)first;
}

#ifdef TN_OWN_MEMORY_MAP
/* Flash that is not there faults, or shows what lies elsewhere. */
static void read_flash(uint32_t bytes)
{
    output.values[0] = tn_crc32(flash_start, bytes);
    output.values[1] = *(const volatile uint32_t *)((uintptr_t)flash_start + (uintptr_t)flash_bytes - 4);
}
#endif

static void run_kernels(void)
{
    tn_known_write_inputs(0, input.bytes, TN_KNOWN_INPUTS_BYTES);
    tn_known_invoke();
    tn_known_read_outputs(0, output.bytes, TN_KNOWN_OUTPUTS_BYTES);
}

void tn_network_invoke(void)
{
    memset(&output, 0, sizeof output);
    switch (input.task) {
    case TN_ECHO:
        memcpy(output.bytes, input.bytes, sizeof output.bytes);
        break;
    case TN_SPIN:
        spin(input.amount);
        break;
    case TN_STACK:
        use_stack(input.amount);
        break;
    case TN_SRAM: {
        const struct tn_memory memory = tn_port_memory();

        try_ram(memory.spare_start, memory.spare_end);
        break;
    }
    case TN_KERNELS:
        run_kernels();
        break;
#ifdef TN_OWN_MEMORY_MAP
    case TN_FLASH:
        read_flash(input.amount);
        break;
    case TN_FAST:
        try_ram(tn_fast_end, tn_fast_limit);
        break;
#endif
    default:
        break;
    }
}
