#include <string.h>

#include "networks.h"
#include "requests.h"
#include "sensor.h"
#include "stack.h"
#include "tn_compiler.h"

enum {
    TN_HELLO = 0x01,
    TN_INPUT = 0x02,
    TN_RUN = 0x03,
    TN_TIMES = 0x04,
    TN_OUTPUT = 0x05,
    TN_RESET = 0x06,
    TN_I2C = 0x07,
    TN_PROBE = 0x08,
    TN_PROBED = 0x09,
    TN_SELECT = 0x0A,
    TN_ERROR = 0x7F,
    TN_ANSWER = 0x80,
};

enum {
    TN_BUILD_ID_BYTES = 16,
    TN_SHA256_BYTES = 32,
    TN_GREETING_BYTES = 101,
    TN_MAX_NAME = 32,
    TN_TIMES_PER_FRAME = TN_MAX_PAYLOAD / 4,
    TN_MAX_REPEATS = TN_TIMES_PER_FRAME,
};

#define TN_BOARD_NAME_BYTES (sizeof TN_BOARD_NAME)
_Static_assert(TN_BOARD_NAME_BYTES <= TN_MAX_NAME, "a board's name has at most 31 characters");
_Static_assert(1 + TN_BUILD_ID_BYTES + TN_SHA256_BYTES + 1 + 8 * 4 + 2 + 1 + TN_CHIP_ID_BYTES == TN_GREETING_BYTES, "see PROTOCOL.md");
_Static_assert(TN_GREETING_BYTES + TN_MAX_NAME <= TN_MAX_PAYLOAD, "the greeting is the longest answer of fixed size");

/* From the linker script, or from tn_build_id.c where the linker is not ours. */
extern const uint8_t tn_build_id[];

/* Which one requests are about. */
static const struct tn_network *network = tn_networks;

static uint32_t times[TN_MAX_REPEATS];
static uint16_t times_count;
static uint32_t last_ticks;

/* The inputs wait in RAM that nothing else uses, because an inference may overwrite the network's own. Where there is too
 * little of it, they go straight to the network and are good for one inference. */
static bool has_staging(void)
{
    const struct tn_memory memory = tn_port_memory();

    return (size_t)(memory.spare_end - memory.spare_start) >= network->inputs_bytes;
}

static enum tn_status greet(struct tn_frame *answer, const struct tn_boot *boot)
{
    uint8_t *to = tn_payload(answer);
    const struct tn_memory memory = tn_port_memory();
    const uint32_t fields[] = {
        boot->count,
        boot->ticks_hz,
        boot->clock_hz,
        network->inputs_bytes,
        network->outputs_bytes,
        network->arena_bytes,
        memory.static_bytes,
        memory.stack_bytes,
    };

    *to++ = TN_PROTOCOL_VERSION;
    memcpy(to, tn_build_id, TN_BUILD_ID_BYTES);
    to += TN_BUILD_ID_BYTES;
    memcpy(to, network->sha256, TN_SHA256_BYTES);
    to += TN_SHA256_BYTES;
    *to++ = (uint8_t)boot->cause;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        to = tn_put_u32(to, fields[i]);
    }
    to = tn_put_u16(to, TN_MAX_PAYLOAD);
    *to++ = tn_networks_count;
    memset(to, 0, TN_CHIP_ID_BYTES);
    tn_port_chip_id(to);
    to += TN_CHIP_ID_BYTES;
    memcpy(to, TN_BOARD_NAME, TN_BOARD_NAME_BYTES);
    answer->payload_size = (uint16_t)(to + TN_BOARD_NAME_BYTES - tn_payload(answer));
    return TN_OK;
}

/* Nothing of another network's run is left to ask for. */
static enum tn_status choose(const uint8_t *payload, uint16_t size, struct tn_frame *answer, const struct tn_boot *boot)
{
    if (size != TN_SHA256_BYTES) {
        return TN_BAD_REQUEST;
    }
    for (const struct tn_network *each = tn_networks; each < tn_networks + tn_networks_count; each++) {
        if (!memcmp(payload, each->sha256, TN_SHA256_BYTES)) {
            network = each;
            times_count = 0;
            return greet(answer, boot);
        }
    }
    return TN_NO_NETWORK;
}

static enum tn_status load(const uint8_t *payload, uint16_t size)
{
    if (size < 4) {
        return TN_BAD_REQUEST;
    }
    const uint32_t offset = tn_get_u32(payload);
    const uint32_t count = size - 4u;

    if (offset > network->inputs_bytes || count > network->inputs_bytes - offset) {
        return TN_BAD_REQUEST;
    }
    if (has_staging()) {
        memcpy(tn_port_memory().spare_start + offset, payload + 4, count);
    } else {
        network->write_inputs(offset, payload + 4, count);
    }
    return TN_OK;
}

