#include <math.h>
#include <string.h>

#include "port.h"
#include "sensors.h"

/* A byte and its acknowledgement at 400 kbit/s. */
static const double byte_us = 22.5;

static struct {
    int kind;
    uint8_t address, pointer;
    double shunt_ohm, supply_v, idle_ma, run_ma;
    uint16_t config, adc_config, shunt_cal, mask, sovl;
    uint16_t flags;              /* INA228: of DIAG_ALRT */
    double energy_lsb;           /* INA228: in units of its register */
    int32_t shunt, bus;          /* the registers */
    bool converting, ready, overflow;
    double passed_us, sum_mv_us; /* of the conversion that runs; the shunt's voltage over its time */
    double slowness;             /* of its oscillator */
} sensor;
static double now_us;

/* Microseconds: INA228, SLYS021A, table 7-6; INA226, SBOS547B, tables 7-3 to 7-5; INA219, SBOS448G, ADC settings. */
static const double times_228[] = {50, 84, 150, 280, 540, 1052, 2074, 4120};
static const double times_226[] = {140, 204, 332, 588, 1100, 2116, 4156, 8244};
static const double averages[] = {1, 4, 16, 64, 128, 256, 512, 1024};
static const double times_219[] = {84, 148, 276, 532, 84, 148, 276, 532, 532, 1060, 2130, 4260, 8510, 17020, 34050, 68100};

static void reset_registers(void)
{
    sensor.config = sensor.kind == TN_INA226 ? 0x4127 : sensor.kind == TN_INA219 ? 0x399F : 0;
    sensor.adc_config = 0xFB68;
    sensor.shunt_cal = 0x1000;
    sensor.mask = 0;
    sensor.sovl = 0x7FFF;
    sensor.flags = 1; /* MEMSTAT: normal */
    sensor.energy_lsb = 0;
    sensor.shunt = sensor.bus = 0;
    sensor.converting = true;
    sensor.ready = sensor.overflow = false;
    sensor.passed_us = sensor.sum_mv_us = 0;
}

void tn_sensors_attach(int kind, uint8_t address, double shunt_ohm, double supply_v, double idle_ma, double run_ma)
{
    memset(&sensor, 0, sizeof sensor);
    sensor.kind = kind;
    sensor.address = address;
    sensor.shunt_ohm = shunt_ohm;
    sensor.supply_v = supply_v;
    sensor.idle_ma = idle_ma;
    sensor.run_ma = run_ma;
    sensor.slowness = 1;
    reset_registers();
}

void tn_sensors_change(double supply_v, double idle_ma, double run_ma, double slowness)
{
    sensor.supply_v = supply_v;
    sensor.idle_ma = idle_ma;
    sensor.run_ma = run_ma;
    sensor.slowness = slowness;
}

void tn_sensors_unplug(void)
{
    sensor.kind = TN_NOTHING;
}

double tn_sensors_now_us(void)
{
    return now_us;
}

static double conversion_us(void)
{
    switch (sensor.kind) {
    case TN_INA228:
        return times_228[sensor.adc_config >> 9 & 7] + times_228[sensor.adc_config >> 6 & 7];
    case TN_INA226:
        return (times_226[sensor.config >> 6 & 7] + times_226[sensor.config >> 3 & 7]) * averages[sensor.config >> 9 & 7];
    default:
        return times_219[sensor.config >> 7 & 15] + times_219[sensor.config >> 3 & 15];
    }
}

static bool is_triggered(void)
{
    return sensor.kind != TN_INA228 && (sensor.config & 7) == 3;
}

/* A voltage in steps of the register, which ends at `most`. */
static int32_t quantized(double value, double step, int32_t most)
{
    const double steps = floor(value / step + 0.5);

    return steps > most ? most : (int32_t)steps;
}

static void convert_228(double shunt_mv, double bus_v, double seconds)
{
    const bool small = sensor.config & 0x10; /* ADCRANGE */

    sensor.shunt = quantized(shunt_mv, small ? 78.125e-6 : 312.5e-6, 0x7FFFF);
    sensor.bus = quantized(bus_v, 195.3125e-6, 0x7FFFF);
    /* SLYS021A, 8.1.2: SHUNT_CAL = 13107.2e6 x CURRENT_LSB x R, four times that in the small range; the product is cut
     * off. CURRENT counts CURRENT_LSB, POWER 3.2 and ENERGY 51.2 of them. */
    const double current_lsb = sensor.shunt_cal / (13107.2e6 * sensor.shunt_ohm * (small ? 4 : 1));
    const double current = sensor.shunt * (small ? 78.125e-9 : 312.5e-9) / sensor.shunt_ohm / current_lsb;
    const double power = floor(current) * current_lsb * sensor.bus * 195.3125e-6 / (3.2 * current_lsb);

    sensor.energy_lsb += floor(power) * seconds / 16;
    if (sensor.shunt / 16 >= sensor.sovl) {
        sensor.flags |= 1 << 6; /* SHNTOL, latched as ALATCH asks */
    }
}

