/* Two inputs of an element-wise operator as four nested loops; the stride along a repeated dimension is 0. */
#ifndef TN_BROADCAST_H
#define TN_BROADCAST_H

#include <stdint.h>

struct tn_broadcast {
    int32_t size_0, size_1, size_2, size_3;
    int32_t a_0, a_1, a_2, a_3;
    int32_t b_0, b_1, b_2, b_3;
};

#endif
