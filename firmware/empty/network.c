#include "network.h"

const uint8_t tn_network_sha256[32] = {0};

static int8_t value[1];

int8_t *tn_network_input(void)
{
    return value;
}

const int8_t *tn_network_output(void)
{
    return value;
}

void tn_network_invoke(void)
{
}