static void end_conversion(double us)
{
    const double shunt_mv = sensor.sum_mv_us / us;

    if (sensor.kind == TN_INA228) {
        convert_228(shunt_mv, sensor.supply_v, us / 1e6);
    } else if (sensor.kind == TN_INA226) {
        sensor.shunt = quantized(shunt_mv, 2.5e-3, 0x7FFF);
        sensor.bus = quantized(sensor.supply_v, 1.25e-3, 0x7FFF);
    } else {
        const int32_t most = 4000 << (sensor.config >> 11 & 3); /* PG: 40, 80, 160 or 320 mV of 10 uV */

        sensor.shunt = quantized(shunt_mv, 10e-3, most);
        sensor.bus = quantized(sensor.supply_v, 4e-3, 0x1FFF);
    }
    sensor.ready = true;
    sensor.converting = !is_triggered();
    sensor.passed_us = sensor.sum_mv_us = 0;
}

void tn_sensors_elapse(double us, bool high)
{
    const double shunt_mv = (high ? sensor.run_ma : sensor.idle_ma) * sensor.shunt_ohm;

    now_us += us;
    while (us > 0 && sensor.kind && sensor.converting) {
        const double whole = conversion_us() * sensor.slowness;
        const double left = whole - sensor.passed_us;
        const double step = us < left ? us : left;

        sensor.passed_us += step;
        sensor.sum_mv_us += step * shunt_mv;
        us -= step;
        if (step == left) {
            end_conversion(whole);
        }
    }
}

static void write_register(uint8_t pointer, uint16_t value)
{
    if (pointer == 0) {
        if (value & 0x8000) {
            reset_registers();
            return;
        }
        if (sensor.kind == TN_INA228 && value & 0x4000) { /* RSTACC, which clears itself */
            sensor.energy_lsb = 0;
            value &= (uint16_t)~0x4000;
        }
        sensor.config = value;
        sensor.converting = true;
        sensor.ready = false;
        sensor.passed_us = sensor.sum_mv_us = 0;
    } else if (sensor.kind == TN_INA228) {
        switch (pointer) {
        case 0x01:
            sensor.adc_config = value;
            break;
        case 0x02:
            sensor.shunt_cal = value & 0x7FFF;
            break;
        case 0x0B:
            sensor.mask = value & 0xF000;
            break;
        case 0x0C:
            sensor.sovl = value;
            break;
        default:
            break;
        }
    }
}

/* The register's value, as many bytes as it has, the highest first. */
static uint64_t read_register(uint8_t pointer, size_t *bytes)
{
    *bytes = 2;
    if (sensor.kind == TN_INA228) {
        switch (pointer) {
        case 0x00:
            return sensor.config;
        case 0x01:
            return sensor.adc_config;
        case 0x02:
            return sensor.shunt_cal;
        case 0x05:
            *bytes = 3;
            return (uint64_t)sensor.bus << 4;
        case 0x09:
            *bytes = 5;
            return (uint64_t)sensor.energy_lsb;
        case 0x0B: {
            const uint16_t flags = sensor.flags | sensor.mask;

            sensor.flags = 1; /* reading ends the latch */
            return flags;
        }
        case 0x3E:
            return 0x5449;
        case 0x3F:
            return 0x2281;
        default:
            return 0;
        }
    }
    switch (pointer) {
    case 0x00:
        return sensor.config;
    case 0x01:
        return (uint16_t)sensor.shunt;
    case 0x02:
        if (sensor.kind == TN_INA219) {
            return (uint16_t)(sensor.bus << 3 | sensor.ready << 1 | sensor.overflow);
        }
        return (uint16_t)sensor.bus;
    case 0x06: {
        const uint16_t value = (uint16_t)(sensor.ready << 3 | sensor.overflow << 2);

        sensor.ready = sensor.kind == TN_INA226 ? false : sensor.ready;
        return value;
    }
    case 0xFE:
        return sensor.kind == TN_INA226 ? 0x5449 : 0;
    case 0xFF:
        return sensor.kind == TN_INA226 ? 0x2260 : 0;
    default:
        return 0;
    }
}

bool tn_port_i2c_write(uint8_t address, const uint8_t *bytes, size_t count)
{
    tn_sensors_elapse(byte_us * (double)(count + 1), false);
    if (!sensor.kind || address != sensor.address || !count) {
        return false;
    }
    sensor.pointer = bytes[0];
    if (count >= 3) {
        write_register(sensor.pointer, (uint16_t)(bytes[1] << 8 | bytes[2]));
    }
    return true;
}

bool tn_port_i2c_read(uint8_t address, uint8_t *bytes, size_t count)
{
    if (!sensor.kind || address != sensor.address) {
        tn_sensors_elapse(byte_us, false);
        return false;
    }
    size_t size;
    /* Registers are copied when they are addressed. */
    const uint64_t value = read_register(sensor.pointer, &size);

    tn_sensors_elapse(byte_us * (double)(count + 1), false);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = i < size ? (uint8_t)(value >> 8 * (size - 1 - i)) : 0xFF;
    }
    return true;
}
