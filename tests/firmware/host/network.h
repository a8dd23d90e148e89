/* A network of sixteen bytes for the firmware on the host. */
#ifndef TN_NETWORK_H
#define TN_NETWORK_H

#include <stdint.h>

#define TN_NETWORK_ARENA_BYTES 16
#define TN_NETWORK_CONSTANTS_BYTES 0

extern const uint8_t tn_network_sha256[32];

int8_t *tn_network_input(void);
const int8_t *tn_network_output(void);
void tn_network_invoke(void);

#endif
