/* The wire between host and board: bytes in, frames out. Twin of tinynas/device/frames.py; PROTOCOL.md has every byte.
 */
#ifndef TN_FRAMES_H
#define TN_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fewer where RAM is scarce: two frames are kept, and the host learns the number from the greeting. */
#ifndef TN_PAYLOAD_BYTES
#define TN_PAYLOAD_BYTES 1024
#endif

enum {
    TN_PROTOCOL_VERSION = 1,
    TN_MAX_PAYLOAD = TN_PAYLOAD_BYTES,
    TN_HEADER_SIZE = 8,
    TN_CRC_SIZE = 4,
    TN_MIN_BODY = TN_HEADER_SIZE + TN_CRC_SIZE,
    TN_MAX_BODY = TN_MIN_BODY + TN_MAX_PAYLOAD,
};

/* The one list of what may go wrong. Values travel in ERROR answers. */
enum tn_status {
    TN_OK = 0,
    TN_BAD_REQUEST = 1,
    TN_NO_MEMORY = 2,
    TN_NO_SENSOR = 3,
    TN_NO_NETWORK = 4,
};

/* A frame between its zero bytes, unstuffed: header, `payload_size` bytes of payload, CRC. */
struct tn_frame {
    uint16_t payload_size;
    uint8_t body[TN_MAX_BODY];
};

/* Takes bytes one at a time. `frame` may be read when tn_decode returned true, until it is called again. */
struct tn_decoder {
    struct tn_frame frame;
    uint16_t size;     /* bytes of the body so far */
    uint8_t code;      /* of the block being read; 0 before the first one */
    uint8_t remaining; /* bytes left in the block */
    bool damaged;
};

/* True when `byte` completes an intact frame. Start with a decoder of zeros. */
bool tn_decode(struct tn_decoder *decoder, uint8_t byte);

/* Finishes `frame`, whose payload is in place, with an own header and CRC. */
void tn_seal(struct tn_frame *frame, uint8_t type, uint16_t sequence, uint32_t run_id);

/* Sends a sealed frame, delimiters included, byte by byte. */
void tn_send(const struct tn_frame *frame, void (*put)(uint8_t byte));

uint32_t tn_crc32(const uint8_t *data, size_t size);

static inline uint8_t *tn_payload(struct tn_frame *frame)
{
    return frame->body + TN_HEADER_SIZE;
}

static inline uint16_t tn_get_u16(const uint8_t *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static inline uint32_t tn_get_u32(const uint8_t *from)
{
    return (uint32_t)tn_get_u16(from) | (uint32_t)tn_get_u16(from + 2) << 16;
}

static inline uint8_t *tn_put_u16(uint8_t *to, uint16_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
    return to + 2;
}

static inline uint8_t *tn_put_u32(uint8_t *to, uint32_t value)
{
    return tn_put_u16(tn_put_u16(to, (uint16_t)value), (uint16_t)(value >> 16));
}

/* The header's fields; see PROTOCOL.md, "Frames". */
static inline uint8_t tn_version(const struct tn_frame *frame)
{
    return frame->body[0];
}

static inline uint8_t tn_type(const struct tn_frame *frame)
{
    return frame->body[1];
}

static inline uint16_t tn_sequence(const struct tn_frame *frame)
{
    return tn_get_u16(frame->body + 2);
}

static inline uint32_t tn_run_id(const struct tn_frame *frame)
{
    return tn_get_u32(frame->body + 4);
}

#endif
