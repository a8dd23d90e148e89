/* The port of an exported benchmark on the host: bytes from standard input, answers to standard output. Its timer is a
 * third of a second further at every reading; edges of the sync pin are written as <0> and <1> where asked for. */
#include <stdio.h>
#include <stdlib.h>

#include "port.h"

void tn_serve(void);

struct tn_boot tn_port_init(void)
{
    return (struct tn_boot){.clock_hz = 3000000, .ticks_hz = 3, .count = 1, .cause = TN_RESET_POWER_ON};
}

uint8_t tn_port_read(void)
{
    const int byte = getchar();

    if (byte == EOF) {
        exit(0);
    }
    return (uint8_t)byte;
}

void tn_port_write(uint8_t byte)
{
    putchar(byte);
}

void tn_port_flush(void)
{
}

void tn_port_timer_start(void)
{
}

/* Beyond what 32 bits of microseconds hold. */
uint64_t tn_port_timer_read(void)
{
    static uint64_t ticks = 3 * UINT64_C(5000);

    return ticks++;
}

void tn_port_sync(bool high)
{
#ifdef TN_SHOW_SYNC
    printf("<%d>", high);
#else
    (void)high;
#endif
}

int main(void)
{
    tn_serve();
}
