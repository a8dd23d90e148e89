/* As the compiler writes it beside every network. */
#ifndef TN_NETWORK_ENDS_H
#define TN_NETWORK_ENDS_H

#include <string.h>

#include "network.h"

#define TN_NETWORK_INPUTS_BYTES ((uint32_t)sizeof(struct tn_selftest_input))
#define TN_NETWORK_OUTPUTS_BYTES ((uint32_t)sizeof(struct tn_selftest_output))

static inline void tn_network_write_inputs(uint32_t offset, const void *bytes, uint32_t count)
{
    memcpy(tn_network_input() + offset, bytes, count);
}

static inline void tn_network_read_outputs(uint32_t offset, void *bytes, uint32_t count)
{
    memcpy(bytes, tn_network_output() + offset, count);
}

#endif