/* What TN_MARK() of a profile build calls after each layer: one more edge of the sync pin. Kept out of line, so that it
 * costs the same wherever it is called from. */
__attribute__((noinline)) void tn_mark(void);
void tn_mark(void)
{
    static bool low;

    tn_port_sync(low);
    low = !low;
}

static void invoke_timed(void)
{
    void (*const invoke)(void) = network->invoke;

    tn_sensor_before();
    tn_port_timer_start();
    tn_port_sync(true);
    TN_MARK();
    TN_MARK(); /* between these two lies what a mark costs */
    invoke();
    tn_port_sync(false);
    last_ticks = tn_port_timer_stop();
    tn_sensor_after();
}

/* `repeats` timed inferences, and the deepest stack of them all. */
static enum tn_status run(const uint8_t *payload, uint16_t size, struct tn_frame *answer)
{
    uint32_t stack_bytes = 0;

    if (size != 2 || tn_get_u16(payload) == 0) {
        return TN_BAD_REQUEST;
    }
    const uint16_t repeats = tn_get_u16(payload);

    if (repeats > TN_MAX_REPEATS || (repeats > 1 && !has_staging())) {
        return TN_NO_MEMORY;
    }
    for (times_count = 0; times_count < repeats; times_count++) {
        if (has_staging()) {
            network->write_inputs(0, tn_port_memory().spare_start, network->inputs_bytes);
        }
        const uint32_t used = tn_stack_used(invoke_timed);

        times[times_count] = last_ticks;
        stack_bytes = used > stack_bytes ? used : stack_bytes;
    }
    tn_put_u32(tn_put_u32(tn_put_u16(tn_payload(answer), repeats), stack_bytes), tn_stack_depth());
    answer->payload_size = 10;
    return TN_OK;
}

static enum tn_status report_times(const uint8_t *payload, uint16_t size, struct tn_frame *answer)
{
    uint8_t *to = tn_payload(answer);

    if (size != 2 || tn_get_u16(payload) > times_count) {
        return TN_BAD_REQUEST;
    }
    const uint16_t first = tn_get_u16(payload);

    for (uint16_t i = first; i < times_count && i - first < TN_TIMES_PER_FRAME; i++) {
        to = tn_put_u32(to, times[i]);
    }
    answer->payload_size = (uint16_t)(to - tn_payload(answer));
    return TN_OK;
}

static enum tn_status report_output(const uint8_t *payload, uint16_t size, struct tn_frame *answer)
{
    if (size != 6) {
        return TN_BAD_REQUEST;
    }
    const uint32_t offset = tn_get_u32(payload);
    const uint16_t length = tn_get_u16(payload + 4);

    if (length > TN_MAX_PAYLOAD || offset > network->outputs_bytes || length > network->outputs_bytes - offset) {
        return TN_BAD_REQUEST;
    }
    network->read_outputs(offset, tn_payload(answer), length);
    answer->payload_size = length;
    return TN_OK;
}

static enum tn_status perform(struct tn_frame *request, struct tn_frame *answer, const struct tn_boot *boot)
{
    const uint8_t *const payload = tn_payload(request);
    const uint16_t size = request->payload_size;

    if (tn_version(request) != TN_PROTOCOL_VERSION) {
        return TN_BAD_REQUEST;
    }
    switch (tn_type(request)) {
    case TN_HELLO:
        return size ? TN_BAD_REQUEST : greet(answer, boot);
    case TN_INPUT:
        return load(payload, size);
    case TN_RUN:
        return run(payload, size, answer);
    case TN_TIMES:
        return report_times(payload, size, answer);
    case TN_OUTPUT:
        return report_output(payload, size, answer);
    case TN_I2C:
        return tn_sensor_transfer(payload, size, answer);
    case TN_PROBE:
        return tn_sensor_set_probe(payload, size);
    case TN_PROBED:
        return size ? TN_BAD_REQUEST : tn_sensor_report(answer);
    case TN_SELECT:
        return choose(payload, size, answer, boot);
    case TN_RESET:
        return size ? TN_BAD_REQUEST : TN_OK;
    default:
        return TN_BAD_REQUEST;
    }
}

bool tn_answer(struct tn_frame *request, struct tn_frame *answer, const struct tn_boot *boot)
{
    const uint8_t type = tn_type(request);
    uint8_t answer_type = type | TN_ANSWER;

    answer->payload_size = 0;
    const enum tn_status status = perform(request, answer, boot);

    if (status != TN_OK) {
        answer_type = TN_ERROR;
        tn_payload(answer)[0] = (uint8_t)status;
        tn_payload(answer)[1] = type;
        answer->payload_size = 2;
    }
    tn_seal(answer, answer_type, tn_sequence(request), tn_run_id(request));
    return status == TN_OK && type == TN_RESET;
}
