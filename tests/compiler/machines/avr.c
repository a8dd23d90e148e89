/* An ATmega1284 in simavr, which prints what is sent and ends when the CPU sleeps without interrupts. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

#include "cases.h"

void tn_say(const char *text)
{
    UCSR0B = 1 << TXEN0;
    for (; *text != 0; text++) {
        while (!(UCSR0A & (1 << UDRE0))) {
        }
        UDR0 = (uint8_t)*text;
    }
}

int main(void)
{
    tn_check_cases();
    cli();
    sleep_mode();
    return 0;
}
