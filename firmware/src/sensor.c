#include <string.h>

#include "port.h"
#include "sensor.h"

struct transfer {
    uint8_t size; /* bytes to write; 0: none */
    uint8_t write[TN_MAX_PROBE];
    uint8_t read[TN_MAX_PROBE];
    bool acknowledged;
};

static struct {
    uint8_t address; /* 0: no probe is set */
    uint8_t reads;   /* bytes to read after each of the writes */
    struct transfer before, after;
} probe;

/* A port without a bus. */
__attribute__((weak)) bool tn_port_i2c_write(uint8_t address, const uint8_t *bytes, size_t count)
{
    (void)address;
    (void)bytes;
    (void)count;
    return false;
}

__attribute__((weak)) bool tn_port_i2c_read(uint8_t address, uint8_t *bytes, size_t count)
{
    (void)address;
    (void)bytes;
    (void)count;
    return false;
}

static bool transfer(uint8_t address, const uint8_t *write, size_t size, uint8_t *read, size_t reads)
{
    return (!size || tn_port_i2c_write(address, write, size)) && (!reads || tn_port_i2c_read(address, read, reads));
}

enum tn_status tn_sensor_transfer(const uint8_t *payload, uint16_t size, struct tn_frame *answer)
{
    if (size < 2 || size - 2 > TN_MAX_TRANSFER || payload[0] > 0x7F || payload[1] > TN_MAX_TRANSFER) {
        return TN_BAD_REQUEST;
    }
    if (!transfer(payload[0], payload + 2, size - 2u, tn_payload(answer), payload[1])) {
        return TN_NO_SENSOR;
    }
    answer->payload_size = payload[1];
    return TN_OK;
}

enum tn_status tn_sensor_set_probe(const uint8_t *payload, uint16_t size)
{
    if (size == 0) {
        probe.address = 0;
        return TN_OK;
    }
    if (size < 3 || payload[0] == 0 || payload[0] > 0x7F || payload[1] > TN_MAX_PROBE || payload[2] > TN_MAX_PROBE
        || payload[2] > size - 3 || size - 3 - payload[2] > TN_MAX_PROBE) {
        return TN_BAD_REQUEST;
    }
    memset(&probe, 0, sizeof probe);
    probe.address = payload[0];
    probe.reads = payload[1];
    probe.before.size = payload[2];
    probe.after.size = (uint8_t)(size - 3 - payload[2]);
    memcpy(probe.before.write, payload + 3, probe.before.size);
    memcpy(probe.after.write, payload + 3 + probe.before.size, probe.after.size);
    return TN_OK;
}

static void do_transfer(struct transfer *each)
{
    /* Without bytes to write there is nothing to do: a register is read by writing its address first. */
    const uint8_t reads = each->size ? probe.reads : 0;

    each->acknowledged = transfer(probe.address, each->write, each->size, each->read, reads);
}

void tn_sensor_before(void)
{
    if (probe.address) {
        do_transfer(&probe.before);
    }
}

void tn_sensor_after(void)
{
    if (probe.address) {
        do_transfer(&probe.after);
    }
}

enum tn_status tn_sensor_report(struct tn_frame *answer)
{
    if (!probe.address) {
        return TN_BAD_REQUEST;
    }
    if (!probe.before.acknowledged || !probe.after.acknowledged) {
        return TN_NO_SENSOR;
    }
    memcpy(tn_payload(answer), probe.before.read, probe.reads);
    memcpy(tn_payload(answer) + probe.reads, probe.after.read, probe.reads);
    answer->payload_size = (uint16_t)(2u * probe.reads);
    return TN_OK;
}
