/* The network that tries the board it runs on, for tinynas boards check: its input says what to do, its output what came
 * of it. Twin of tinynas/device/selftest.py.
 */
#ifndef TN_NETWORK_H
#define TN_NETWORK_H

#include <stdint.h>

#include "known.h"

#define TN_NETWORK_ARENA_BYTES TN_KNOWN_ARENA_BYTES
#define TN_NETWORK_CONSTANTS_BYTES TN_KNOWN_CONSTANTS_BYTES

enum { TN_SELFTEST_BYTES = 512 };

/* Fields are little-endian, as the CPU has them. */
struct tn_selftest_input {
    uint32_t task;
    uint32_t amount;
    uint8_t bytes[TN_SELFTEST_BYTES];
};

struct tn_selftest_output {
    uint32_t values[4];
    uint8_t bytes[TN_SELFTEST_BYTES];
};

extern const uint8_t tn_network_sha256[32];

int8_t *tn_network_input(void);
const int8_t *tn_network_output(void);
void tn_network_invoke(void);

#endif
