/* The firmware on the host: src/main.c and requests.c as they are, with bytes in memory for a port. */
#ifndef TN_BOARD_H
#define TN_BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Blank memory, first start. */
void tn_board_power_on(void);

/* What an inference takes from now on, and what is called at its start, if anything is. */
void tn_board_set_inference(uint32_t us, void (*called)(void));

/* The board reads `size` bytes; returns how many it wrote, the first `room` of which are in `out`. */
size_t tn_board_feed(const uint8_t *bytes, size_t size, uint8_t *out, size_t room);

/* How many intact frames a decoder finds in `size` bytes. */
size_t tn_board_frames_in(const uint8_t *bytes, size_t size);

#endif
