/* What a CPU family supplies, in port_<family>.c or .cpp. The rest of the firmware touches no register.
 *
 * The port also places what its linker script names: sections .bss.tn_arena and .rodata.tn_constants apart, so that
 * sizes can be read off the image, and memory that a reset leaves alone, for the boot count.
 */
#ifndef TN_PORT_H
#define TN_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why the CPU started. Values travel in the greeting. */
enum tn_reset_cause {
    TN_RESET_UNKNOWN = 0,
    TN_RESET_POWER_ON = 1,
    TN_RESET_PIN = 2,
    TN_RESET_SOFTWARE = 3,
    TN_RESET_WATCHDOG = 4,
};

struct tn_boot {
    uint32_t clock_hz; /* of the CPU, as it really is: a board whose crystal failed must say so */
    uint32_t ticks_hz; /* of the timer */
    uint32_t count;    /* starts since power came on, from 1 */
    enum tn_reset_cause cause;
};

/* Clocks, link, timer. Called once, first. */
struct tn_boot tn_port_init(void);

/* Which of all chips of its kind this is, as its maker wrote into it. A port that cannot tell leaves the zeros. */
enum { TN_CHIP_ID_BYTES = 16 };
void tn_port_chip_id(uint8_t id[TN_CHIP_ID_BYTES]);

/* What the network leaves of the board's memory. */
struct tn_memory {
    uint32_t static_bytes; /* variables of the firmware and of the network; 0 where the port cannot tell */
    uint32_t stack_bytes;  /* set aside for the stack */
    uint8_t *spare_start;  /* RAM that nothing else uses, if there is any */
    uint8_t *spare_end;
};
struct tn_memory tn_port_memory(void);

/* The next byte from the host; the CPU sleeps until there is one. */
uint8_t tn_port_read(void);

/* Returns when the byte is on its way. */
void tn_port_write(uint8_t byte);

/* Waits until what was written has left. */
void tn_port_flush(void);

/* The timer runs only between these two, so that a sleeping board has nothing to wake up for. */
void tn_port_timer_start(void);

/* Ticks since the start; 0xFFFFFFFF stands for more than that. */
uint32_t tn_port_timer_stop(void);

/* Ticks since the start; the timer goes on. Only for firmware that lets it run, as MLPerf Tiny's does. */
uint64_t tn_port_timer_read(void);

/* A port with a bus for a power sensor has these two; address is that of seven bits, at least 400 kbit/s are expected.
 * False: nobody acknowledged, or the bus is stuck. They must return in any case. */
bool tn_port_i2c_write(uint8_t address, const uint8_t *bytes, size_t count);
bool tn_port_i2c_read(uint8_t address, uint8_t *bytes, size_t count);

/* Sets the level of the sync pin, by one store to the register that the board's manifest names: a logic analyser sees
 * an inference as a pulse, and QEMU's cycle counter counts from store to store. */
void tn_port_sync(bool high);

/* Starts again, after what was written has left. */
_Noreturn void tn_port_reset(void);

#endif
