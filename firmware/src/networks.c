#include "networks.h"

/* Beside the networks: includes their <name>_ends.h, and lists them as TN_NETWORKS(entry), each by entry(name, NAME). */
#include "network_list.h"

#ifdef TN_ARENA
/* One for all networks, because only one of them runs at a time. */
int8_t TN_ARENA[TN_LARGEST_ARENA_BYTES] __attribute__((section(".bss.tn_arena"), aligned(16)));
#endif

#define TN_ENTRY(name, NAME)                                                                                           \
    {                                                                                                                  \
        .sha256 = tn_##name##_sha256,                                                                                  \
        .inputs_bytes = TN_##NAME##_INPUTS_BYTES,                                                                      \
        .outputs_bytes = TN_##NAME##_OUTPUTS_BYTES,                                                                    \
        .arena_bytes = TN_##NAME##_ARENA_BYTES,                                                                        \
        .write_inputs = tn_##name##_write_inputs,                                                                      \
        .invoke = tn_##name##_invoke,                                                                                  \
        .read_outputs = tn_##name##_read_outputs,                                                                      \
    },

const struct tn_network tn_networks[] = {TN_NETWORKS(TN_ENTRY)};
const uint8_t tn_networks_count = sizeof tn_networks / sizeof *tn_networks;

_Static_assert(sizeof tn_networks / sizeof *tn_networks <= UINT8_MAX, "the greeting has a byte for their number");
