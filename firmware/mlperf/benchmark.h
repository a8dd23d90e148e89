/* What lies between the bytes that the runner loads and the network's input, and between its output and the results.
 * model.h says which of MLPerf Tiny's benchmarks it is, and how the network is quantized.
 */
#ifndef TN_BENCHMARK_H
#define TN_BENCHMARK_H

#include <stdbool.h>
#include <stdint.h>

#include "network.h"

/* What the runner's files hold. */
#define TN_FEATURES 0 /* int8, as the network takes them: kws01, strww01 */
#define TN_IMAGE 1    /* uint8 RGB, of which the network takes value - 128: vww01, ic01 */
#define TN_REALS 2    /* float32, which are quantized; the result is how far the network's output is off: ad01 */

#include "model.h"

#define TN_LOADED_BYTES (TN_INPUT_FORMAT == TN_REALS ? 4 * TN_NETWORK_INPUT_BYTES : TN_NETWORK_INPUT_BYTES)

/* Makes the network's input of TN_LOADED_BYTES bytes, which may be changed until tn_benchmark_finish. False: ad01 was
 * loaded with what is no spectrogram. */
bool tn_benchmark_prepare(uint8_t *loaded);

/* Runs inferences. Each is given its input anew, because one may overwrite it. */
void tn_benchmark_run(uint32_t count);

/* Puts the bytes back as they were loaded, and computes the results. */
void tn_benchmark_finish(uint8_t *loaded);

/* Of the last inference, until the next one. */
uint32_t tn_benchmark_results(void);
float tn_benchmark_result(uint32_t index);

#endif
