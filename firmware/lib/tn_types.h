/* Values of any type in the arena, which is bytes: read and written by copying, so that no rule of aliasing is broken. */
#ifndef TN_TYPES_H
#define TN_TYPES_H

#include <string.h>

#include "tn_compiler.h"

/* A literal at every call. */
enum tn_type {
    TN_INT8 = 0,
    TN_UINT8 = 1,
    TN_INT16 = 2,
};

TN_FOLDED int32_t tn_load_int16(const int8_t *from)
{
    int16_t value;

    memcpy(&value, from, sizeof value);
    return value;
}

TN_FOLDED void tn_store_int16(int8_t *to, int32_t value)
{
    const int16_t stored = (int16_t)value;

    memcpy(to, &stored, sizeof stored);
}

TN_FOLDED float tn_load_float(const int8_t *from)
{
    float value;

    memcpy(&value, from, sizeof value);
    return value;
}

TN_FOLDED void tn_store_float(int8_t *to, float value)
{
    memcpy(to, &value, sizeof value);
}

/* What a value takes [B]. */
TN_FOLDED int32_t tn_value_bytes(int32_t type)
{
    return type == TN_INT16 ? 2 : 1;
}

/* Value number `index`. */
TN_FOLDED int32_t tn_load_value(int32_t type, const int8_t *from, int32_t index)
{
    if (type == TN_INT16) {
        return tn_load_int16(from + 2 * index);
    }
    return type == TN_UINT8 ? (int32_t)(uint8_t)from[index] : (int32_t)from[index];
}

/* Stores what the type holds anyway. */
TN_FOLDED void tn_put_value(int32_t type, int8_t *to, int32_t index, int32_t value)
{
    if (type == TN_INT16) {
        tn_store_int16(to + 2 * index, value);
    } else {
        to[index] = (int8_t)(uint8_t)value;
    }
}

/* Clamps to what the type holds. */
TN_FOLDED void tn_store_value(int32_t type, int8_t *to, int32_t index, int32_t value)
{
    const int32_t low = type == TN_INT16 ? INT16_MIN : type == TN_UINT8 ? 0 : INT8_MIN;
    const int32_t high = type == TN_INT16 ? INT16_MAX : type == TN_UINT8 ? UINT8_MAX : INT8_MAX;

    tn_put_value(type, to, index, value < low ? low : value > high ? high : value);
}

#endif
