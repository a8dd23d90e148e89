#include "frames.h"

/* A COBS block of this code holds 254 bytes and stands for no zero byte. */
enum { TN_FULL_BLOCK = 0xFF };

/* CRC-32 as zlib computes it, four bits at a time: a table of 256 entries would be a kilobyte of flash. */
uint32_t tn_crc32(const uint8_t *data, size_t size)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = 0xFFFFFFFF;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static bool tn_is_intact(struct tn_decoder *decoder)
{
    const uint8_t *const body = decoder->frame.body;

    if (decoder->damaged || decoder->remaining || decoder->size < TN_MIN_BODY) {
        return false;
    }
    const uint16_t covered = (uint16_t)(decoder->size - TN_CRC_SIZE);

    decoder->frame.payload_size = (uint16_t)(covered - TN_HEADER_SIZE);
    return tn_crc32(body, covered) == tn_get_u32(body + covered);
}

static void tn_append(struct tn_decoder *decoder, uint8_t byte)
{
    if (decoder->size == TN_MAX_BODY) {
        decoder->damaged = true;
    } else {
        decoder->frame.body[decoder->size++] = byte;
    }
}

bool tn_decode(struct tn_decoder *decoder, uint8_t byte)
{
    if (byte == 0) {
        const bool intact = tn_is_intact(decoder);

        decoder->size = 0;
        decoder->code = decoder->remaining = 0;
        decoder->damaged = false;
        return intact;
    }
    if (decoder->remaining) {
        tn_append(decoder, byte);
        decoder->remaining--;
        return false;
    }
    /* A block's zero byte belongs to the body only when another block follows. */
    if (decoder->code && decoder->code != TN_FULL_BLOCK) {
        tn_append(decoder, 0);
    }
    decoder->code = byte;
    decoder->remaining = (uint8_t)(byte - 1);
    return false;
}

void tn_seal(struct tn_frame *frame, uint8_t type, uint16_t sequence, uint32_t run_id)
{
    const size_t covered = TN_HEADER_SIZE + (size_t)frame->payload_size;

    frame->body[0] = TN_PROTOCOL_VERSION;
    frame->body[1] = type;
    tn_put_u16(frame->body + 2, sequence);
    tn_put_u32(frame->body + 4, run_id);
    tn_put_u32(frame->body + covered, tn_crc32(frame->body, covered));
}

void tn_send(const struct tn_frame *frame, void (*put)(uint8_t byte))
{
    const uint8_t *next = frame->body;
    const uint8_t *const end = next + TN_MIN_BODY + frame->payload_size;
    bool more = true;

    put(0);
    while (more) {
        const uint8_t *stop = next;

        while (stop < end && *stop && stop - next < TN_FULL_BLOCK - 1) {
            stop++;
        }
        const bool full = stop - next == TN_FULL_BLOCK - 1;

        put((uint8_t)(stop - next + 1));
        while (next < stop) {
            put(*next++);
        }
        /* A zero byte at the very end still needs a block after it, an empty one. */
        more = next < end;
        if (more && !full) {
            next++;
        }
    }
    put(0);
}
