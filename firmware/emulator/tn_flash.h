/* What a CPU waits for its flash memory, where that is slower than the CPU: a buffer of one line, prefetch of the next
 * one, and caches for instructions and for data, as in ST's "adaptive real-time memory accelerator" (reference manual
 * RM0090, section 3.5).
 *
 * Instructions: the line that is being executed costs nothing, and neither does the next one in sequence if `prefetch`
 * is on (as if it always came in time) nor one in the cache. Any other one costs `wait_states` and goes into the cache.
 * Data: a read from a line in the data cache costs nothing, any other one `wait_states`. Caches are fully associative
 * and replace the line that was not used for longest. Instructions and data do not get in each other's way.
 */
#ifndef TN_FLASH_H
#define TN_FLASH_H

#include <stdbool.h>
#include <stdint.h>

enum { TN_MAX_LINES = 1024 };

struct tn_flash {
    uint32_t start;
    uint32_t size; /* bytes */
    uint32_t wait_states;
    uint32_t line_bytes;
    uint32_t instruction_lines; /* up to TN_MAX_LINES; 0: no cache */
    uint32_t data_lines;
    bool prefetch;
};

/* Empties buffers and caches. */
void tn_flash_init(const struct tn_flash *flash);

/* Cycles that the CPU waits to execute what lies from `from` up to `to`. */
uint32_t tn_flash_fetch(uint32_t from, uint32_t to);

/* Cycles that the CPU waits to read data at `address`. */
uint32_t tn_flash_read(uint32_t address);

#endif
