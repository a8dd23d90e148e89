/* The networks in an image: mostly one, several where flashing is so slow that it is done once for them all. */
#ifndef TN_NETWORKS_H
#define TN_NETWORKS_H

#include <stdint.h>

struct tn_network {
    const uint8_t *sha256; /* 32 bytes, of the model's */
    uint32_t inputs_bytes;
    uint32_t outputs_bytes;
    uint32_t arena_bytes;
    void (*write_inputs)(uint32_t offset, const void *bytes, uint32_t count);
    void (*invoke)(void);
    void (*read_outputs)(uint32_t offset, void *bytes, uint32_t count);
};

extern const struct tn_network tn_networks[];
extern const uint8_t tn_networks_count;

#endif
