/* The emulator of AVR boards with a power sensor on the board's two-wire bus and in the line of its supply. The sensor's
 * time is the board's, and what it measures depends on the level of the sync pin, which is PB7. */
#define _GNU_SOURCE /* of tn_avr.c */
#include <simavr/avr_ioport.h>
#include <simavr/avr_twi.h>
#include <simavr/sim_avr.h>
#include <string.h>

#include "port.h"
#include "sensors.h"

enum { SYNC_BIT = 7, MOST_BYTES = 8 };

static struct {
    avr_t *avr;
    avr_irq_t *input; /* to the CPU */
    avr_cycle_count_t seen;
    bool high;
    uint8_t address, bytes[MOST_BYTES]; /* 0: somebody else is spoken to */
    size_t count;
} bus;

static void pass_time(void)
{
    tn_sensors_elapse((double)(bus.avr->cycle - bus.seen) * 1e6 / bus.avr->frequency, bus.high);
    bus.seen = bus.avr->cycle;
}

static void on_sync(struct avr_irq_t *irq, uint32_t value, void *data)
{
    (void)irq;
    (void)data;
    pass_time();
    bus.high = value;
}

static void answer(uint8_t condition, uint8_t byte)
{
    avr_raise_irq(bus.input, avr_twi_irq_msg(condition, bus.address, byte));
}

/* What was written is complete when the bus is free, or when something else begins. */
static void end_write(void)
{
    if (bus.address && !(bus.address & 1) && bus.count) {
        tn_port_i2c_write(bus.address >> 1, bus.bytes, bus.count);
    }
    bus.address = 0;
    bus.count = 0;
}

static void begin(uint8_t address)
{
    end_write();
    if (address >> 1 != SENSOR_ADDRESS) {
        return;
    }
    bus.address = address;
    if (address & 1) {
        tn_port_i2c_read(address >> 1, bus.bytes, MOST_BYTES);
    }
    answer(TWI_COND_ACK, 1);
}

static void on_bus(struct avr_irq_t *irq, uint32_t value, void *data)
{
    const avr_twi_msg_irq_t message = {.u.v = value};
    const uint8_t condition = message.u.twi.msg;

    (void)irq;
    (void)data;
    pass_time();
    if (condition & TWI_COND_STOP) {
        end_write();
    }
    if (condition & TWI_COND_START) {
        begin(message.u.twi.addr);
    }
    if (!bus.address || bus.count == MOST_BYTES) {
        return;
    }
    if (condition & TWI_COND_WRITE) {
        bus.bytes[bus.count++] = message.u.twi.data;
        answer(TWI_COND_ACK, 1);
    } else if (condition & TWI_COND_READ) {
        answer(TWI_COND_READ, bus.bytes[bus.count++]);
    }
}

static int init_with_sensor(avr_t *avr)
{
    const int result = avr_init(avr);

    bus.avr = avr;
    bus.input = avr_io_getirq(avr, AVR_IOCTL_TWI_GETIRQ(0), TWI_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_TWI_GETIRQ(0), TWI_IRQ_OUTPUT), on_bus, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('B'), SYNC_BIT), on_sync, NULL);
    tn_sensors_attach(SENSOR_KIND, SENSOR_ADDRESS, SENSOR_SHUNT_OHM, 3.3, 4.0, 20.0);
    return result;
}

#define avr_init init_with_sensor
#undef _GNU_SOURCE
#include "tn_avr.c"
