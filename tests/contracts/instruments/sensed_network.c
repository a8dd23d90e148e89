/* A network whose input says what sensor is on the board's bus and what the board draws, and how long it computes. With
 * sensors.c in place of the port's two I2C functions it tries a board's firmware without an instrument. Time passes for
 * the sensor in an inference and in transfers; while the board waits for the host, none does. */
#include <string.h>

#include "network.h"
#include "port.h"
#include "sensors.h"

const uint8_t tn_network_sha256[32] = {1};

static int8_t arena[TN_NETWORK_ARENA_BYTES] __attribute__((section(".bss.tn_arena"), aligned(16)));
static int32_t attached;

int8_t *tn_network_input(void)
{
    return arena;
}

const int8_t *tn_network_output(void)
{
    return arena;
}

void tn_network_invoke(void)
{
    struct {
        int32_t kind;
        uint32_t us, ticks;
        float shunt_ohm, supply_v, idle_ma, run_ma, slowness;
    } asked;

    memcpy(&asked, arena, sizeof asked);
    if (asked.kind != attached) {
        tn_sensors_attach(asked.kind, SENSOR_ADDRESS, asked.shunt_ohm, asked.supply_v, asked.idle_ma, asked.run_ma);
        attached = asked.kind;
    }
    tn_sensors_change(asked.supply_v, asked.idle_ma, asked.run_ma, asked.slowness);
    tn_sensors_elapse(asked.us, true);
    /* An emulator is slow where its timer is read. */
    while (tn_port_timer_read() < asked.ticks) {
        for (int i = 0; i < 10000; i++) {
            __asm volatile("nop");
        }
    }
}
