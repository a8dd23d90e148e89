/* The network that does nothing: its image is what the firmware costs, and is subtracted from every network's. */
#ifndef TN_NETWORK_H
#define TN_NETWORK_H

#include <stdint.h>

#define TN_NETWORK_ARENA_BYTES 0
#define TN_NETWORK_CONSTANTS_BYTES 0

extern const uint8_t tn_network_sha256[32];

int8_t *tn_network_input(void);
const int8_t *tn_network_output(void);
void tn_network_invoke(void);

#endif
