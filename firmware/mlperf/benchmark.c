#include "benchmark.h"

#include <math.h>
#include <string.h>

_Static_assert(TN_INPUT_FORMAT != TN_REALS || TN_NETWORK_INPUT_BYTES == TN_NETWORK_OUTPUT_BYTES,
               "an autoencoder's output is compared with its input");

#if TN_INPUT_FORMAT == TN_REALS

/* Far beyond a spectrogram in decibels, and small enough for the sum of all squares. */
#define MOST_REAL 1e6f

static int8_t quantized[TN_NETWORK_INPUT_BYTES];
static float squared_error;

/* The bytes come little endian, and at any address. */
static float real_at(const uint8_t *loaded, uint32_t index)
{
    const uint8_t *from = loaded + 4 * index;
    const uint32_t bits = from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
    float real;

    memcpy(&real, &bits, sizeof real);
    return real;
}

static int8_t quantize(float real)
{
    const float value = roundf(real / TN_INPUT_SCALE) + TN_INPUT_ZERO_POINT;

    return (int8_t)(value < -128 ? -128 : value > 127 ? 127 : value);
}

bool tn_benchmark_prepare(uint8_t *loaded)
{
    for (uint32_t i = 0; i < TN_NETWORK_INPUT_BYTES; i++) {
        const float real = real_at(loaded, i);

        if (!(real >= -MOST_REAL && real <= MOST_REAL)) {
            return false;
        }
        quantized[i] = quantize(real);
    }
    return true;
}

void tn_benchmark_run(uint32_t count)
{
    for (; count > 0; count--) {
        memcpy(tn_network_input(), quantized, sizeof quantized);
        tn_network_invoke();
    }
}

static float output_at(uint32_t index)
{
    return TN_OUTPUT_SCALE * (float)(tn_network_output()[index] - TN_OUTPUT_ZERO_POINT);
}

void tn_benchmark_finish(uint8_t *loaded)
{
    float sum = 0;

    for (uint32_t i = 0; i < TN_NETWORK_INPUT_BYTES; i++) {
        const float off = output_at(i) - real_at(loaded, i);

        sum += off * off;
    }
    squared_error = sum / TN_NETWORK_INPUT_BYTES;
}

uint32_t tn_benchmark_results(void)
{
    return 1;
}

float tn_benchmark_result(uint32_t index)
{
    (void)index;
    return squared_error;
}

#else

static const uint8_t *input;

/* value - 128, as two's complement; done twice it is undone. Not done while inferences are timed. */
static void turn_sign(uint8_t *loaded)
{
    for (uint32_t i = 0; i < TN_NETWORK_INPUT_BYTES && TN_INPUT_FORMAT == TN_IMAGE; i++) {
        loaded[i] ^= 0x80;
    }
}

bool tn_benchmark_prepare(uint8_t *loaded)
{
    turn_sign(loaded);
    input = loaded;
    return true;
}

void tn_benchmark_run(uint32_t count)
{
    for (; count > 0; count--) {
        memcpy(tn_network_input(), input, TN_NETWORK_INPUT_BYTES);
        tn_network_invoke();
    }
}

void tn_benchmark_finish(uint8_t *loaded)
{
    turn_sign(loaded);
}

uint32_t tn_benchmark_results(void)
{
    return TN_NETWORK_OUTPUT_BYTES;
}

float tn_benchmark_result(uint32_t index)
{
    return TN_OUTPUT_SCALE * (float)(tn_network_output()[index] - TN_OUTPUT_ZERO_POINT);
}

#endif
