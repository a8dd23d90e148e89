/* For libFuzzer: the firmware reads whatever the fuzzer makes. An input's first byte says how: as bytes off the wire,
 * which hardly ever pass the CRC; or as requests, each of which is put into a frame that does. */
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "frames.h"
#include "sensors.h"

enum { TN_ANSWERS = 1 << 16 };

static uint8_t wire[8 * (TN_MAX_BODY + 16)];
static size_t wire_size;

static void put(uint8_t byte)
{
    wire[wire_size++] = byte;
}

/* Requests are written one after the other: type, length of the payload (two bytes), payload. */
static void frame_requests(const uint8_t *data, size_t size)
{
    static struct tn_frame frame;
    uint16_t sequence = 0;

    while (size >= 3 && wire_size + TN_MAX_BODY + 16 <= sizeof wire) {
        const size_t wanted = tn_get_u16(data + 1) % (TN_MAX_PAYLOAD + 1);
        const size_t length = wanted < size - 3 ? wanted : size - 3;

        memcpy(tn_payload(&frame), data + 3, length);
        frame.payload_size = (uint16_t)length;
        /* The top bit of the length repeats the sequence number of the request before. */
        sequence = (uint16_t)(sequence + !(data[2] & 0x80));
        tn_seal(&frame, data[0], sequence, 7);
        tn_send(&frame, put);
        data += 3 + length;
        size -= 3 + length;
    }
}

/* What the board writes must be frames, one for each request that it took, and nothing else. */
static void check_answers(const uint8_t *answers, size_t written, size_t requests)
{
    if (tn_board_frames_in(answers, written) != requests) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t answers[TN_ANSWERS];

    tn_board_power_on();
    tn_sensors_attach(TN_INA228, 0x40, 0.1, 3.3, 5, 20);
    if (size == 0) {
        return 0;
    }
    if (data[0] & 1) {
        wire_size = 0;
        frame_requests(data + 1, size - 1);
        data = wire;
        size = wire_size;
    } else {
        data++;
        size--;
    }
    const size_t written = tn_board_feed(data, size, answers, sizeof answers);

    if (written <= sizeof answers) {
        check_answers(answers, written, tn_board_frames_in(data, size));
    }
    return 0;
}
