/* One function for each way from accumulators to outputs. */
#include "tn_depthwise_3x3.h"
#include "tn_fixed_point.h"
#include "tn_pair.h"
#include "tn_requantize.h"

struct factor {
    int32_t multiplier, shift, zero_point, low, high;
};

#define WAY(name) void name(const struct factor *f, int32_t count, const int32_t *accumulators, int8_t *outputs)

WAY(general);
WAY(plain);
WAY(dsp_relu);
WAY(dsp_signed);
WAY(dsp_clamped);
WAY(dsp_3x3);
WAY(dsp_3x3_far);
WAY(pair_first);
WAY(pair_second);

#define RESCALE(name, plain)                                                                              \
    WAY(name)                                                                                             \
    {                                                                                                     \
        const struct tn_rescale rescale = {0, f->zero_point, f->low, f->high};                            \
                                                                                                          \
        for (int32_t i = 0; i < count; i++) {                                                             \
            outputs[i] = tn_rescale(&rescale, plain, (uint32_t)accumulators[i], f->multiplier, f->shift); \
        }                                                                                                 \
    }

RESCALE(general, 0)
RESCALE(plain, 1)

#define REQUANTIZE(name, variant)                                                                            \
    WAY(name)                                                                                                \
    {                                                                                                        \
        const int32_t addend = (2 * f->zero_point + 1) * (1 << -f->shift) / 2;                               \
                                                                                                             \
        for (int32_t i = 0; i < count; i++) {                                                                \
            outputs[i] = tn_requantize(variant, 2 * accumulators[i], f->multiplier, -f->shift, addend, f->low, \
                                       f->high);                                                             \
        }                                                                                                    \
    }

REQUANTIZE(dsp_relu, TN_REQUANTIZE_RELU)
REQUANTIZE(dsp_signed, TN_REQUANTIZE_SIGNED)
REQUANTIZE(dsp_clamped, TN_REQUANTIZE_CLAMPED)

/* The accumulator is the bias of a window that sees nothing but zeros. */
#define WINDOW(name, strip_of, sum_of_shifts)                                                                        \
    WAY(name)                                                                                                        \
    {                                                                                                                \
        static const int8_t weights[9];                                                                              \
        static const uint32_t plane[3 * 16];                                                                 \
        static const struct tn_strip_3x3 strip = {.rows = 1, .columns = 1};                                          \
                                                                                                                     \
        for (int32_t i = 0; i < count; i++) {                                                                        \
            strip_of(&strip, plane, outputs + i, weights, accumulators[i], f->multiplier, sum_of_shifts + f->shift); \
        }                                                                                                            \
    }

WINDOW(dsp_3x3, tn_strip_4_stride_1, 11)
WINDOW(dsp_3x3_far, tn_strip_4_stride_1_far, 18)

/* The accumulator is one channel of a pair, whose other channel is 0. */
#define PAIR(name, both_of, first_of, channel)                                                             \
    WAY(name)                                                                                              \
    {                                                                                                      \
        const int32_t ahead = TN_PAIR_SHIFT + 1 + f->shift;                                                \
        const int32_t addend = ((2 * f->zero_point + 1) * (1 << TN_PAIR_SHIFT) >> 1) + (1 << (ahead - 2)); \
        const struct tn_pair_record record = {                                                             \
            .multipliers = {f->multiplier, f->multiplier},                                                 \
            .addends = {addend, addend},                                                                   \
            .shifts = ahead | (8 - ahead) << 8,                                                            \
        };                                                                                                 \
        const struct tn_pair_limits limits = {f->low, f->high};                                            \
                                                                                                           \
        for (int32_t i = 0; i < count; i++) {                                                              \
            const uint32_t accumulator = (uint32_t)accumulators[i];                                        \
            int8_t both[2];                                                                                \
                                                                                                           \
            tn_pair_finish(&record, TN_REQUANTIZE_RELU, limits, both_of, first_of, both);                  \
            outputs[i] = both[channel];                                                                    \
        }                                                                                                  \
    }

PAIR(pair_first, accumulator, accumulator, 0)
PAIR(pair_second, accumulator << 8, 0, 1)
