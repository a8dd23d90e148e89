/* frames.c on the host: `decode` prints every intact frame of standard input, `encode TYPE SEQUENCE RUN_ID` reads a
 * payload and writes its frame. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"

static void put(uint8_t byte)
{
    putchar(byte);
}

static void print_frame(struct tn_frame *frame)
{
    printf("%u %u %u %" PRIu32 " ", tn_version(frame), tn_type(frame), tn_sequence(frame), tn_run_id(frame));
    for (size_t i = 0; i < frame->payload_size; i++) {
        printf("%02x", tn_payload(frame)[i]);
    }
    putchar('\n');
}

int main(int argc, char **argv)
{
    static struct tn_decoder decoder;
    static struct tn_frame frame;
    int byte;

    if (argc == 2 && strcmp(argv[1], "decode") == 0) {
        while ((byte = getchar()) != EOF) {
            if (tn_decode(&decoder, (uint8_t)byte)) {
                print_frame(&decoder.frame);
            }
        }
        return 0;
    }
    if (argc == 5 && strcmp(argv[1], "encode") == 0) {
        frame.payload_size = (uint16_t)fread(tn_payload(&frame), 1, TN_MAX_PAYLOAD, stdin);
        tn_seal(&frame, (uint8_t)atoi(argv[2]), (uint16_t)atoi(argv[3]), (uint32_t)strtoul(argv[4], NULL, 10));
        tn_send(&frame, put);
        return 0;
    }
    return 1;
}
